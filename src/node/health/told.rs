//! A port that went dark, as the kernel says and not as a look found.
//!
//! Such a word is no sample: it needs no second opinion. But a port is dark as well when the relay in front of it has
//! moved, and that is no failure. So the relays are read once more, asked for after the word came, and only a port that is dark
//! behind relays that stand where they stood has failed. What if the controller does not answer, or the word was lost? The ordinary
//! looks go on and come to the same end, later.

use super::{Check, Health};
use crate::node::event::Verdict;
use crate::node::outbox::Outbox;
use crate::node::policy::CarrierRole;
use crate::node::segment::Segment;
use crate::node::status::CheckHealth;
use crate::node::time::Instant;

/// A check whose `fall` is greater was told to ride out short losses: it goes by what is looked at alone.
const FALL_MAX: u32 = 2;

/// A word that waits for the relays.
#[derive(Debug, Clone)]
pub(super) struct Loss {
    at: Instant,
    output: String,
}

impl Health {
    /// The port of this check has lost its carrier.
    pub(in crate::node) fn carrier_lost(
        &mut self,
        now: Instant,
        check: usize,
        output: String,
        segments: &[Segment],
        out: &mut Outbox,
    ) {
        let Some(check) = self.checks.get_mut(check) else {
            return;
        };
        let ours = check.is_physics(now, segments) || check.concerns(segments, Segment::busy);
        let known = check.health == CheckHealth::Failing;
        if ours || known || check.policy.fall > FALL_MAX {
            return;
        }
        let relay_can_tell = check.policy.carrier != CarrierRole::None
            && check.concerns(segments, |segment| !segment.is_unreadable());
        let loss = Loss { at: now, output };
        if relay_can_tell {
            check.loss.get_or_insert(loss);
        } else {
            check.lose(now, loss, out);
        }
    }

    /// A word waits for the relays to be read.
    pub(in crate::node) fn awaits_relays(&self) -> bool {
        self.checks.iter().any(|check| check.loss.is_some())
    }

    /// The relays were read, asked for at `asked`: what was told by then is judged.
    pub(in crate::node) fn relays_read(
        &mut self,
        now: Instant,
        asked: Instant,
        segments: &[Segment],
        out: &mut Outbox,
    ) {
        for check in &mut self.checks {
            let Some(loss) = check.loss.take_if(|loss| loss.at <= asked) else {
                continue;
            };
            if !check.is_physics(now, segments) {
                check.lose(now, loss, out);
            }
        }
    }

    /// A failover check of `segment` fails by the kernel's own word.
    pub(in crate::node) fn stated(&self, segment: &Segment) -> bool {
        self.failover_checks(segment).any(Check::fails_as_stated)
    }

    /// One of a host without segments does.
    pub(in crate::node) fn stated_of_host(&self) -> bool {
        self.all_failover_checks().any(Check::fails_as_stated)
    }
}

impl Check {
    fn concerns(&self, segments: &[Segment], so: impl Fn(&Segment) -> bool) -> bool {
        let mine = self.policy.segments.iter();
        mine.filter_map(|at| segments.get(*at)).any(so)
    }

    fn fails_as_stated(&self) -> bool {
        self.stated && self.health == CheckHealth::Failing
    }

    fn lose(&mut self, now: Instant, loss: Loss, out: &mut Outbox) {
        self.row_is_good = false;
        self.in_row = self.policy.fall.max(1);
        self.verdict = Some(Verdict::Critical);
        self.output = loss.output;
        (self.reported_at, self.heard_at) = (Some(now), now);
        self.stated = true;
        self.become_failing(now, CheckHealth::Failing, out);
    }

    /// Good verdicts in a row until it passes. After a loss that was told one more: the first may have been taken before it.
    pub(super) fn rise(&self) -> u32 {
        self.policy.rise.max(1) + u32::from(self.stated)
    }
}
