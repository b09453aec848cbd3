//! What a person may ask of the pair.

use super::Pair;
use super::event::PairCommand;
use super::refusal::Refusal;
use crate::node::action::Action;
use crate::node::event::Actor;
use crate::node::outbox::Outbox;
use crate::node::record::{Fact, Level};
use crate::node::time::Instant;
use crate::wire::Role;

/// Proof: a named person said that the peer is off the wire. Made only by [`Pair::requested`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OperatorConfirmed {
    by: String,
    reason: String,
}

impl OperatorConfirmed {
    pub(super) fn by(&self) -> &str {
        &self.by
    }

    pub(super) fn reason(&self) -> &str {
        &self.reason
    }
}

/// A switchover under way.
#[derive(Debug, Clone)]
pub(super) struct Switchover {
    pub(super) to: Target,
    request: u64,
    until: Instant,
}

/// Where the vips are to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Us,
    Peer,
}

impl Pair {
    pub(in crate::node) fn requested(
        &mut self,
        now: Instant,
        request: u64,
        actor: Actor,
        command: PairCommand,
        out: &mut Outbox,
    ) {
        self.news(now);
        let answer = match command {
            PairCommand::Switchover { reason } => {
                self.switchover(now, request, &actor, reason, out)
            }
            PairCommand::FenceTest { means, reason } => {
                let begun = self.test_fences(now, &actor, means.as_deref(), reason, out);
                out.push(Action::Reply {
                    request,
                    answer: begun,
                });
                Ok(())
            }
            PairCommand::Pin { on, reason } => {
                self.order_pin(now, request, &actor, (on, reason), out)
            }
            PairCommand::ConfirmPeerDead { reason } => {
                self.peer_confirmed_dead(now, request, actor, reason, out)
            }
        };
        if let Err(why) = answer {
            let answer = Err(why);
            out.push(Action::Reply { request, answer });
        }
    }

    fn switchover(
        &mut self,
        now: Instant,
        request: u64,
        actor: &Actor,
        reason: String,
        out: &mut Outbox,
    ) -> Result<(), String> {
        self.pin_refuses()?;
        if self.switchover.is_some() {
            return Err("a switchover is under way already".to_owned());
        }
        if !self.talking(now) {
            return Err("the peer is not heard both ways; a switchover needs its word".to_owned());
        }
        if self.active.is_some() {
            if !self.peer_ready() {
                return Err("the peer says that it could not take over now".to_owned());
            }
        } else if let Some(why) = self.own_objections(now).first() {
            return Err(why.to_string());
        }
        let mode = "switchover ordered".to_owned();
        let by = actor.name.clone();
        out.record(now, Level::Info, Fact::ModeChanged { mode, by, reason });
        let to = if self.active.is_some() {
            Target::Peer
        } else {
            Target::Us
        };
        self.switchover = Some(Switchover {
            to,
            request,
            until: now + self.policy.timing.give_up_after,
        });
        self.heartbeat_at = now;
        Ok(())
    }

    /// The person's word is for the claim that needs it now, not for one in the future.
    fn peer_confirmed_dead(
        &mut self,
        now: Instant,
        request: u64,
        actor: Actor,
        reason: String,
        out: &mut Outbox,
    ) -> Result<(), String> {
        if self.talking(now) {
            return Err("the peer is heard both ways: it is not dead".to_owned());
        }
        // A promise is not to claim by itself; this is by a person's word.
        let objections = self.own_objections(now);
        if let Some(why) = objections.iter().find(|why| **why != Refusal::Pinned) {
            return Err(why.to_string());
        }
        let by = actor.name;
        let mode = "peer confirmed dead".to_owned();
        let fact = Fact::ModeChanged {
            mode,
            by: by.clone(),
            reason: reason.clone(),
        };
        out.record(now, Level::Warning, fact);
        self.abandon(now, "an operator confirmed the peer dead", out);
        self.begin_by_operator(now, OperatorConfirmed { by, reason });
        let answer = Ok("taking over on your word".to_owned());
        out.push(Action::Reply { request, answer });
        Ok(())
    }

    /// A switchover is over: done, or its time is.
    pub(super) fn step_switchover(&mut self, now: Instant, out: &mut Outbox) {
        let Some(order) = &self.switchover else {
            return;
        };
        let done = match order.to {
            Target::Us => self.active.is_some(),
            Target::Peer => self.active.is_none() && self.peer.role() == Some(Role::Active),
        };
        if !done && now < order.until {
            return;
        }
        let request = order.request;
        let answer = if done {
            Ok("switched over".to_owned())
        } else {
            let why = self.takeover_refusals(now).first().map(ToString::to_string);
            Err(why.unwrap_or("the peer did not take over in time".to_owned()))
        };
        self.switchover = None;
        out.push(Action::Reply { request, answer });
    }
}
