//! The acting half of the loop: each action handed to the thread that carries it out, in order.

use super::pair_hands::PairHands;
use crate::io::controller_thread::{ControllerOrders, Order};
use crate::io::desk::Note;
use crate::io::ledger::Save;
use crate::io::mailbox::{Flushed, Outbox};
use crate::io::watchdog::{WatchdogOrder, WatchdogOrders};
use crate::node::pair::PairAction;
use crate::node::{Action, Event, Service};

/// One end per acting thread.
pub struct Hands {
    /// The bypass controller.
    pub controller: ControllerOrders,
    /// The watchdog, if this agent keeps one.
    pub watchdog: Option<WatchdogOrders>,
    /// Durable state.
    pub ledger: Outbox<Save>,
    /// Records and replies.
    pub desk: Outbox<Note>,
    /// The service manager.
    pub manager: Outbox<Service>,
    /// The pair, if this agent is half of one.
    pub pair: Option<PairHands>,
    /// Records, replies and words to the manager that could not be handed over.
    pub dropped: u64,
}

/// What became of handing over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carried {
    /// On its way.
    On,
    /// It could not be; this is its answer.
    Answered(Event),
    /// The loop is to end.
    Exit,
}

impl Hands {
    /// Hand over one action.
    pub fn carry_out(&mut self, action: Action) -> Carried {
        match action {
            Action::Open => self.order(Order::Open),
            Action::Read => self.order(Order::Read),
            Action::Configure { settings } => self.order(Order::Configure(settings)),
            Action::Arm { period } => self.order(Order::Arm(period)),
            Action::Kick { alive_until } => self.order(Order::Kick(alive_until)),
            Action::Disarm => self.order(Order::Disarm),
            Action::TakeTicket { segment } => self.order(Order::TakeTicket(segment)),
            Action::Close {
                segment,
                ticket,
                proof,
            } => self.order(Order::Close(segment, ticket, proof)),
            Action::Cut { segment, state } => self.order(Order::Cut(segment, state)),
            Action::RememberLeft { left } => self.order(Order::RememberLeft(left)),
            Action::OpenWatchdog => self.watchdog(WatchdogOrder::Open),
            Action::Keepalive => self.watchdog(WatchdogOrder::Keepalive),
            Action::ReleaseWatchdog => self.watchdog(WatchdogOrder::Release),
            Action::Persist { sequence, state } => self.persist(Save { sequence, state }),
            Action::Record(record) => self.note(Note::Record(record)),
            Action::Reply { request, answer } => self.note(Note::Reply { request, answer }),
            Action::Tell(service) => {
                if self.manager.push(service).is_err() {
                    self.dropped += 1;
                }
                Carried::On
            }
            Action::Pair(action) => self.pair(*action),
            Action::Exit => Carried::Exit,
        }
    }

    /// Hand over what waited for a lock; without waiting.
    pub fn flush(&mut self) -> Flushed {
        let pair = self.pair.as_mut().map_or(Flushed::All, PairHands::flush);
        let flushed = [
            self.ledger.flush(),
            self.desk.flush(),
            self.manager.flush(),
            pair,
        ];
        if flushed.contains(&Flushed::Partly) {
            Flushed::Partly
        } else {
            Flushed::All
        }
    }

    fn order(&self, order: Order) -> Carried {
        self.controller
            .give(order)
            .map_or(Carried::On, Carried::Answered)
    }

    /// What the controller does for the pair goes to its thread, everything else to the pair's own.
    fn pair(&mut self, action: PairAction) -> Carried {
        match action {
            PairAction::TakeTicket => self.order(Order::TakePairTicket),
            PairAction::ReadFence { sequence } => self.order(Order::ReadFence(sequence)),
            PairAction::Fence {
                nonce,
                means,
                decided,
            } if !self.is_program(means) => self.order(Order::Fence {
                nonce,
                means,
                decided,
            }),
            PairAction::Unfence { means } if !self.is_program(means) => {
                self.order(Order::Unfence(means))
            }
            action => {
                let answer = self.pair.as_mut().and_then(|pair| pair.carry_out(action));
                answer.map_or(Carried::On, |event| {
                    Carried::Answered(Event::Pair(Box::new(event)))
                })
            }
        }
    }

    fn is_program(&self, means: usize) -> bool {
        let pair = self.pair.as_ref();
        pair.is_some_and(|pair| pair.is_program(means))
    }

    fn watchdog(&self, order: WatchdogOrder) -> Carried {
        let answer = match &self.watchdog {
            Some(watchdog) => watchdog.give(order),
            None => order.failed("no watchdog is configured for this agent".to_owned()),
        };
        answer.map_or(Carried::On, Carried::Answered)
    }

    fn persist(&mut self, save: Save) -> Carried {
        let sequence = save.sequence;
        match self.ledger.push(save) {
            Ok(()) => Carried::On,
            Err(_) => Carried::Answered(Event::Persisted {
                sequence,
                outcome: Err(
                    "the ledger's thread has ended or is behind; its disk hangs".to_owned()
                ),
            }),
        }
    }

    fn note(&mut self, note: Note) -> Carried {
        if self.desk.push(note).is_err() {
            self.dropped += 1;
        }
        Carried::On
    }
}
