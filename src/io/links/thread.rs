//! What the thread of the links does in a turn: send what it was told to, hear a bounded number of frames per link,
//! look after what is broken.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::port::{LinkSpec, Port, Trouble};
use super::status::{LinkStatus, LinksStatus, LinksView};
use super::{LinkOrder, LinkReport, TICK};
use crate::io::clock::{Clock, wall_clock_ms};
use crate::io::netlink::carrier::{LinkNotice, LinkNotices};
use crate::io::netlink::{Addresses, Carrier};
use crate::node::Instant;
use crate::wire::{
    Channel, Envelope, FRAME_BYTES_MAX, Kind, LINKS_MAX, LinkId, Message, Opened, Refusal,
    Standing, codec,
};

/// Most frames heard of one link in one turn.
const FRAMES_PER_TURN_MAX: usize = 32;
/// A link that had more is left alone for this long: a flood costs a bounded share of one processor, and its own link.
const REST: Duration = Duration::from_millis(1);
/// A link that cannot be used is tried again after this long, and as soon as its interface has carrier.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// How often it is told how the links do.
const MEASURE_EVERY: Duration = Duration::from_secs(1);
/// Most notices about interfaces read in one turn.
const NOTICES_PER_TURN_MAX: usize = 32;

pub(super) struct Thread<R> {
    links: Vec<Link>,
    channel: Channel,
    notices: Option<LinkNotices>,
    view: LinksView,
    published_at: Instant,
    measured_at: Instant,
    report: R,
    /// Used again and again: no allocation per frame.
    body: Vec<u8>,
    frame: Vec<u8>,
    heard: Box<[u8; FRAME_BYTES_MAX + 1]>,
}

struct Link {
    spec: LinkSpec,
    id: LinkId,
    port: Option<Port>,
    fault: Option<String>,
    try_at: Instant,
    rest_until: Option<Instant>,
    carrier: Option<Carrier>,
    sent: u64,
    unsent: u64,
    refused: u64,
}

impl Link {
    fn new(spec: LinkSpec, now: Instant) -> Self {
        let mut link = Self {
            id: LinkId::of(&spec.name),
            spec,
            port: None,
            fault: None,
            try_at: now,
            rest_until: None,
            carrier: None,
            sent: 0,
            unsent: 0,
            refused: 0,
        };
        link.open(now);
        link
    }

    fn open(&mut self, now: Instant) {
        match Port::open(&self.spec) {
            Ok(port) => (self.port, self.fault) = (Some(port), None),
            Err(error) => self.broken(now, error.to_string()),
        }
    }

    fn broken(&mut self, now: Instant, why: String) {
        self.port = None;
        self.fault = Some(why);
        self.try_at = now + TRY_AGAIN_AFTER;
    }
}

impl<R> Thread<R> {
    /// Everything worth waking up for.
    pub(super) fn sources(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let ports = self.links.iter().filter(|link| link.rest_until.is_none());
        let ports = ports.filter_map(|link| Some(link.port.as_ref()?.as_fd()));
        ports.chain(self.notices.as_ref().map(AsFd::as_fd))
    }

    /// How long it may sleep: less than `most` if a link is resting.
    pub(super) fn patience(&self, most: Duration) -> Duration {
        let resting = self.links.iter().any(|link| link.rest_until.is_some());
        if resting { REST } else { most }
    }
}

impl<R: FnMut(LinkReport)> Thread<R> {
    pub(super) fn new(specs: Vec<LinkSpec>, channel: Channel, view: LinksView, report: R) -> Self {
        let now = Clock.now();
        let notices = LinkNotices::open().inspect_err(|error| {
            tracing::warn!(
                "changes of carrier cannot be heard: {error}; a dead link is noticed by silence only"
            );
        });
        let specs = specs.into_iter().take(LINKS_MAX);
        Self {
            links: specs.map(|spec| Link::new(spec, now)).collect(),
            channel,
            notices: notices.ok(),
            view,
            published_at: now,
            measured_at: now,
            report,
            body: Vec::with_capacity(FRAME_BYTES_MAX),
            frame: Vec::with_capacity(FRAME_BYTES_MAX),
            heard: Box::new([0; FRAME_BYTES_MAX + 1]),
        }
    }

    pub(super) fn carry_out(&mut self, order: LinkOrder) {
        match order {
            LinkOrder::UseKeys(ring) => self.channel.replace_keys(ring),
            LinkOrder::Send {
                links,
                counter,
                mut message,
            } => {
                if let Message::Introduction(told) = &mut message {
                    told.wall_clock_ms = Some(wall_clock_ms());
                }
                match codec::encode(&message, &mut self.body) {
                    Ok(kind) => self.send(links, counter, kind),
                    Err(error) => {
                        tracing::error!("internal error: a message was not sent: {error}");
                    }
                }
            }
        }
    }

    fn send(&mut self, links: u8, counter: u64, kind: Kind) {
        for at in 0..self.links.len() {
            if links & (1 << at) == 0 {
                continue;
            }
            let now = Clock.now();
            let link = &mut self.links[at];
            // A link that is down takes part in no counting of loss.
            let Some(port) = &link.port else {
                link.unsent += 1;
                continue;
            };
            let sealed =
                self.channel
                    .seal(now, link.id, counter, kind, &self.body, &mut self.frame);
            if let Err(error) = sealed {
                tracing::error!("internal error: a message was not sent: {error}");
                continue;
            }
            match port.send(&self.frame) {
                Ok(()) => link.sent += 1,
                Err(trouble) => {
                    link.unsent += 1;
                    self.in_trouble(at, now, trouble);
                }
            }
        }
    }

    /// Hear, look after what is broken, publish.
    pub(super) fn turn(&mut self) {
        for at in 0..self.links.len() {
            self.hear(at);
        }
        self.hear_notices();
        let now = Clock.now();
        for link in &mut self.links {
            if link.port.is_none() && now >= link.try_at {
                link.open(now);
            }
        }
        if now.since(self.published_at) >= TICK {
            self.published_at = now;
            self.publish();
        }
        if now.since(self.measured_at) >= MEASURE_EVERY {
            self.measured_at = now;
            let links = self.statuses();
            (self.report)(LinkReport::Measured { links });
        }
    }

    fn hear(&mut self, at: usize) {
        let begin = Clock.now();
        let link = &mut self.links[at];
        if link.rest_until.take_if(|until| *until <= begin).is_none() && link.rest_until.is_some() {
            return;
        }
        for _ in 0..FRAMES_PER_TURN_MAX {
            let Some(port) = &self.links[at].port else {
                return;
            };
            let received = port.receive(&mut self.heard[..]);
            let now = Clock.now();
            match received {
                Ok(length) => self.take(at, now, length),
                Err(Trouble::NotNow) => return,
                Err(trouble) => self.in_trouble(at, now, trouble),
            }
        }
        self.links[at].rest_until = Some(Clock.now() + REST);
    }

    /// A frame came in: at once told, or counted and forgotten.
    fn take(&mut self, at: usize, now: Instant, length: usize) {
        let id = self.links[at].id;
        let opened = self.channel.open(now, id, &self.heard[..length]);
        let Ok(Opened {
            standing: standing @ (Standing::Fresh | Standing::Late),
            kind,
            boot,
            counter,
            body,
        }) = opened
        else {
            return;
        };
        let decoded: Result<Message, Refusal> = codec::decode(kind, body);
        match decoded {
            Ok(message) => {
                let ahead_ms = ahead_ms(&message).filter(|_| standing == Standing::Fresh);
                (self.report)(LinkReport::Heard {
                    link: at,
                    envelope: Envelope { boot, counter },
                    message,
                });
                if let Some(ahead_ms) = ahead_ms {
                    (self.report)(LinkReport::ClocksCompared { ahead_ms });
                }
            }
            Err(_) => self.channel.refuse_body(),
        }
    }

    fn in_trouble(&mut self, at: usize, now: Instant, trouble: Trouble) {
        let link = &mut self.links[at];
        match trouble {
            Trouble::NotNow => {}
            Trouble::Refused => {
                link.refused += 1;
                (self.report)(LinkReport::Refused { link: at });
            }
            Trouble::Broken(why) => link.broken(now, why),
        }
    }

    fn hear_notices(&mut self) {
        let Some(notices) = &mut self.notices else {
            return;
        };
        let (links, report) = (&mut self.links, &mut self.report);
        let mut look_anew = false;
        notices.read(NOTICES_PER_TURN_MAX, |notice| match notice {
            LinkNotice::LookAnew => look_anew = true,
            LinkNotice::Carrier { interface, carrier } => {
                carrier_is(links, &interface, carrier, report);
            }
        });
        if look_anew {
            self.look_at_carriers();
        }
    }

    /// Ask for the carrier of every link's interface.
    pub(super) fn look_at_carriers(&mut self) {
        let Ok(mut kernel) = Addresses::open() else {
            return;
        };
        let names = self.links.iter().filter_map(|l| l.spec.interface.clone());
        for name in names.collect::<Vec<String>>() {
            let interface = kernel.interface(&name);
            let carrier = interface.map_or(Carrier::Down, |interface| interface.carrier);
            carrier_is(&mut self.links, &name, carrier, &mut self.report);
        }
    }

    fn statuses(&self) -> Vec<LinkStatus> {
        let links = self.links.iter().map(|link| LinkStatus {
            name: link.spec.name.clone(),
            fault: link.fault.clone(),
            quality: self
                .channel
                .paths()
                .find(|(id, _)| *id == link.id)
                .map_or_else(Default::default, |(_, quality)| quality),
            sent: link.sent,
            unsent: link.unsent,
            refused: link.refused,
        });
        links.collect()
    }

    pub(super) fn publish(&self) {
        self.view.publish(LinksStatus {
            counts: self.channel.counts().clone(),
            peer_boot: self.channel.peer_boot(),
            links: self.statuses(),
        });
    }
}

/// By how much the wall clock that a message tells is ahead of ours.
fn ahead_ms(message: &Message) -> Option<i64> {
    let Message::Introduction(told) = message else {
        return None;
    };
    let (theirs, ours) = (told.wall_clock_ms?, wall_clock_ms());
    let apart = i64::try_from(theirs.abs_diff(ours)).unwrap_or(i64::MAX);
    Some(if theirs < ours { -apart } else { apart })
}

/// Tell it of every link on that interface, once per change.
fn carrier_is(
    links: &mut [Link],
    interface: &str,
    carrier: Carrier,
    report: &mut impl FnMut(LinkReport),
) {
    for (at, link) in links.iter_mut().enumerate() {
        let on_it = link.spec.interface.as_deref() == Some(interface);
        if !on_it || link.carrier == Some(carrier) {
            continue;
        }
        link.carrier = Some(carrier);
        if carrier == Carrier::Up {
            link.try_at = Instant::ZERO;
        }
        report(LinkReport::Carrier { link: at, carrier });
    }
}
