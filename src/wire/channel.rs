//! The channel to the peer: what it seals the peer can trust, and what it opens is judged.
//!
//! A frame's content counts only if it is [`Standing::Fresh`]: its tag is right, its sender's boot is the present one, it
//! is newer than all before it, and it echoes our own challenge, so it was made by somebody who heard *this* start of
//! ours. A copy of anything the peer ever said, before our restart or before its own, therefore changes nothing:
//!
//! - copies within a boot fall to the counter (one for all kinds; a message has the same one on every link, once per
//!   link);
//! - copies from before *our* start echo a challenge we no longer have;
//! - copies from an earlier boot of the *peer* echo a challenge we dropped when we met the present one: a new boot must
//!   first echo the challenge (then ours changes), and counts only once it echoes the changed one.
//!
//! Keys rotate without an outage: a frame says which key is the sender's newest; we send with the newest one that both
//! have. While the peer has shown nothing, keys take turns.
//!
//! What if this dies? It holds no state worth saving: a restart costs one exchange of frames.

use super::frame::{BODY_BYTES_MAX, Header, Kind, LinkId, split};
use super::keys::{KeyId, KeyRing, Nonces, Side};
use super::message::{BootId, LINKS_MAX};
use super::path::Path;
pub use super::path::PathQuality;
use super::refusal::{Counts, Refusal};
use super::window::WINDOW;
use crate::node::time::Instant;

/// What a channel is made of.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Which of the two nodes we are.
    pub side: Side,
    /// Random per start.
    pub boot: BootId,
    /// Random per start; what challenges are drawn from.
    pub seed: [u8; 32],
}

/// Both directions of the talk with the peer.
#[derive(Debug, Clone)]
pub struct Channel {
    side: Side,
    boot: BootId,
    ring: KeyRing,
    nonces: Nonces,
    /// Of the newest frame sealed.
    counter: u64,
    challenge: u64,
    peer: Peer,
    paths: Vec<(LinkId, Path)>,
    counts: Counts,
}

#[derive(Debug, Clone)]
struct Peer {
    /// The boot whose word counts.
    boot: Option<BootId>,
    /// A boot that echoed our last challenge and is to echo the present one.
    candidate: Option<BootId>,
    /// Newest counter of that boot, over all links.
    newest: u64,
    /// The first one of it, over all links; 0 if none came yet.
    first: u64,
    /// What we echo; 0 if we know nothing.
    challenge: u64,
    key: PeerKey,
}

/// What we know of the peer's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PeerKey {
    /// Nothing, or somebody unproven spoke since.
    Unsure,
    /// It has this one, the newest that both have.
    Shown(KeyId),
}

/// A frame that is authentic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened<'a> {
    /// Whether its content counts.
    pub standing: Standing,
    /// Kind of body.
    pub kind: Kind,
    /// Boot of the sender.
    pub boot: BootId,
    /// Counter of the message.
    pub counter: u64,
    /// The body.
    pub body: &'a [u8],
}

/// What an authentic frame is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Newer than all before it, from somebody who hears us now: its content counts.
    Fresh,
    /// Genuine and of this boot, but the same or a newer one came by another link: a sign of life of its link.
    Late,
    /// Made by somebody with the key who has not shown that he hears us now: the peer before it has heard us, or a
    /// copy of what it once said. At most a hint for people; never about a fence.
    Unproven,
}

/// A body was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Longer than [`BODY_BYTES_MAX`].
    #[error("a body of {0} bytes; at most {BODY_BYTES_MAX}")]
    TooLong(usize),
    /// Not one of the channel's links.
    #[error("no such link")]
    NoLink,
    /// A counter rises with every message of a link; the peer would take this one for a copy.
    #[error("counter {0} was used on this link already")]
    Counter(u64),
}

impl Channel {
    /// A channel over these links; at most [`LINKS_MAX`] are used.
    pub fn new(identity: Identity, ring: KeyRing, links: &[LinkId]) -> Self {
        let mut nonces = Nonces::new(&identity.seed);
        let challenge = nonces.draw();
        let links = links.iter().take(LINKS_MAX);
        Self {
            side: identity.side,
            boot: identity.boot,
            ring,
            nonces,
            counter: 0,
            challenge,
            peer: Peer {
                boot: None,
                candidate: None,
                newest: 0,
                first: 0,
                challenge: 0,
                key: PeerKey::Unsure,
            },
            paths: links.map(|link| (*link, Path::new())).collect(),
            counts: Counts::default(),
        }
    }

    /// Make the frame of a message for a link, into `out` (which is emptied first). `counter` rises with every message;
    /// the same message has the same one on every link.
    ///
    /// # Errors
    /// The body is too long, the link none of ours, or the counter used already.
    pub fn seal(
        &mut self,
        now: Instant,
        link: LinkId,
        counter: u64,
        kind: Kind,
        body: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), SealError> {
        let too_long = SealError::TooLong(body.len());
        let length = u16::try_from(body.len()).map_err(|_| too_long)?;
        if body.len() > BODY_BYTES_MAX {
            return Err(too_long);
        }
        let path = path(&mut self.paths, link).ok_or(SealError::NoLink)?;
        let sent = path.send(now, counter);
        let sent = sent.ok_or(SealError::Counter(counter))?;
        self.counter = self.counter.max(counter);
        let header = Header {
            kind,
            side: self.side,
            key: self.sending_key(),
            newest_key: self.ring.newest(),
            link,
            boot: self.boot,
            counter,
            challenge: self.challenge,
            echo: self.peer.challenge,
            sequence: sent.sequence,
            heard: sent.heard,
            held_us: sent.held_us,
        };
        out.clear();
        header.write(length, out);
        out.extend_from_slice(body);
        // The key was chosen from the ring, so it is there.
        let tag = self.ring.tag(header.key, kind.purpose(), self.side, out);
        out.extend_from_slice(&tag.unwrap_or_default());
        Ok(())
    }

    /// Judge a frame that came in by `link`.
    ///
    /// # Errors
    /// Why it is put aside; it was counted, and changed nothing else.
    pub fn open<'a>(
        &mut self,
        now: Instant,
        link: LinkId,
        frame: &'a [u8],
    ) -> Result<Opened<'a>, Refusal> {
        let judged = self.judge(now, link, frame);
        match &judged {
            Ok(opened) => self.counts.take(opened.standing),
            Err(refusal) => self.counts.refuse(*refusal),
        }
        judged
    }

    /// The body of an opened frame made no sense: count that too.
    pub fn refuse_body(&mut self) {
        self.counts.refuse(Refusal::Body);
    }

    /// Use other keys from now on. The talk goes on.
    pub fn replace_keys(&mut self, ring: KeyRing) {
        if let PeerKey::Shown(key) = self.peer.key
            && !ring.holds(key)
        {
            self.peer.key = PeerKey::Unsure;
        }
        self.ring = ring;
    }

    /// What was taken and refused so far.
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The boot of the peer whose word counts.
    pub const fn peer_boot(&self) -> Option<BootId> {
        self.peer.boot
    }

    /// Our own boot.
    pub const fn boot(&self) -> BootId {
        self.boot
    }

    /// How well each link carries.
    pub fn paths(&self) -> impl Iterator<Item = (LinkId, PathQuality)> + '_ {
        let span = (self.peer.first > 0).then_some((self.peer.first, self.peer.newest));
        self.paths
            .iter()
            .map(move |(link, path)| (*link, path.quality(span)))
    }

    /// The key the next frame is made with.
    pub fn sending_key(&self) -> KeyId {
        if let PeerKey::Shown(key) = self.peer.key {
            return key;
        }
        let keys = self.ring.ids();
        let turn = usize::try_from(self.counter % (keys.len().max(1) as u64)).unwrap_or(0);
        let mut keys = keys;
        keys.nth(turn).unwrap_or_else(|| self.ring.newest())
    }

    fn judge<'a>(
        &mut self,
        now: Instant,
        link: LinkId,
        frame: &'a [u8],
    ) -> Result<Opened<'a>, Refusal> {
        let parts = split(frame)?;
        let header = parts.header;
        if header.side == self.side {
            return Err(Refusal::OwnSide);
        }
        if header.link != link || !self.paths.iter().any(|(one, _)| *one == link) {
            return Err(Refusal::OtherLink);
        }
        let purpose = header.kind.purpose();
        let verified = self
            .ring
            .verify(header.key, purpose, header.side, parts.signed, parts.tag);
        match verified {
            None => return Err(Refusal::UnknownKey),
            Some(false) => return Err(Refusal::Tag),
            Some(true) => {}
        }
        let standing = self.place(now, &header)?;
        if standing == Standing::Unproven && header.kind.is_fence() {
            return Err(Refusal::UnprovenFence);
        }
        Ok(Opened {
            standing,
            kind: header.kind,
            boot: header.boot,
            counter: header.counter,
            body: parts.body,
        })
    }

    /// Authentic; but when was it made, and for whom?
    fn place(&mut self, now: Instant, header: &Header) -> Result<Standing, Refusal> {
        let echoes = header.echo == self.challenge;
        if self.peer.boot != Some(header.boot) {
            if !(echoes && self.peer.candidate == Some(header.boot)) {
                self.meet(header, echoes);
                return Ok(Standing::Unproven);
            }
            self.begin(header.boot);
        }
        // What was held back on one link while others carried on is too old there as well.
        if self.peer.newest.saturating_sub(header.counter) >= WINDOW {
            return Err(Refusal::TooOld);
        }
        path(&mut self.paths, header.link)
            .ok_or(Refusal::OtherLink)?
            .receive(header, now)?;
        if self.peer.first == 0 {
            self.peer.first = header.counter;
        }
        if header.counter <= self.peer.newest {
            return Ok(Standing::Late);
        }
        self.peer.newest = header.counter;
        if !echoes {
            return Ok(Standing::Unproven);
        }
        self.peer.challenge = header.challenge;
        self.peer.key = PeerKey::Shown(self.common_key(header));
        Ok(Standing::Fresh)
    }

    /// Somebody with the key, of another boot than the one whose word counts.
    fn meet(&mut self, header: &Header, echoes: bool) {
        self.peer.key = PeerKey::Unsure;
        if echoes {
            // He heard us, and may be the peer's new boot, or one before that whose frames were held back. Whoever
            // echoes the next challenge is alive after this moment.
            self.peer.candidate = Some(header.boot);
            self.peer.challenge = header.challenge;
            self.challenge = self.nonces.draw();
        } else if self.peer.boot.is_none() {
            self.peer.challenge = header.challenge;
        }
    }

    fn begin(&mut self, boot: BootId) {
        self.peer.boot = Some(boot);
        self.peer.candidate = None;
        self.peer.newest = 0;
        self.peer.first = 0;
        for (_, path) in &mut self.paths {
            path.peer_changed();
        }
    }

    /// The sender's newest key if we have it too, else the one it just used.
    fn common_key(&self, header: &Header) -> KeyId {
        if self.ring.holds(header.newest_key) {
            header.newest_key
        } else {
            header.key
        }
    }
}

fn path(paths: &mut [(LinkId, Path)], link: LinkId) -> Option<&mut Path> {
    paths
        .iter_mut()
        .find(|(one, _)| *one == link)
        .map(|(_, path)| path)
}

#[cfg(test)]
#[path = "channel_tests.rs"]
mod tests;
