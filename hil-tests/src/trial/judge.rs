//! What the board's own journal proves: which timer fired when, and in which order things were done.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fencepost::board::RelayState;
use fencepost::node::Instant;
use fencepost::sim::{BoardFact, MoveCause};

use super::Trial;
use crate::appliance::model::DWELL;

/// What the rig's own thread that runs the board's timers may be late by.
const TICK_LATE: Duration = Duration::from_millis(400);

impl Trial<'_> {
    /// The move after the stimulus was the dead-man's, and came no later than its period after the last kick. No emulation excuses this: the
    /// board runs on the rig's clock.
    pub fn expect_expiry_in_time(&mut self) -> Result<()> {
        let period = self.period().context("this board has no dead-man")?;
        let stimulus = self.stimulus();
        let journal = self.appliance.journal();
        let cut = journal.iter().find_map(|event| match event.fact {
            BoardFact::RelayMoved { to, cause, .. }
                if event.at >= stimulus && to != RelayState::Normal =>
            {
                Some((event.at, cause))
            }
            _ => None,
        });
        let (cut, cause) = cut.context("no relay moved after the stimulus")?;
        // On boards whose line carries the kicks, letting go of it is the end of the kicks.
        ensure!(
            matches!(cause, MoveCause::Expiry | MoveCause::LineReleased),
            "invariant_fail_open: the relay was moved by {cause:?}; expected the dead-man"
        );
        let kicks = journal.iter().filter(|event| {
            event.at <= cut
                && matches!(
                    event.fact,
                    BoardFact::DeadManKicked { .. } | BoardFact::DeadManArmed { .. }
                )
        });
        let Some(kicked) = kicks.map(|event| event.at).max() else {
            return Ok(());
        };
        let took = cut.since(kicked);
        ensure!(
            took <= period + TICK_LATE,
            "invariant_fail_open: the relay moved {} ms after the last kick; the period is {} ms",
            took.as_millis(),
            period.as_millis()
        );
        self.saw(format!(
            "{} ms after the last kick (period {} ms)",
            took.as_millis(),
            period.as_millis()
        ));
        Ok(())
    }

    /// The dead-man ran before the first segment went to `Normal`.
    pub fn expect_armed_before_normal(&mut self) -> Result<()> {
        let stimulus = self.stimulus();
        let journal = self.appliance.journal();
        let armed = journal
            .iter()
            .find(|event| {
                matches!(
                    event.fact,
                    BoardFact::DeadManArmed { .. } | BoardFact::DeadManKicked { .. }
                ) && event.at >= stimulus
            })
            .map(|event| event.at);
        let closed = journal.iter().find_map(|event| match event.fact {
            BoardFact::RelayMoved {
                to: RelayState::Normal,
                ..
            } if event.at >= stimulus => Some(event.at),
            _ => None,
        });
        match (armed, closed) {
            (Some(armed), Some(closed)) => {
                ensure!(
                    armed <= closed,
                    "invariant_armed_before_normal: Normal {} ms before the dead-man ran",
                    armed.since(closed).as_millis()
                );
                Ok(())
            }
            // A wave is not armed; its relay cannot be in Normal without it.
            (None, _) if self.is_wave() => Ok(()),
            (armed, closed) => {
                anyhow::bail!("invariant_armed_before_normal: armed {armed:?}, Normal {closed:?}")
            }
        }
    }

    /// The move after the stimulus was the agent's order, not a timer's.
    pub fn expect_ordered(&mut self) -> Result<()> {
        let stimulus = self.stimulus();
        let wave = self.is_wave();
        let moved = self
            .appliance
            .journal()
            .iter()
            .find_map(|event| match event.fact {
                BoardFact::RelayMoved { cause, to, .. }
                    if event.at >= stimulus && to != RelayState::Normal =>
                {
                    Some(cause)
                }
                _ => None,
            });
        // A wave is cut by silence: there the MCU's own timer is the order's way.
        let by_order = matches!(moved, Some(MoveCause::Command | MoveCause::LineReleased))
            || (wave && moved == Some(MoveCause::Expiry));
        ensure!(
            by_order,
            "the relay was moved by {moved:?}; expected the agent's order"
        );
        Ok(())
    }

    /// The first move after the agent's own record of `fact` came within `bound` of it. A wave's timer is added: it is cut by silence.
    pub fn expect_soon_after(&mut self, fact: &str, bound: Duration) -> Result<()> {
        let recorded = self.event_at(fact)?;
        let wave = if self.is_wave() {
            self.period().unwrap_or_default()
        } else {
            Duration::ZERO
        };
        let moves = self.appliance.moves_since(self.stimulus());
        let (moved, ..) = moves.first().context("no relay moved")?;
        let took = moved.since(recorded);
        ensure!(
            took <= bound + wave,
            "the relay moved {} ms after the agent recorded `{fact}`; expected within {} ms",
            took.as_millis(),
            (bound + wave).as_millis()
        );
        self.saw(format!("{} ms after `{fact}`", took.as_millis()));
        Ok(())
    }

    /// How soon contacts must follow an order that is given within `bound`: a wave is cut by silence, so its timer comes on top.
    pub fn ordered_within(&self, bound: Duration) -> Duration {
        let wave = if self.is_wave() { self.period() } else { None };
        bound + wave.unwrap_or_default()
    }

    /// Whether edges on a line are what holds the relay.
    pub fn is_wave(&self) -> bool {
        self.appliance.profile().dead_man.kind == fencepost::board::profile::DeadManKind::PulseTrain
    }

    /// No segment went to `Normal` sooner than the dwell after `since`.
    pub fn expect_dwell_since(&mut self, since: Instant) -> Result<()> {
        let moves = self.appliance.moves_since(since);
        for (at, segment, to) in moves {
            let took = at.since(since);
            ensure!(
                to != RelayState::Normal || took >= DWELL,
                "invariant_dwell: segment {segment} went to Normal {} ms after its path could have become good; the dwell is {} ms",
                took.as_millis(),
                DWELL.as_millis()
            );
        }
        Ok(())
    }
}
