//! Why a frame was refused, and how often: what a flood of rubbish leaves behind is a number, never a log line each.

use serde::{Deserialize, Serialize};

use super::channel::Standing;

/// Why a received frame was put aside.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error,
)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Shorter than header and tag.
    #[error("shorter than any frame of ours")]
    TooShort,
    /// Longer than [`super::FRAME_BYTES_MAX`].
    #[error("longer than any frame of ours")]
    TooLong,
    /// Something else arrived at our port.
    #[error("not a frame of ours: wrong magic")]
    Magic,
    /// A version this agent does not speak.
    #[error("a version of the peer protocol that this agent does not speak; update the older node")]
    Version,
    /// Its length disagrees with what it says of its body.
    #[error("its length is not what its header says")]
    Length,
    /// A kind, side or reserved field with a value that version 1 does not have.
    #[error("a field of its header has no meaning")]
    Header,
    /// It claims to come from our own side of the pair.
    #[error(
        "it comes from our own side: reflected, or both nodes are configured as the same one of the pair"
    )]
    OwnSide,
    /// It was made for another link.
    #[error("made for another link: cables are swapped, or somebody carried it there")]
    OtherLink,
    /// Made with a key that is not in our ring.
    #[error("made with a key this node does not have")]
    UnknownKey,
    /// Its tag is wrong: forged, damaged, or another key under the same id.
    #[error("its tag is wrong: forged or damaged")]
    Tag,
    /// Seen before.
    #[error("seen before: a copy")]
    Replayed,
    /// So old that it cannot be told from a copy.
    #[error("too old to be told from a copy")]
    TooOld,
    /// A fence order or answer whose sender has not shown that it hears us now.
    #[error("about a fence, and its sender has not shown that it hears us now")]
    UnprovenFence,
    /// Authentic, but its body is not one of this version: the peer's fault.
    #[error("authentic, but its body makes no sense to this version")]
    Body,
}

impl Refusal {
    /// All of them, in the order of their counters.
    pub const ALL: [Self; 14] = [
        Self::TooShort,
        Self::TooLong,
        Self::Magic,
        Self::Version,
        Self::Length,
        Self::Header,
        Self::OwnSide,
        Self::OtherLink,
        Self::UnknownKey,
        Self::Tag,
        Self::Replayed,
        Self::TooOld,
        Self::UnprovenFence,
        Self::Body,
    ];

    /// Name in metrics and status.
    pub const fn word(self) -> &'static str {
        match self {
            Self::TooShort => "too-short",
            Self::TooLong => "too-long",
            Self::Magic => "magic",
            Self::Version => "version",
            Self::Length => "length",
            Self::Header => "header",
            Self::OwnSide => "own-side",
            Self::OtherLink => "other-link",
            Self::UnknownKey => "unknown-key",
            Self::Tag => "tag",
            Self::Replayed => "replayed",
            Self::TooOld => "too-old",
            Self::UnprovenFence => "unproven-fence",
            Self::Body => "body",
        }
    }
}

/// How many frames were refused, by reason; and how many were taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Frames whose content counted.
    pub fresh: u64,
    /// Authentic frames whose message had come by another link, or was overtaken.
    pub late: u64,
    /// Authentic frames of a sender that has not shown it hears us now.
    pub unproven: u64,
    refused: [u64; Refusal::ALL.len()],
}

impl Counts {
    /// One more was authentic.
    pub(super) fn take(&mut self, standing: Standing) {
        let count = match standing {
            Standing::Fresh => &mut self.fresh,
            Standing::Late => &mut self.late,
            Standing::Unproven => &mut self.unproven,
        };
        *count = count.saturating_add(1);
    }

    /// One more was refused.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        let at = Refusal::ALL.iter().position(|one| *one == refusal);
        if let Some(count) = at.and_then(|at| self.refused.get_mut(at)) {
            *count = count.saturating_add(1);
        }
    }

    /// Refused for this reason.
    pub fn refused(&self, refusal: Refusal) -> u64 {
        let counts = Refusal::ALL.iter().zip(self.refused);
        counts
            .filter(|(one, _)| **one == refusal)
            .map(|(_, count)| count)
            .sum()
    }

    /// Refused for any reason.
    pub fn refused_in_all(&self) -> u64 {
        self.refused
            .iter()
            .fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Reasons that occurred, with their counts.
    pub fn occurred(&self) -> impl Iterator<Item = (Refusal, u64)> + '_ {
        Refusal::ALL
            .into_iter()
            .zip(self.refused)
            .filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_counter_and_name() {
        let mut counts = Counts::default();
        for (times, refusal) in Refusal::ALL.iter().enumerate() {
            for _ in 0..=times {
                counts.refuse(*refusal);
            }
        }
        let found: Vec<u64> = Refusal::ALL.iter().map(|r| counts.refused(*r)).collect();
        assert_eq!(found, (1..=14).collect::<Vec<u64>>());
        assert_eq!(counts.refused_in_all(), found.iter().sum::<u64>());
        assert_eq!(counts.occurred().count(), 14);
        let mut words: Vec<&str> = Refusal::ALL.iter().map(|r| r.word()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), 14);
    }
}
