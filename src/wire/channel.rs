//! The channel to the peer: what it seals the peer can trust, and what it opens is judged.
//!
//! A frame's content counts only if it is [`Opened::Fresh`]: its tag is right, its sender's boot is the present one, it
//! is newer than all before it, and it echoes our own challenge, so it was made by somebody who heard *this* start of
//! ours. A copy of anything the peer ever said, before our restart or before its own, therefore changes nothing:
//!
//! - copies within a boot fall to the counter (one for all links and kinds);
//! - copies from before *our* start echo a challenge we no longer have;
//! - copies from an earlier boot of the *peer* echo a challenge we dropped when we met the present one: a new boot must
//!   first echo the challenge (then ours changes), and counts only once it echoes the changed one.
//!
//! Keys rotate without an outage: a frame says which key is the sender's newest; we send with the newest one that both
//! have. While the peer has shown nothing, keys take turns.
//!
//! What if this dies? It holds no state worth saving: a restart costs one exchange of frames.

use super::frame::{BODY_BYTES_MAX, BootId, Header, Kind, LinkId, split};
use super::keys::{KeyId, KeyRing, Nonces, Side};
use super::path::Path;
pub use super::path::PathQuality;
use super::refusal::{Counts, Refusal};
use super::window::{Place, ReplayWindow};
use crate::node::time::Instant;

/// Most links between the nodes of a pair.
pub const LINKS_MAX: usize = 8;

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
    window: ReplayWindow,
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
pub enum Opened<'a> {
    /// Its content counts.
    Fresh(Content<'a>),
    /// Genuine and of this boot, but overtaken by a newer one: a sign of life of its link and nothing else.
    Late,
    /// Made by somebody with the key who has not shown that he hears us now: the peer before it has heard us, or a
    /// copy of what it once said. At most a hint for people; never about a fence.
    Unproven(Content<'a>),
}

/// What a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content<'a> {
    /// Kind of body.
    pub kind: Kind,
    /// Boot of the sender.
    pub boot: BootId,
    /// Its counter.
    pub counter: u64,
    /// The body.
    pub body: &'a [u8],
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
                window: ReplayWindow::default(),
                challenge: 0,
                key: PeerKey::Unsure,
            },
            paths: links.map(|link| (*link, Path::new())).collect(),
            counts: Counts::default(),
        }
    }

    /// Make the frame of a body for a link, into `out` (which is emptied first). Gives the frame's counter.
    ///
    /// # Errors
    /// The body is too long, or the link is none of ours.
    pub fn seal(
        &mut self,
        now: Instant,
        link: LinkId,
        kind: Kind,
        body: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<u64, SealError> {
        let too_long = SealError::TooLong(body.len());
        let length = u16::try_from(body.len()).map_err(|_| too_long)?;
        if body.len() > BODY_BYTES_MAX {
            return Err(too_long);
        }
        let path = path(&mut self.paths, link).ok_or(SealError::NoLink)?;
        let (sequence, heard, held_us) = path.send(now);
        self.counter = self.counter.saturating_add(1);
        let header = Header {
            kind,
            side: self.side,
            key: self.sending_key(),
            newest_key: self.ring.newest(),
            link,
            boot: self.boot,
            counter: self.counter,
            challenge: self.challenge,
            echo: self.peer.challenge,
            sequence,
            heard,
            held_us,
        };
        out.clear();
        header.write(length, out);
        out.extend_from_slice(body);
        // The key was chosen from the ring, so it is there.
        let tag = self.ring.tag(header.key, kind.purpose(), self.side, out);
        out.extend_from_slice(&tag.unwrap_or_default());
        Ok(self.counter)
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
            Ok(Opened::Fresh(_)) => self.counts.fresh = self.counts.fresh.saturating_add(1),
            Ok(Opened::Late) => self.counts.late = self.counts.late.saturating_add(1),
            Ok(Opened::Unproven(_)) => {
                self.counts.unproven = self.counts.unproven.saturating_add(1);
            }
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
        self.paths
            .iter()
            .map(|(link, path)| (*link, path.quality()))
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
        let content = Content {
            kind: header.kind,
            boot: header.boot,
            counter: header.counter,
            body: parts.body,
        };
        self.place(now, &header, content)
    }

    /// Authentic; but when was it made, and for whom?
    fn place<'a>(
        &mut self,
        now: Instant,
        header: &Header,
        content: Content<'a>,
    ) -> Result<Opened<'a>, Refusal> {
        let echoes = header.echo == self.challenge;
        if self.peer.boot != Some(header.boot) {
            if !(echoes && self.peer.candidate == Some(header.boot)) {
                return self.meet(header, echoes, content);
            }
            self.begin(header.boot);
        }
        let place = self.peer.window.place(header.counter);
        match place {
            Place::Seen => return Err(Refusal::Replayed),
            Place::TooOld => return Err(Refusal::TooOld),
            Place::Newest | Place::Overtaken => self.peer.window.mark(header.counter),
        }
        if let Some(path) = path(&mut self.paths, header.link) {
            path.receive(header, now);
        }
        if place == Place::Overtaken {
            return Ok(Opened::Late);
        }
        if !echoes {
            return unproven(content);
        }
        self.peer.challenge = header.challenge;
        self.peer.key = PeerKey::Shown(self.common_key(header));
        Ok(Opened::Fresh(content))
    }

    /// Somebody with the key, of another boot than the one whose word counts.
    fn meet<'a>(
        &mut self,
        header: &Header,
        echoes: bool,
        content: Content<'a>,
    ) -> Result<Opened<'a>, Refusal> {
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
        unproven(content)
    }

    fn begin(&mut self, boot: BootId) {
        self.peer.boot = Some(boot);
        self.peer.candidate = None;
        self.peer.window = ReplayWindow::default();
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

fn unproven(content: Content<'_>) -> Result<Opened<'_>, Refusal> {
    if content.kind.is_fence() {
        Err(Refusal::UnprovenFence)
    } else {
        Ok(Opened::Unproven(content))
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
