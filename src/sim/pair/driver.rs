//! The controller thread of one agent: one order at a time, prepared from what the driver knew, carried out later.
//!
//! Between the two, and before the answer, the process may be stopped: that is where a host is late.

use core::time::Duration;

use fencepost_firmware::{Command, Reply, SegmentMask};

use super::appliance::{Appliance, BusState};
use super::board::{cut_of, refused, to_firmware};
use super::mutant::Mutant;
use crate::board::bus::BusError;
use crate::board::controller::{Fault, Identity, Moved, RelayState, Ticket};
use crate::node::pair::{FenceReport, PairAction, PairEvent};
use crate::node::{Action, Event, Instant};

/// An order on the bus.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub(super) order: Action,
    command: Option<Command>,
    /// It is not sent at all.
    fault: Option<Fault>,
}

/// What carrying it out came to.
pub(super) enum Carried {
    Answer(Event),
    /// The relay moves; its contact is read, and the order answered, after this time.
    Settle(Duration, RelayState),
}

const SETTLE: Duration = Duration::from_millis(12);

/// Lower goes first.
pub(super) fn rank(order: &Action) -> u8 {
    match order {
        Action::Kick { .. } => 0,
        Action::Cut { .. } => 1,
        _ => 2,
    }
}

/// Whether it can change who is on the wire.
pub(super) fn is_momentous(order: &Action) -> bool {
    match order {
        Action::TakeTicket { .. } | Action::Close { .. } | Action::Cut { .. } => true,
        Action::Pair(action) => matches!(
            **action,
            PairAction::TakeTicket
                | PairAction::Fence { .. }
                | PairAction::Unfence { .. }
                | PairAction::Persist { .. }
                | PairAction::HoldVips { .. }
                | PairAction::DropVips { .. }
                | PairAction::Advertise { .. }
        ),
        _ => false,
    }
}

impl Appliance {
    /// What the driver makes of an order at this moment.
    pub(super) fn prepare(&self, now: Instant, order: Action) -> Prepared {
        let local = self.clock.at(now);
        let seen = self.agent.as_ref().and_then(|agent| agent.seen);
        let (session, tick, at) = seen.unwrap_or((0, 0, local));
        let mask = |segment: usize| {
            u8::try_from(segment)
                .ok()
                .and_then(fencepost_firmware::Segment::new)
                .map_or(SegmentMask::NONE, SegmentMask::only)
        };
        let mut fault = None;
        let command = match &order {
            Action::Kick { alive_until } => {
                if local >= *alive_until {
                    fault = Some(Fault::Stale {
                        what: "kick".to_owned(),
                        late_ms: 0,
                    });
                }
                let span = u64::try_from(alive_until.since(at).as_millis()).unwrap_or(0);
                let deadline = tick + span - span.div_ceil(100);
                Some(Command::Kick { session, deadline })
            }
            Action::TakeTicket { .. } => Some(Command::TakeTicket),
            Action::Close {
                segment,
                ticket,
                proof,
            } => Some(Command::Close {
                ticket: ticket.0,
                proof: to_firmware(*proof),
                segments: mask(*segment),
            }),
            Action::Cut { segment, state } => Some(Command::Cut {
                segments: mask(*segment),
                state: cut_of(*state),
            }),
            Action::Pair(action) => match &**action {
                PairAction::TakeTicket => Some(Command::TakeTicket),
                PairAction::Fence { decided, .. } => {
                    let age = u64::try_from(at.since(*decided).as_millis()).unwrap_or(0);
                    let ahead = u64::try_from(decided.since(at).as_millis()).unwrap_or(0);
                    let read_at = (tick + ahead - ahead.div_ceil(100)).saturating_sub(age);
                    Some(Command::Fence { session, read_at })
                }
                PairAction::Unfence { .. } => Some(Command::Release),
                _ => None,
            },
            _ => None,
        };
        Prepared {
            order,
            command,
            fault,
        }
    }

    /// The order reaches the controller.
    pub(super) fn carry_out(
        &mut self,
        now: Instant,
        prepared: &Prepared,
        mutant: Mutant,
    ) -> Option<Carried> {
        let order = &prepared.order;
        if let Some(fault) = &prepared.fault {
            return failed(order, fault.clone()).map(Carried::Answer);
        }
        if self.bus == BusState::Deaf || self.board.controller.is_none() {
            return failed(order, nack()).map(Carried::Answer);
        }
        let carried = self.reach(now, prepared, mutant);
        self.remember_time(now);
        if self.bus == BusState::Mute {
            return failed(order, nack()).map(Carried::Answer);
        }
        carried
    }

    fn remember_time(&mut self, now: Instant) {
        let local = self.clock.at(now);
        let status = self.board.status();
        if let (Some(agent), Some(status)) = (&mut self.agent, status) {
            agent.seen = Some((status.session, status.tick, local));
        }
    }

    fn reach(&mut self, now: Instant, prepared: &Prepared, mutant: Mutant) -> Option<Carried> {
        let answer = |event| Some(Carried::Answer(event));
        let reply = prepared
            .command
            .map(|command| mutant.command(now, command, &mut self.board))
            .and_then(|command| self.board.command(now, command));
        let fault = |what: &str| match reply {
            Some(Err(refusal)) => Some(refused(what, refusal)),
            Some(Ok(_)) => None,
            None => Some(nack()),
        };
        match &prepared.order {
            Action::Open => answer(Event::ControllerOpened {
                outcome: Ok(Identity::default()),
            }),
            Action::Read => {
                let outcome = self.board.read(now).map(|fence| fence.reading);
                answer(Event::ControllerRead {
                    outcome: outcome.ok_or_else(nack),
                })
            }
            Action::Configure { .. } => answer(Event::Configured { outcome: Ok(()) }),
            Action::Arm { period } => answer(Event::DeadManArmed {
                outcome: self.board.arm(now, *period).unwrap_or_else(|| Err(nack())),
            }),
            Action::Kick { .. } => answer(Event::Kicked {
                outcome: fault("a kick").map_or(Ok(()), Err),
            }),
            Action::Disarm => answer(Event::DeadManDisarmed { outcome: Ok(()) }),
            Action::TakeTicket { segment } => answer(Event::TicketTaken {
                segment: *segment,
                outcome: ticket(reply),
            }),
            Action::Close { segment, .. } => match fault("close") {
                Some(fault) => answer(Event::SegmentClosed {
                    segment: *segment,
                    outcome: Err(fault),
                }),
                None => Some(Carried::Settle(SETTLE, RelayState::Normal)),
            },
            Action::Cut { state, .. } => Some(Carried::Settle(SETTLE, (*state).into())),
            Action::Pair(action) => self.reach_pair(now, action, reply),
            _ => None,
        }
    }

    fn reach_pair(
        &mut self,
        now: Instant,
        action: &PairAction,
        reply: Option<Result<Reply, fencepost_firmware::Refusal>>,
    ) -> Option<Carried> {
        let event = match action {
            PairAction::TakeTicket => PairEvent::TicketTaken {
                outcome: ticket(reply),
            },
            PairAction::ReadFence { sequence } => PairEvent::FenceRead {
                sequence: *sequence,
                outcome: self.board.read(now).ok_or_else(nack),
            },
            PairAction::Fence { nonce, means, .. } => PairEvent::Fenced {
                nonce: *nonce,
                means: *means,
                outcome: match reply {
                    Some(Ok(_)) => FenceReport::Ordered,
                    Some(Err(refusal)) => FenceReport::Refused(refusal.to_string()),
                    None => FenceReport::Unknown("no answer".to_owned()),
                },
            },
            PairAction::Unfence { means } => PairEvent::Unfenced {
                means: *means,
                outcome: match reply {
                    Some(Ok(_)) => Ok(()),
                    _ => Err("no answer".to_owned()),
                },
            },
            _ => return None,
        };
        Some(Carried::Answer(Event::Pair(Box::new(event))))
    }

    /// The relay has had its time.
    pub(super) fn settled(&self, order: &Action, wanted: RelayState) -> Option<Event> {
        let (Action::Close { segment, .. } | Action::Cut { segment, .. }) = order else {
            return None;
        };
        if self.bus != BusState::Works || self.board.controller.is_none() {
            return failed(order, nack());
        }
        let after = self.board.contact(*segment);
        let outcome = if after.state == wanted {
            Ok(Moved {
                before: RelayState::Unknown,
                after,
                commanded: true,
            })
        } else {
            Err(Fault::NotMoved {
                segment: *segment,
                wanted,
                read: after.state,
            })
        };
        Some(match order {
            Action::Close { segment, .. } => Event::SegmentClosed {
                segment: *segment,
                outcome,
            },
            Action::Cut { segment, state } => Event::SegmentCut {
                segment: *segment,
                state: *state,
                outcome,
            },
            _ => return None,
        })
    }
}

fn ticket(reply: Option<Result<Reply, fencepost_firmware::Refusal>>) -> Result<Ticket, Fault> {
    match reply {
        Some(Ok(Reply::Ticket(number))) => Ok(Ticket(number)),
        Some(Err(refusal)) => Err(refused("a ticket", refusal)),
        _ => Err(nack()),
    }
}

pub(super) fn nack() -> Fault {
    Fault::Bus(BusError::Nack {
        adapter: "sim".to_owned(),
        address: 0,
        transaction: "order".to_owned(),
    })
}

/// The answer to an order that did not arrive, or whose answer did not.
pub(super) fn failed(order: &Action, fault: Fault) -> Option<Event> {
    let outcome = Err(fault.clone());
    Some(match order {
        Action::Open => Event::ControllerOpened {
            outcome: Err(fault),
        },
        Action::Read => Event::ControllerRead {
            outcome: Err(fault),
        },
        Action::Configure { .. } => Event::Configured { outcome },
        Action::Arm { .. } => Event::DeadManArmed {
            outcome: Err(fault),
        },
        Action::Kick { .. } => Event::Kicked { outcome },
        Action::Disarm => Event::DeadManDisarmed { outcome },
        Action::TakeTicket { segment } => Event::TicketTaken {
            segment: *segment,
            outcome: Err(fault),
        },
        Action::Close { segment, .. } => Event::SegmentClosed {
            segment: *segment,
            outcome: Err(fault),
        },
        Action::Cut { segment, state } => Event::SegmentCut {
            segment: *segment,
            state: *state,
            outcome: Err(fault),
        },
        Action::Pair(action) => Event::Pair(Box::new(match &**action {
            PairAction::TakeTicket => PairEvent::TicketTaken {
                outcome: Err(fault),
            },
            PairAction::ReadFence { sequence } => PairEvent::FenceRead {
                sequence: *sequence,
                outcome: Err(fault),
            },
            PairAction::Fence { nonce, means, .. } => PairEvent::Fenced {
                nonce: *nonce,
                means: *means,
                outcome: FenceReport::Unknown(fault.to_string()),
            },
            PairAction::Unfence { means } => PairEvent::Unfenced {
                means: *means,
                outcome: Err(fault.to_string()),
            },
            _ => return None,
        })),
        _ => return None,
    })
}
