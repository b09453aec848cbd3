//! What a node tells of itself beyond its heartbeats: for people, and for the comparison of two nodes.
//!
//! Nothing that serves or fences rests on it. What if it is lost? It is told again; until then, and by a peer that is too
//! old to tell it, it is *not told*, which is never taken for good. Text is bounded and printable: it goes to terminals.

use serde::{Deserialize, Serialize};

use crate::node::policy::Commissioning;

/// Longest [`Text`] in bytes: that of a host name in Linux.
pub const TEXT_BYTES_MAX: usize = 64;

/// Who a node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introduction {
    /// Name of the host.
    pub host: Text,
    /// What its controller calls itself; `None` if there is none, or it was not opened yet.
    pub model: Option<Text>,
    /// The firmware its controller was read to run; `None` if it says none.
    pub firmware: Option<Text>,
    /// Whether the wiring of its board was proven.
    pub commissioning: Commissioning,
    /// Its wall clock when this was sent, in milliseconds since 1970. The node knows no wall clock: whoever puts this on
    /// the wire fills it in, whoever takes it off compares.
    pub wall_clock_ms: Option<u64>,
}

/// From 1 to [`TEXT_BYTES_MAX`] printable characters of ASCII.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Text(String);

/// What is no [`Text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not 1 to {TEXT_BYTES_MAX} printable characters of ASCII")]
pub struct NotText;

impl Text {
    /// As much of it as fits; what cannot be printed becomes `?`. `None` if nothing is left.
    pub fn of(text: &str) -> Option<Self> {
        let printable = |one: char| if is_printable(one) { one } else { '?' };
        let fits: String = text
            .trim()
            .chars()
            .take(TEXT_BYTES_MAX)
            .map(printable)
            .collect();
        Self::try_from(fits).ok()
    }

    /// As a string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Text {
    type Error = NotText;

    fn try_from(text: String) -> Result<Self, NotText> {
        let fits = (1..=TEXT_BYTES_MAX).contains(&text.len());
        if fits && text.chars().all(is_printable) {
            Ok(Self(text))
        } else {
            Err(NotText)
        }
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0
    }
}

impl core::fmt::Display for Text {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_printable(one: char) -> bool {
    matches!(one, ' '..='~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_bounded_and_never_paints_a_terminal() {
        let of = |text: &str| Text::of(text).map(String::from);
        assert_eq!(of("gate-1\n").as_deref(), Some("gate-1"));
        assert_eq!(of("gate\x1b[2J\u{fc}").as_deref(), Some("gate?[2J?"));
        assert_eq!(of(" \n"), None);
        assert_eq!(of(&"x".repeat(200)), Some("x".repeat(TEXT_BYTES_MAX)));
        for refused in ["", "a\tb", "\u{fc}", &"x".repeat(TEXT_BYTES_MAX + 1)] {
            assert_eq!(Text::try_from(refused.to_owned()), Err(NotText));
        }
        assert!(serde_json::from_str::<Text>("\"\\u001b\"").is_err());
    }
}
