//! What people and the service manager ask of the node: standing orders, acknowledgements, stops.
//!
//! An order that cannot be taken is refused with a sentence and recorded; nothing is done in part. If the process dies
//! before an order was saved, it never was: nobody has been answered yet.

use core::time::Duration;

use super::super::action::{Action, Service};
use super::super::event::{Actor, Command, Stop};
use super::super::orders::Applied;
use super::super::pair::Pair;
use super::super::policy::Commissioning;
use super::super::record::{Fact, Level};
use super::super::time::Instant;
use super::Node;
use crate::board::controller::RelayState;

/// An ordered stop waits this long for relays to be seen cut, then ends all the same: the dead-man stays armed.
const STOP_WAITS: Duration = Duration::from_secs(5);
/// Jobs under way are awaited this long before a successor takes over: a coil pulse must not be cut short.
const HANDOVER_WAITS: Duration = Duration::from_millis(500);

impl Node {
    pub(super) fn requested(&mut self, now: Instant, request: u64, actor: Actor, command: Command) {
        if let Some(answer) = self.refusal(&command) {
            let asked = format!("{command:?}");
            let fact = Fact::Refused {
                by: actor.name,
                asked,
                reason: answer.clone(),
            };
            self.out.record(now, Level::Warning, fact);
            return self.out.push(Action::Reply {
                request,
                answer: Err(answer),
            });
        }
        if command == Command::Acknowledge {
            let alarms = self.out.acknowledge();
            self.out.record(
                now,
                Level::Info,
                Fact::Acknowledged {
                    by: actor.name,
                    alarms,
                },
            );
            let answer = Ok(format!("{alarms} alarms acknowledged"));
            return self.out.push(Action::Reply { request, answer });
        }
        self.orders
            .requested(request, actor, command, &mut self.out);
    }

    /// Why an order cannot be taken, in a sentence.
    fn refusal(&self, command: &Command) -> Option<String> {
        if self.stop.is_some() {
            return Some("the agent is stopping".to_owned());
        }
        let serves = self.pair.as_ref().is_some_and(Pair::is_active);
        if let Command::Maintenance { on: true, .. } = command
            && serves
        {
            return Some("this node is Active: run `fencepost switchover` first".to_owned());
        }
        let Command::Bypass { segment, state } = command else {
            return None;
        };
        let names = || {
            let names: Vec<_> = self
                .segments
                .iter()
                .map(|s| s.policy.name.as_str())
                .collect();
            names.join(", ")
        };
        let known = self
            .segments
            .iter()
            .any(|known| known.policy.name == *segment);
        if !known {
            return Some(format!("no segment {segment:?}; there are: {}", names()));
        }
        let missing = self.policy.commissioning == Commissioning::Missing;
        match state {
            Some(RelayState::Normal) if missing => Some(format!(
                "segment {segment} stays cut: this board is not commissioned; run `fencepost board commission`"
            )),
            Some(RelayState::Unknown) => Some("Unknown is not a state to order".to_owned()),
            _ => None,
        }
    }

    pub(super) fn applied(&mut self, applied: &Applied) {
        let concerned = |name: &str| match applied {
            Applied::Forced(segment) => segment == name,
            Applied::All => true,
        };
        // A forced state may have deafened the dead-man on some hardware: arm and verify it again.
        if self
            .segments
            .iter()
            .any(|segment| concerned(&segment.policy.name))
        {
            self.dead_man.verify_again();
        }
    }

    pub(super) fn stop_requested(&mut self, now: Instant, stop: Stop) {
        if self.stop.is_some() {
            return;
        }
        let (how, waits) = match stop {
            Stop::Ordered => ("ordered: segments go to their fail state", STOP_WAITS),
            Stop::Handover => ("handover: nothing moves", HANDOVER_WAITS),
        };
        self.stop = Some((stop, now + waits));
        self.out.record(
            now,
            Level::Info,
            Fact::Stopping {
                how: how.to_owned(),
            },
        );
        self.out.push(Action::Tell(Service::Stopping));
        if stop == Stop::Handover && self.kick_objection(now).is_none() {
            let limit = self.kick_limit(now).unwrap_or(Some(now));
            self.dead_man.kick_for_successor(now, limit, &mut self.out);
        }
    }
}
