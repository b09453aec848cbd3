//! Over loopback; interfaces and cables are tried in network namespaces.

use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{self, Receiver};
use std::time::Instant;

use super::*;
use crate::wire::{Ask, AskReason, BootId, Refusal, Secret, Side};

struct Node {
    orders: LinkOrders,
    view: LinksView,
    thread: JoinHandle<()>,
    reports: Receiver<LinkReport>,
    counter: u64,
}

fn ring(from: u8) -> KeyRing {
    let secret = core::array::from_fn(|at| from.wrapping_add(u8::try_from(at).unwrap()));
    KeyRing::new(&[Secret::new(secret)]).unwrap()
}

/// Two addresses of loopback that nobody uses.
fn free_ports(address: &str) -> [SocketAddr; 2] {
    let sockets = [0, 1].map(|_| UdpSocket::bind((address, 0)).unwrap());
    sockets.map(|socket| socket.local_addr().unwrap())
}

fn specs(ends: &[[SocketAddr; 2]]) -> Vec<LinkSpec> {
    let names = ["ha", "lan"];
    let pairs = names.iter().zip(ends);
    pairs
        .map(|(name, [local, peer])| LinkSpec {
            name: (*name).to_owned(),
            local: *local,
            peer: *peer,
            interface: None,
        })
        .collect()
}

fn turned(ends: &[[SocketAddr; 2]]) -> Vec<[SocketAddr; 2]> {
    ends.iter().map(|[a, b]| [*b, *a]).collect()
}

impl Node {
    fn start(side: Side, boot: u64, ends: &[[SocketAddr; 2]], key: u8) -> Self {
        let identity = Identity {
            side,
            boot: BootId(boot),
            seed: crate::io::random::bytes().unwrap(),
        };
        let (tell, reports) = mpsc::channel();
        let report = move |report| {
            let _gone = tell.send(report);
        };
        let specs = specs(ends);
        let started = start(specs, identity, ring(key), report, Priority::NORMAL);
        let (orders, view, thread) = started.unwrap();
        Self {
            orders,
            view,
            thread,
            reports,
            counter: 0,
        }
    }

    fn say(&mut self) {
        self.counter += 1;
        let (counter, number) = (self.counter, 7);
        let (epoch, reason) = (1, AskReason::Election);
        let message = Message::Ask(Ask {
            number,
            epoch,
            reason,
        });
        let order = LinkOrder::Send {
            links: 0xFF,
            counter,
            message,
        };
        self.orders.send(order).unwrap();
    }

    fn heard(&self, link: usize) -> bool {
        let mut reports = self.reports.try_iter();
        reports.any(|report| matches!(report, LinkReport::Heard { link: by, .. } if by == link))
    }

    fn stop(self) {
        drop(self.orders);
        self.thread.join().unwrap();
    }
}

/// Both talk until it is so.
fn until(a: &mut Node, b: &mut Node, mut is_so: impl FnMut(&Node, &Node) -> bool) {
    let begun = Instant::now();
    while !is_so(a, b) {
        assert!(begun.elapsed() < Duration::from_secs(60), "never came true");
        a.say();
        b.say();
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn messages_pass_over_both_families() {
    let ends = [free_ports("127.0.0.1"), free_ports("::1")];
    let mut a = Node::start(Side::Preferred, 0xA, &ends, 1);
    let mut b = Node::start(Side::Other, 0xB, &turned(&ends), 1);
    for link in [0, 1] {
        until(&mut a, &mut b, |a, _| a.heard(link));
        until(&mut a, &mut b, |_, b| b.heard(link));
    }
    let measured = |node: &Node| {
        let status = node.view.read();
        let met = status.peer_boot.is_some() && status.links.len() == 2;
        met && status
            .links
            .iter()
            .all(|link| link.quality.round_trip.is_some())
    };
    until(&mut a, &mut b, |a, b| measured(a) && measured(b));
    let status = a.view.read();
    assert_eq!(status.peer_boot, Some(BootId(0xB)));
    assert_eq!(status.counts.refused_in_all(), 0, "{status:?}");
    a.stop();
    b.stop();
}

/// The node knows no wall clock: it is stamped and compared here.
#[test]
fn clocks_are_compared_and_links_are_measured() {
    let ends = [free_ports("127.0.0.1")];
    let mut a = Node::start(Side::Preferred, 0xA, &ends, 1);
    let mut b = Node::start(Side::Other, 0xB, &turned(&ends), 1);
    until(&mut a, &mut b, |a, b| a.heard(0) && b.heard(0));
    let mut apart = None;
    let mut measured = false;
    until(&mut a, &mut b, |_, b| {
        for report in b.reports.try_iter() {
            match report {
                LinkReport::ClocksCompared { ahead_ms } => apart = Some(ahead_ms),
                LinkReport::Measured { links } => {
                    let quality = links[0].quality;
                    measured |= quality.round_trip_mean.is_some() && quality.of > 0;
                }
                _ => {}
            }
        }
        measured
    });
    assert_eq!(apart, None, "nobody has told a clock yet");
    a.counter += 1;
    let message = Message::Introduction(crate::wire::Introduction {
        host: crate::wire::Text::of("gate").unwrap(),
        model: None,
        firmware: None,
        commissioning: crate::node::policy::Commissioning::Done,
        wall_clock_ms: None,
    });
    let (links, counter) = (0xFF, a.counter);
    a.orders
        .send(LinkOrder::Send {
            links,
            counter,
            message,
        })
        .unwrap();
    until(&mut a, &mut b, |_, b| {
        let mut reports = b.reports.try_iter();
        apart = reports.find_map(|report| match report {
            LinkReport::ClocksCompared { ahead_ms } => Some(ahead_ms),
            _ => None,
        });
        apart.is_some()
    });
    // One machine has one clock; it may be slow to look at it.
    assert!(
        apart.is_some_and(|ms| (-60_000..=1_000).contains(&ms)),
        "{apart:?}"
    );
    a.stop();
    b.stop();
}

#[test]
fn a_message_tells_its_sender_counter_and_words() {
    let ends = [free_ports("127.0.0.1")];
    let mut a = Node::start(Side::Preferred, 0xA, &ends, 1);
    let mut b = Node::start(Side::Other, 0xB, &turned(&ends), 1);
    let mut found = None;
    until(&mut a, &mut b, |_, b| {
        // A node that was first may have been refused before.
        let mut reports = b.reports.try_iter();
        found = reports.find(|report| matches!(report, LinkReport::Heard { .. }));
        found.is_some()
    });
    let Some(LinkReport::Heard {
        link: 0,
        envelope,
        message: Message::Ask(ask),
    }) = found
    else {
        panic!("{found:?}")
    };
    assert_eq!((envelope.boot, ask.number), (BootId(0xA), 7));
    assert!((1..=a.counter).contains(&envelope.counter));
    a.stop();
    b.stop();
}

#[test]
fn a_port_where_nobody_listens_is_told() {
    let ends = [free_ports("127.0.0.1")];
    let mut a = Node::start(Side::Preferred, 0xA, &ends, 1);
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < Duration::from_secs(60), "never refused");
        a.say();
        match a.reports.recv_timeout(Duration::from_millis(20)) {
            Ok(LinkReport::Refused { link: 0 }) => break,
            Ok(other) => panic!("{other:?}"),
            Err(_) => {}
        }
    }
    // The peer comes up: the link was never lost.
    let mut b = Node::start(Side::Other, 0xB, &turned(&ends), 1);
    until(&mut a, &mut b, |a, _| a.heard(0));
    a.stop();
    b.stop();
}

#[test]
fn a_flood_of_rubbish_is_counted_and_the_peer_is_heard() {
    let ends = [free_ports("127.0.0.1"), free_ports("127.0.0.1")];
    let [[local, peer], _] = ends;
    let mut a = Node::start(Side::Preferred, 0xA, &ends, 1);
    // In the peer's place on one link; the peer itself is on the other.
    let forger = UdpSocket::bind(peer).unwrap();
    let mut b = Node::start(Side::Other, 0xB, &turned(&ends), 1);
    let mut rubbish = [0x5A; 300];
    let mut turn = 0;
    until(&mut a, &mut b, |a, _| {
        for _ in 0..500 {
            turn += 1;
            rubbish[0] = if turn % 2 == 0 { 0x5A } else { b'F' };
            let _full = forger.send_to(&rubbish, local);
        }
        a.view.read().counts.refused(Refusal::Magic) > 5_000
    });
    until(&mut a, &mut b, |a, _| a.heard(1));
    assert!(!a.heard(0));
    // The place was taken, so that link of the peer is down; when it is free it is taken without being told to.
    let faults: Vec<_> = b
        .view
        .read()
        .links
        .into_iter()
        .map(|link| link.fault)
        .collect();
    let taken = "Address already in use (os error 98)".to_owned();
    assert_eq!(faults, [Some(taken), None]);
    drop(forger);
    until(&mut a, &mut b, |a, _| a.heard(0));
    a.stop();
    b.stop();
}

#[test]
fn another_key_is_another_pair() {
    let ends = [free_ports("127.0.0.1")];
    let mut a = Node::start(Side::Preferred, 0xA, &ends, 1);
    let mut b = Node::start(Side::Other, 0xB, &turned(&ends), 2);
    until(&mut a, &mut b, |a, b| {
        let unknown = |node: &Node| node.view.read().counts.refused(Refusal::UnknownKey);
        unknown(a) > 10 && unknown(b) > 10
    });
    assert!(!a.heard(0) && !b.heard(0));
    b.orders.send(LinkOrder::UseKeys(ring(1))).unwrap();
    until(&mut a, &mut b, |a, _| a.heard(0));
    a.stop();
    b.stop();
}

#[test]
fn what_was_ordered_before_the_end_is_still_sent() {
    let ends = [free_ports("127.0.0.1")];
    let [[_, peer]] = ends;
    let listener = UdpSocket::bind(peer).unwrap();
    let mut a = Node::start(Side::Preferred, 0xA, &ends, 1);
    for _ in 0..10 {
        a.say();
    }
    a.stop();
    listener.set_nonblocking(true).unwrap();
    let mut buffer = [0; 2000];
    assert_eq!(
        (0..20)
            .filter(|_| listener.recv(&mut buffer).is_ok())
            .count(),
        10
    );
}
