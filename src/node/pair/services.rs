//! Units that run on the Active: what they should be, what they are, and what a failed start means.
//!
//! They follow the role and never lead it: ordered to start once this node serves, and to stop once it does not, after its vips were
//! ordered away. No claim, word or kick waits for them. What if an answer never comes? It is shown as under way, and the
//! next change of role orders anew.

use core::time::Duration;

use super::Pair;
use super::event::{PairAction, ServicesWanted};
use super::policy::ServicesFailed;
use super::status::ServicesStatus;
use crate::node::outbox::Outbox;
use crate::node::record::{Fact, Level};
use crate::node::time::Instant;

/// An order that failed is given again after this long: a unit may have been mended meanwhile.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// The units of this node, all together.
#[derive(Debug, Clone, Default)]
pub(super) struct Services {
    numbers: u64,
    /// The last order, and whether it has been answered.
    order: Option<(u64, ServicesWanted, Answered)>,
    fault: Option<String>,
    try_at: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answered {
    No,
    Well,
    Failed,
}

impl Services {
    /// Order what is wanted, unless that is ordered or so already.
    fn step(&mut self, now: Instant, wanted: ServicesWanted, out: &mut Outbox) {
        let ordered = match self.order {
            Some((_, last, _)) if last != wanted => false,
            Some((_, _, Answered::Failed)) => now < self.try_at,
            Some(_) => true,
            None => false,
        };
        if ordered {
            return;
        }
        self.numbers += 1;
        let number = self.numbers;
        self.order = Some((number, wanted, Answered::No));
        out.pair(PairAction::SetServices { number, wanted });
    }

    /// What became of an order; `false` if it was not the last one.
    fn set(&mut self, now: Instant, number: u64, outcome: &Result<(), String>) -> bool {
        let Some((last, _, answered)) = &mut self.order else {
            return false;
        };
        if *last != number {
            return false;
        }
        self.fault = outcome.as_ref().err().cloned();
        *answered = match outcome {
            Ok(()) => Answered::Well,
            Err(_) => Answered::Failed,
        };
        self.try_at = now + TRY_AGAIN_AFTER;
        true
    }

    /// They were ordered to start and did not.
    fn not_started(&self) -> bool {
        matches!(
            self.order,
            Some((_, ServicesWanted::Started, Answered::Failed))
        )
    }

    fn next(&self) -> Option<Instant> {
        matches!(self.order, Some((_, _, Answered::Failed))).then_some(self.try_at)
    }

    fn status(&self) -> Option<ServicesStatus> {
        let (_, wanted, answered) = self.order?;
        Some(ServicesStatus {
            wanted,
            done: answered == Answered::Well,
            fault: self.fault.clone(),
        })
    }
}

impl Pair {
    pub(super) fn step_services(&mut self, now: Instant, out: &mut Outbox) {
        if self.policy.services.is_none() || !self.settled {
            return;
        }
        let wanted = if self.active.is_some() {
            ServicesWanted::Started
        } else {
            ServicesWanted::Stopped
        };
        self.services.step(now, wanted, out);
    }

    pub(super) fn services_set(
        &mut self,
        now: Instant,
        number: u64,
        wanted: ServicesWanted,
        outcome: Result<(), String>,
        out: &mut Outbox,
    ) {
        if !self.services.set(now, number, &outcome) {
            return;
        }
        match outcome {
            Ok(()) => out.record(now, Level::Info, Fact::ServicesSet { wanted }),
            Err(error) => {
                let fact = Fact::ServicesFailed { wanted, error };
                out.record(now, Level::Alarm, fact);
            }
        }
    }

    /// The units did not come up here, and the configuration says that this is a reason to hand over.
    pub(super) fn services_object(&self) -> bool {
        self.policy.services == Some(ServicesFailed::HandOver) && self.services.not_started()
    }

    pub(super) fn services_next(&self) -> Option<Instant> {
        self.services.next()
    }

    pub(super) fn services_status(&self) -> Option<ServicesStatus> {
        self.services.status()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::action::Action;

    fn ordered(out: &mut Outbox) -> Vec<(u64, ServicesWanted)> {
        let actions = core::iter::from_fn(|| out.pop());
        actions
            .filter_map(|action| match action {
                Action::Pair(action) => match *action {
                    PairAction::SetServices { number, wanted } => Some((number, wanted)),
                    _ => None,
                },
                _ => None,
            })
            .collect()
    }

    #[test]
    fn ordered_once_per_change_and_again_after_a_failure() {
        use ServicesWanted::{Started, Stopped};
        let at = Instant::from_millis;
        let (mut services, mut out) = (Services::default(), Outbox::default());
        services.step(at(0), Stopped, &mut out);
        services.step(at(1), Stopped, &mut out);
        assert_eq!(ordered(&mut out), [(1, Stopped)]);
        // A change does not wait for the answer to what was ordered before, and that answer is no news.
        services.step(at(2), Started, &mut out);
        assert_eq!(ordered(&mut out), [(2, Started)]);
        assert!(!services.set(at(3), 1, &Ok(())));
        assert!(services.set(at(4), 2, &Err("masked".to_owned())));
        assert!(services.not_started());
        services.step(at(5), Started, &mut out);
        assert_eq!(ordered(&mut out), []);
        let again = services.next().unwrap();
        services.step(again, Started, &mut out);
        assert_eq!(ordered(&mut out), [(3, Started)]);
        assert!(services.set(again, 3, &Ok(())));
        assert!(!services.not_started() && services.next().is_none());
        assert_eq!(services.status().unwrap().fault, None);
    }
}
