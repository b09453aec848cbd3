//! The peer protocol under somebody in the middle: he repeats, damages, delays and makes up, and nodes restart.

use std::collections::BTreeSet;

use fencepost::node::Instant;
use fencepost::wire::{
    BootId, Channel, Identity, KeyRing, Kind, LinkId, Opened, Secret, Side, Standing, codec,
};

use crate::feed::Feed;

/// Bytes of an input that are one body; the rest of it are choices.
const BODY_BYTES: usize = 64;
/// Most frames kept by the one in the middle.
const TAPE_MAX: usize = 64;

/// All of it: bodies first, then frames.
pub fn frames(bytes: &[u8]) {
    bodies(bytes);
    Middle::new().run(&mut Feed::new(bytes));
}

/// A body that is understood is the only form of what it says.
fn bodies(bytes: &[u8]) {
    let Some((first, body)) = bytes.split_first() else {
        return;
    };
    let kind = if *first < 128 {
        Kind::talk(*first)
    } else {
        Kind::fence(*first)
    };
    if let Ok(message) = codec::decode(kind, body) {
        let mut written = Vec::new();
        let again = codec::encode(&message, &mut written).expect("what was read can be written");
        assert_eq!((again, written.as_slice()), (kind, body));
    }
}

struct Middle {
    talker: Channel,
    boot: u64,
    counter: u64,
    listener: Channel,
    listens: u64,
    tape: Vec<(u64, Vec<u8>)>,
    counted: BTreeSet<(u64, u64)>,
    /// Boots of the talker grow: an earlier one never counts after a later one.
    latest: u64,
}

fn links() -> [LinkId; 2] {
    [LinkId::of("ha"), LinkId::of("lan")]
}

fn node(side: Side, boot: u64) -> Channel {
    let secret = core::array::from_fn(|at| at as u8);
    let ring = KeyRing::new(&[Secret::new(secret)]).expect("a good key");
    let seed = core::array::from_fn(|at| boot.to_be_bytes()[at % 8] ^ at as u8);
    let boot = BootId(boot);
    Channel::new(Identity { side, boot, seed }, ring, &links())
}

impl Middle {
    fn new() -> Self {
        let mut middle = Self {
            talker: node(Side::Preferred, 1),
            boot: 1,
            counter: 0,
            listener: node(Side::Other, 1 << 32),
            listens: 1 << 32,
            tape: Vec::new(),
            counted: BTreeSet::new(),
            latest: 0,
        };
        for _ in 0..4 {
            let frame = middle.talk(0, b"");
            middle.hear(middle.boot, 0, &frame);
            middle.answer();
        }
        assert!(
            !middle.counted.is_empty(),
            "two nodes with one key do not meet"
        );
        middle
    }

    fn run(&mut self, feed: &mut Feed<'_>) {
        while !feed.is_empty() {
            match feed.below(8) {
                0 | 1 => {
                    let link = feed.below(2);
                    let frame = self.talk(link, feed.bytes(BODY_BYTES));
                    self.hear(self.boot, link, &frame);
                }
                2 => {
                    let held_back = self.talk(feed.below(2), b"");
                    drop(held_back);
                }
                3 => self.answer(),
                4 => self.repeat(feed),
                5 => self.damage(feed),
                6 if feed.byte() < 64 => self.restart(feed.below(2) == 0),
                _ => {
                    let made_up = feed.bytes(BODY_BYTES).to_vec();
                    assert!(self.open(feed.below(2), &made_up).is_none());
                }
            }
        }
    }

    fn talk(&mut self, link: usize, body: &[u8]) -> Vec<u8> {
        self.counter += 1;
        let mut frame = Vec::new();
        let (kind, now) = (Kind::talk(1), Instant::from_millis(self.counter));
        self.talker
            .seal(now, links()[link], self.counter, kind, body, &mut frame)
            .expect("a good frame");
        if self.tape.len() < TAPE_MAX {
            self.tape.push((self.boot, frame.clone()));
        }
        frame
    }

    /// The listener says something, and the talker hears it.
    fn answer(&mut self) {
        self.counter += 1;
        let mut frame = Vec::new();
        let (kind, now) = (Kind::talk(1), Instant::from_millis(self.counter));
        self.listener
            .seal(now, links()[0], self.counter, kind, b"", &mut frame)
            .expect("a good frame");
        let _judged = self.talker.open(now, links()[0], &frame);
    }

    fn repeat(&mut self, feed: &mut Feed<'_>) {
        let Some((boot, frame)) = self.tape.get(feed.below(TAPE_MAX)).cloned() else {
            return;
        };
        self.hear(boot, feed.below(2), &frame);
    }

    fn damage(&mut self, feed: &mut Feed<'_>) {
        let Some((_, good)) = self.tape.get(feed.below(TAPE_MAX)).cloned() else {
            return;
        };
        let mut bad = good.clone();
        for _ in 0..=feed.below(3) {
            let at = usize::from(feed.word()) % bad.len();
            bad[at] ^= feed.byte();
        }
        if feed.byte() < 32 {
            bad.truncate(usize::from(feed.word()) % bad.len());
        }
        if bad != good {
            assert!(
                self.open(feed.below(2), &bad).is_none(),
                "a damaged frame was opened"
            );
        }
    }

    fn restart(&mut self, talker: bool) {
        if talker {
            self.boot += 1;
            self.talker = node(Side::Preferred, self.boot);
        } else {
            self.listens += 1;
            self.listener = node(Side::Other, self.listens);
        }
    }

    fn hear(&mut self, boot: u64, link: usize, frame: &[u8]) {
        let Some((said, counter, standing)) = self.open(link, frame) else {
            return;
        };
        assert_eq!(said, boot);
        if standing == Standing::Fresh {
            assert!(
                self.counted.insert((boot, counter)),
                "a message counted twice"
            );
            assert!(boot >= self.latest, "an earlier boot counted");
            self.latest = boot;
        }
    }

    fn open(&mut self, link: usize, frame: &[u8]) -> Option<(u64, u64, Standing)> {
        let now = Instant::from_millis(self.counter);
        let before = self.listener.counts().clone();
        let opened = self.listener.open(now, links()[link], frame);
        let found = opened.ok().map(
            |Opened {
                 boot,
                 counter,
                 standing,
                 ..
             }| (boot.0, counter, standing),
        );
        assert_ne!(*self.listener.counts(), before, "a frame was not counted");
        found
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_corpus_passes() {
        for input in crate::inputs("peer_frames") {
            super::frames(&input);
        }
    }
}
