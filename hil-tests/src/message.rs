//! What the rig and the agent inside the guest say to each other: one JSON object a line.
//!
//! Each incarnation of the guest's agent opens with a [`Hello`] of its own. Every request names the incarnation it is meant for: what
//! was sent to a guest that was reset meanwhile may still sit in QEMU's buffer, and must not run in the next boot.

use fencepost::control;
use serde::{Deserialize, Serialize};

/// Name of the virtio-serial port.
pub(crate) const PORT: &str = "org.fencepost.rig";
/// Longest line, bytes. A file of a few megabytes fits; larger ones go in with the disk.
pub(crate) const LINE_MAX: usize = 16 << 20;

/// Rig to guest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) id: u64,
    /// Incarnation this is meant for. Empty: any; answered with a new [`Hello`] only.
    pub(crate) incarnation: String,
    pub(crate) operation: Operation,
}

/// What the guest shall do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Operation {
    Hello,
    Exec {
        argv: Vec<String>,
        timeout_ms: u64,
    },
    Read {
        path: String,
    },
    Write {
        path: String,
        mode: u32,
        content: String,
    },
    /// Asks fencepost's agent over its control socket. Under emulation a program's start costs a second; this costs nothing.
    Ask {
        request: control::Request,
    },
}

/// Guest to rig.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Message {
    Hello(Hello),
    Reply {
        id: u64,
        incarnation: String,
        outcome: Outcome,
    },
}

/// Who answers in the guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Unique for each start of the guest's agent.
    pub incarnation: String,
    /// The kernel's boot id: changes with every reset.
    pub boot: String,
    /// Since the kernel started.
    pub uptime_ms: u64,
}

/// How an operation ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Exec(Execution),
    Content(String),
    Written,
    /// Empty: no agent answers.
    Answers(Vec<control::Answer>),
    Failed(String),
}

/// A finished command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// Exit status; `128 + n` if signal `n` ended it; `None`: it was killed because its time was up.
    pub status: Option<i32>,
    /// Standard output, at most a mebibyte.
    pub stdout: String,
    /// Standard error, at most a mebibyte.
    pub stderr: String,
}

impl Execution {
    /// Whether it exited with status 0.
    pub fn success(&self) -> bool {
        self.status == Some(0)
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `None`: not hexadecimal digits.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|value| u8::try_from(value).ok())
        })
        .collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_reversible_and_refuses_the_rest() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(from_hex(&to_hex(&all)), Some(all));
        assert_eq!(from_hex("abc"), None);
        assert_eq!(from_hex("zz"), None);
    }
}
