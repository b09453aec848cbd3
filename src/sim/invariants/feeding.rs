//! Kicks and keepalives: decided one at a time, only while they may be, and never carried out too late.

use core::time::Duration;

use super::orders::Orders;
use super::{Ground, Moment, Seen, Verdict, broken};
use crate::board::RelayState;
use crate::node::{Action, Event, Instant, Policy};

/// Between the node's view of an unanswered job and the adapter's.
const SLACK: Duration = Duration::from_secs(1);
/// After this many failed cuts in a row nothing is kicked.
const CUTS_FAILED_MAX: u32 = 3;

/// Kicks under way, and what speaks against the next.
#[derive(Debug)]
pub(super) struct Feeding {
    policy: Policy,
    kicks_under_way: u32,
    read_at: Option<Instant>,
    read_under_way: Option<Instant>,
    cuts_failed: Vec<u32>,
    wanted: Vec<RelayState>,
    kicked: bool,
}

impl Feeding {
    pub(super) fn new(policy: &Policy) -> Self {
        let count = policy.segments.len();
        Self {
            policy: policy.clone(),
            kicks_under_way: 0,
            read_at: None,
            read_under_way: None,
            cuts_failed: vec![0; count],
            wanted: vec![RelayState::Unknown; count],
            kicked: false,
        }
    }

    pub(super) fn see(
        &mut self,
        ground: &Ground,
        orders: &Orders,
        at: Moment,
        seen: &Seen<'_>,
    ) -> Verdict {
        match seen {
            Seen::Started(_) => *self = Self::new(&self.policy),
            Seen::Told(event) => self.told(ground, at, event),
            Seen::Decided(Action::Read) => self.read_under_way = Some(at.host),
            Seen::Decided(Action::Kick { .. }) => {
                self.invariant_one_kick_at_a_time()?;
                self.kicks_under_way += 1;
                self.kicked = true;
                return self.invariant_kick_gate(orders, at);
            }
            Seen::Decided(Action::Keepalive) => return self.invariant_keepalive_gate(at),
            Seen::Kicked { alive_until } => return invariant_no_late_kick(at, *alive_until),
            Seen::Turned(turn) => {
                let kicked = core::mem::take(&mut self.kicked);
                let Some(status) = turn.status else {
                    return Ok(());
                };
                for (index, segment) in status.segments.iter().enumerate() {
                    if self.wanted[index] != segment.wanted {
                        self.wanted[index] = segment.wanted;
                        self.cuts_failed[index] = 0;
                    }
                }
                if kicked {
                    return self.invariant_no_kick_for_a_disobedient_relay(ground);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn told(&mut self, ground: &Ground, at: Moment, event: &Event) {
        match event {
            Event::Kicked { .. } => self.kicks_under_way = self.kicks_under_way.saturating_sub(1),
            Event::ControllerRead { outcome } => {
                self.read_under_way = None;
                if outcome.is_ok() {
                    self.read_at = Some(at.host);
                    self.obeyed(ground);
                }
            }
            Event::SegmentCut {
                segment, outcome, ..
            } => {
                self.cuts_failed[*segment] = match outcome {
                    Ok(_) => 0,
                    Err(_) => self.cuts_failed[*segment] + 1,
                };
            }
            _ => {}
        }
    }

    fn obeyed(&mut self, ground: &Ground) {
        for (index, failed) in self.cuts_failed.iter_mut().enumerate() {
            if ground.segments[index].told == self.wanted[index] {
                *failed = 0;
            }
        }
    }

    /// At most one kick is decided and not yet answered: a host that slept has no queue of old ones.
    fn invariant_one_kick_at_a_time(&self) -> Verdict {
        if self.kicks_under_way == 0 {
            return Ok(());
        }
        broken(
            "invariant_one_kick_at_a_time",
            "a kick was decided while another was not yet answered".to_owned(),
        )
    }

    /// Nothing is kicked in `disarmed`, or without having seen the hardware lately.
    fn invariant_kick_gate(&self, orders: &Orders, at: Moment) -> Verdict {
        let name = "invariant_kick_gate";
        if orders.in_force().disarmed.is_some() {
            return broken(name, "kicked while disarmed".to_owned());
        }
        let fresh_for = self.policy.read_every * 3 + self.policy.dead_man.period;
        if self
            .read_at
            .is_none_or(|read| at.host.since(read) > fresh_for)
        {
            return broken(
                name,
                "kicked without having read the controller lately".to_owned(),
            );
        }
        Ok(())
    }

    /// Whether the next turn's status is needed to judge its kick.
    pub(super) fn is_suspicious(&self) -> bool {
        let failed = |failed: &u32| *failed >= CUTS_FAILED_MAX;
        self.cuts_failed.iter().any(failed)
    }

    /// Nothing is kicked while a relay that should be cut has not obeyed: the board is left to act.
    fn invariant_no_kick_for_a_disobedient_relay(&self, ground: &Ground) -> Verdict {
        for (index, failed) in self.cuts_failed.iter().enumerate() {
            let wanted = self.wanted[index];
            let obeyed = ground.segments[index].told == wanted;
            let cut = matches!(wanted, RelayState::Bypass | RelayState::Disconnect);
            if cut && *failed >= CUTS_FAILED_MAX && !obeyed {
                return broken(
                    "invariant_no_kick_for_a_disobedient_relay",
                    format!("kicked while segment {index} should be {wanted} and does not obey"),
                );
            }
        }
        Ok(())
    }

    /// The watchdog is not fed while a controller job hangs in the kernel.
    fn invariant_keepalive_gate(&self, at: Moment) -> Verdict {
        let (Some(watchdog), Some(since)) = (self.policy.watchdog, self.read_under_way) else {
            return Ok(());
        };
        if at.host.since(since) <= watchdog.job_overdue_after + SLACK {
            return Ok(());
        }
        broken(
            "invariant_keepalive_gate",
            format!("the watchdog was fed although a read has been unanswered since {since}"),
        )
    }
}

/// No kick is carried out after its right has ended.
fn invariant_no_late_kick(at: Moment, alive_until: Instant) -> Verdict {
    if at.host < alive_until {
        return Ok(());
    }
    broken(
        "invariant_no_late_kick",
        format!(
            "a kick whose right ended at {alive_until} was carried out at {}",
            at.host
        ),
    )
}
