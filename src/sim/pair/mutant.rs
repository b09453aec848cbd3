//! Guards taken away, one at a time, from outside the node: in the controller, the kernel, the disk and the peer's
//! words. A guard whose loss nothing notices is a guard without a test.

use fencepost_firmware::{Command, Proof};

use super::board::Board;
use crate::node::Instant;
use crate::node::pair::Presence;

/// What is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(not(test), expect(dead_code, reason = "only tests take guards away"))]
pub(super) enum Mutant {
    /// Nothing.
    #[default]
    Faithful,
    /// The controller closes on any ticket.
    Ticketless,
    /// A serve action that takes long is answered as failed, and lands later.
    GivesUpServeActions,
    /// The kernel is always read to have no vips.
    BlindToVips,
    /// A save is answered before it is durable.
    AnswersSavesEarly,
    /// Close on `Fenced` without the controller reading the acknowledge.
    NoInterlock,
    /// Both: a close is executed whenever it comes.
    BareClose,
    /// The controller acknowledges as soon as it is latched, contacts or not.
    AcknowledgesByLatch,
    /// The controller acknowledges by its contacts alone, latched or not.
    AcknowledgesByContact,
    /// A kick reaches a whole window ahead from when it is carried out, however late that is.
    BareKicks,
}

impl Mutant {
    /// The order as the controller gets it.
    pub(super) fn command(self, now: Instant, command: Command, board: &mut Board) -> Command {
        match (self, command) {
            (Self::BareClose, Command::Close { segments, .. }) => Command::Close {
                ticket: board.take_any_ticket(now),
                proof: Proof::NotServing,
                segments,
            },
            (
                Self::NoInterlock,
                Command::Close {
                    ticket, segments, ..
                },
            ) => Command::Close {
                ticket,
                proof: Proof::NotServing,
                segments,
            },
            (
                Self::Ticketless,
                Command::Close {
                    proof, segments, ..
                },
            ) => {
                let ticket = board.take_any_ticket(now);
                Command::Close {
                    ticket,
                    proof,
                    segments,
                }
            }
            (Self::BareKicks, Command::Kick { session, .. }) => {
                let window = board.controller.as_ref().map_or(0, |c| c.window_ms());
                let deadline = board.tick(now) + u64::from(window);
                Command::Kick { session, deadline }
            }
            (_, command) => command,
        }
    }

    pub(super) fn presence(self, presence: Presence) -> Presence {
        if self == Self::BlindToVips {
            Presence::Absent
        } else {
            presence
        }
    }

    pub(super) fn gives_up_serve_actions(self) -> bool {
        self == Self::GivesUpServeActions
    }

    pub(super) fn answers_saves_early(self) -> bool {
        self == Self::AnswersSavesEarly
    }
}
