//! Proofs: the only things that let a node begin to serve.
//!
//! Each is made in one place, by the module that checks what it stands for; its fields are private there, so that no
//! other code can make one. Silence is not among them.

use super::lease::LeaseExpired;
use super::means::Fenced;
use super::orders::OperatorConfirmed;
use super::word::Released;
use crate::board::controller::CloseProof;

/// That the peer is not, and cannot come, on the wire without our knowing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Proof {
    /// Its answer to our numbered request.
    Released(Released),
    /// Its contacts read open and latched, or a program says that it did it.
    Fenced(Fenced),
    /// Its lease has run out.
    LeaseExpired(LeaseExpired),
    /// A named person said so.
    OperatorConfirmed(OperatorConfirmed),
}

impl Proof {
    /// What the controller is told when it has to close on it.
    pub(super) fn to_close(&self) -> CloseProof {
        match self {
            Self::Released(_) => CloseProof::Released,
            Self::Fenced(fenced) if fenced.by_wire() => CloseProof::Fenced,
            // The controller cannot see that one itself; the ticket is what it checks.
            Self::Fenced(_) => CloseProof::Released,
            Self::LeaseExpired(_) => CloseProof::LeaseExpired,
            Self::OperatorConfirmed(_) => CloseProof::OperatorConfirmed,
        }
    }

    /// For the record.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Released(word) => format!("released: answer to request {}", word.number()),
            Self::Fenced(fenced) => format!("fenced by {}", fenced.name()),
            Self::LeaseExpired(lease) => {
                format!("lease expired: generation {}", lease.generation())
            }
            Self::OperatorConfirmed(order) => {
                format!("confirmed by {}: {}", order.by(), order.reason())
            }
        }
    }
}
