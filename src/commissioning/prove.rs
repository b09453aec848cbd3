//! The procedure: one segment at a time, each state and the dead-man, read-back and carrier must agree.
//!
//! For each segment: `Normal` (carrier of both its ports must come), each cut state the board can do (carrier of both
//! must be lost; for `Disconnect` it must stay away), and at last the dead-man: kicks stop, and the relay must leave
//! `Normal` by itself. During every move no port of another segment may lose carrier, which finds relays that are mixed up or tied
//! together. However it ends, every segment is put into its fail state.

use core::time::Duration;

use super::ports::Link;
use super::record::{SegmentProof, StepProof};
use super::wiring::port_name;
use crate::board::controller::{
    Controller, CutState, DeadManReading, Evidence, Fault, Moved, RelayState,
};
use crate::board::profile::PortRef;
use crate::config::{PeriodKnown, Site};
use crate::node::Instant;
use crate::node::policy::Arming;

/// Between two looks at carrier or controller. Short against every dead-man period (50 ms at least).
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// After carrier was lost in `Disconnect` it must stay away for this long.
const STAY_DARK: Duration = Duration::from_secs(1);
/// Most a stated period may be exceeded: reading the relay takes its time, a starved host some more.
const EXPIRY_SLACK: Duration = Duration::from_millis(250);
/// How long to wait for a dead-man that does not fire, beyond twice its period.
const EXPIRY_PATIENCE: Duration = Duration::from_secs(10);

/// What the procedure needs besides the controller.
pub trait Bench {
    /// Now, on the controller driver's clock.
    fn now(&self) -> Instant;
    /// Wait.
    fn pause(&mut self, span: Duration);
    /// A port's link, or a sentence why it cannot be told.
    ///
    /// # Errors
    /// A sentence for the operator.
    fn link(&mut self, port: &PortRef) -> Result<Link, String>;
    /// Progress, for the operator.
    fn tell(&mut self, text: &str);
    /// Whether the operator wants to stop.
    fn interrupted(&mut self) -> bool;
}

/// Why it was not proven.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// The hardware did something else than it should: the wiring is not as described, or broken.
    #[error("segment {segment}: {what}")]
    Disproved {
        /// Name in the configuration.
        segment: String,
        /// What was seen instead.
        what: String,
    },
    /// Nothing was shown either way.
    #[error("{0}")]
    Unfinished(String),
}

/// Prove every segment in use. Carrier has `relink` to come or go.
///
/// # Errors
/// The first thing that is not as it must be.
pub fn prove(
    site: &Site,
    controller: &mut dyn Controller,
    bench: &mut dyn Bench,
    relink: Duration,
) -> Result<Vec<SegmentProof>, Stopped> {
    let mut procedure = Procedure {
        site,
        controller,
        bench,
        relink,
        kick_at: None,
    };
    let proven = procedure.all();
    let safe = procedure.make_safe();
    let proven = proven?;
    safe.map(|()| proven)
}

struct Procedure<'a> {
    site: &'a Site,
    controller: &'a mut dyn Controller,
    bench: &'a mut dyn Bench,
    relink: Duration,
    /// When the next kick is due; `None` while the dead-man does not run.
    kick_at: Option<Instant>,
}

impl Procedure<'_> {
    fn all(&mut self) -> Result<Vec<SegmentProof>, Stopped> {
        self.cut_all()?;
        self.controller
            .configure(&self.site.settings)
            .map_err(|fault| unfinished("stored settings", &fault))?;
        (0..self.site.board.segments.len())
            .map(|index| self.segment(index))
            .collect()
    }

    fn segment(&mut self, index: usize) -> Result<SegmentProof, Stopped> {
        let name = self.name(index).to_owned();
        let facts = &self.site.board.segments[index];
        let fail = self.site.config.segments[index].fail;
        let mut cuts: Vec<CutState> = facts
            .run_time
            .iter()
            .filter_map(|s| cut_state(*s))
            .collect();
        // The one that matters last, so that it is the state the segment is left in.
        cuts.sort_by_key(|cut| *cut == fail);
        self.bench.tell(&format!("segment {name}"));
        let mut steps = Vec::new();
        self.arm()?;
        for cut in cuts {
            steps.push(self.step(index, RelayState::Normal)?);
            steps.push(self.step(index, cut.into())?);
        }
        let dead_man_ms = match self.site.timing.arming {
            Arming::Absent => {
                self.bench.tell("  dead-man    this board has none");
                None
            }
            Arming::Required | Arming::Inherent => {
                steps.push(self.step(index, RelayState::Normal)?);
                Some(self.expiry(index)?)
            }
        };
        Ok(SegmentProof {
            segment: name,
            steps,
            dead_man_ms,
        })
    }

    /// Move one relay and watch its two ports and everybody else's.
    fn step(&mut self, index: usize, state: RelayState) -> Result<StepProof, Stopped> {
        let own = self.links(index)?;
        let others = self.other_links(index)?;
        let begin = self.bench.now();
        let moved = self.order(index, state)?;
        let seen = moved.after;
        let readable = seen.state != RelayState::Unknown;
        if readable && seen.state != state {
            return Err(self.disproved(
                index,
                format!("ordered to {state}, it reads {}", seen.state),
            ));
        }
        self.await_carrier(index, state, &own, begin)?;
        let took = self.bench.now().since(begin);
        if state == RelayState::Disconnect {
            self.stay_dark(index)?;
        }
        self.refuse_moved_neighbours(index, &others)?;
        let carrier_ms = millis(took);
        self.bench.tell(&format!(
            "  {state:<10}  as ordered, carrier followed within {carrier_ms} ms"
        ));
        Ok(StepProof {
            state,
            read: seen.state,
            evidence: seen.evidence,
            carrier_ms,
        })
    }

    fn order(&mut self, index: usize, state: RelayState) -> Result<Moved, Stopped> {
        let moved = match cut_state(state) {
            Some(cut) => self.controller.cut(index, cut),
            None => self
                .controller
                .take_ticket()
                .and_then(|ticket| self.controller.close(index, ticket)),
        };
        moved.map_err(|fault| match fault {
            Fault::NotMoved { .. } => self.disproved(index, fault.to_string()),
            fault => unfinished(&format!("segment {} to {state}", self.name(index)), &fault),
        })
    }

    /// `Normal`: both ports must get carrier. Cut: both must lose it, if only for a moment (some boards join the
    /// host's two ports with each other).
    fn await_carrier(
        &mut self,
        index: usize,
        state: RelayState,
        before: &[Link],
        begin: Instant,
    ) -> Result<(), Stopped> {
        loop {
            let now = self.links(index)?;
            let missing: Vec<String> = self
                .ports(index)
                .iter()
                .zip(now.iter().zip(before))
                .filter(|(_, (now, before))| match state {
                    RelayState::Normal => !now.carrier,
                    _ => before.carrier && now.carrier && now.losses == before.losses,
                })
                .map(|(port, _)| port_name(port))
                .collect();
            if missing.is_empty() {
                return Ok(());
            }
            if self.bench.now().since(begin) >= self.relink {
                let ports = missing.join(" and ");
                let what = match state {
                    RelayState::Normal => format!(
                        "in Normal, {ports} got no carrier within {} s: is the cable in, the neighbour on, and is \
                         this the segment's port?",
                        self.relink.as_secs()
                    ),
                    _ => format!(
                        "cut to {state}, {ports} kept carrier for {} s: this is not the segment's port, or the relay \
                         did not move",
                        self.relink.as_secs()
                    ),
                };
                return Err(self.disproved(index, what));
            }
            self.pause(LOOK_EVERY)?;
        }
    }

    fn stay_dark(&mut self, index: usize) -> Result<(), Stopped> {
        let until = self.bench.now() + STAY_DARK;
        while self.bench.now() < until {
            let links = self.links(index)?;
            if let Some((port, _)) = self
                .ports(index)
                .iter()
                .zip(links)
                .find(|(_, it)| it.carrier)
            {
                let what = format!("in Disconnect, {} has carrier", port_name(port));
                return Err(self.disproved(index, what));
            }
            self.pause(LOOK_EVERY)?;
        }
        Ok(())
    }

    fn refuse_moved_neighbours(
        &mut self,
        index: usize,
        before: &[(usize, Vec<Link>)],
    ) -> Result<(), Stopped> {
        let now = self.other_links(index)?;
        for ((other, was), (_, is)) in before.iter().zip(&now) {
            // Only a loss says that a relay moved: links of an earlier step may still be coming up.
            if was.iter().zip(is).any(|(was, is)| was.losses != is.losses) {
                let what = format!(
                    "when it moved, segment {} lost carrier: its relay moves too, or the two are mixed up",
                    self.name(*other)
                );
                return Err(self.disproved(index, what));
            }
        }
        Ok(())
    }

    /// Let the dead-man fire; the time from the last kick until the relay had moved, in milliseconds.
    fn expiry(&mut self, index: usize) -> Result<u64, Stopped> {
        let timing = self.site.timing;
        let before = self.links(index)?;
        self.kick()?;
        self.kick_at = None;
        let begin = self.bench.now();
        let patience = timing.period * 2 + EXPIRY_PATIENCE;
        loop {
            let reading = self
                .controller
                .read()
                .map_err(|fault| unfinished("waiting for the dead-man", &fault))?;
            let took = self.bench.now().since(begin);
            let seen = reading.segments.get(index);
            // A coil's drive says Normal while the timer behind it has let the relay fall: then the ports tell.
            let truthful = seen.is_some_and(|it| it.evidence <= Evidence::Register);
            match seen.map(|segment| segment.state) {
                Some(state @ (RelayState::Bypass | RelayState::Disconnect)) => {
                    return self.judge_expiry(index, Some(state), took);
                }
                _ if !truthful && self.lost_carrier(index, &before)? => {
                    return self.judge_expiry(index, None, took);
                }
                _ => {}
            }
            if took > patience {
                let fired = reading.dead_man == DeadManReading::Expired;
                let what = format!(
                    "the dead-man {} and the relay stayed in Normal for {} s after the last kick",
                    if fired { "fired" } else { "did not fire" },
                    took.as_secs()
                );
                return Err(self.disproved(index, what));
            }
            self.pause(LOOK_EVERY)?;
        }
    }

    fn judge_expiry(
        &mut self,
        index: usize,
        state: Option<RelayState>,
        took: Duration,
    ) -> Result<u64, Stopped> {
        let timing = self.site.timing;
        let wanted = self.site.settings[index].expiry.map(RelayState::from);
        if let (Some(state), Some(wanted)) = (state, wanted)
            && state != wanted
        {
            let what = format!("the dead-man put it into {state}, and it should be {wanted}");
            return Err(self.disproved(index, what));
        }
        let ms = millis(took);
        if took > timing.period + EXPIRY_SLACK {
            if timing.known != PeriodKnown::Assumed {
                let what = format!(
                    "the dead-man fired {ms} ms after the last kick; its period is {} ms",
                    timing.period.as_millis()
                );
                return Err(self.disproved(index, what));
            }
            self.bench.tell(&format!(
                "  dead-man    slower than assumed: put `measured_ms = {ms}` under [dead_man]"
            ));
        }
        self.bench
            .tell(&format!("  dead-man    fired {ms} ms after the last kick"));
        // The relay is away; an order makes sure of the fail state and of what the driver believes.
        let fail = self.site.config.segments[index].fail;
        self.order(index, fail.into())?;
        Ok(ms)
    }

    fn lost_carrier(&mut self, index: usize, before: &[Link]) -> Result<bool, Stopped> {
        let now = self.links(index)?;
        Ok(now
            .iter()
            .zip(before)
            .any(|(now, before)| now.losses != before.losses))
    }

    fn arm(&mut self) -> Result<(), Stopped> {
        if self.site.timing.arming == Arming::Absent {
            return Ok(());
        }
        self.controller
            .arm(self.site.timing.period)
            .map_err(|fault| unfinished("the dead-man", &fault))?;
        self.kick()
    }

    fn kick(&mut self) -> Result<(), Stopped> {
        let timing = self.site.timing;
        let now = self.bench.now();
        self.controller
            .kick(now + timing.period)
            .map_err(|fault| unfinished("a kick of the dead-man", &fault))?;
        self.kick_at = Some(now + timing.kick_every);
        Ok(())
    }

    /// Wait, and keep the dead-man from firing meanwhile.
    fn pause(&mut self, span: Duration) -> Result<(), Stopped> {
        if self.bench.interrupted() {
            return Err(Stopped::Unfinished("interrupted".to_owned()));
        }
        self.bench.pause(span);
        match self.kick_at {
            Some(due) if self.bench.now() >= due => self.kick(),
            _ => Ok(()),
        }
    }

    fn cut_all(&mut self) -> Result<(), Stopped> {
        let mut first = Ok(());
        for index in 0..self.site.board.segments.len() {
            let fail = self.site.config.segments[index].fail;
            let cut = self.order(index, fail.into());
            if first.is_ok() {
                first = cut.map(|_| ());
            }
        }
        first
    }

    /// Every segment to its fail state, then the dead-man off: in that order, so that it stands behind the first.
    fn make_safe(&mut self) -> Result<(), Stopped> {
        self.cut_all()?;
        self.kick_at = None;
        match self.site.timing.arming {
            Arming::Required => self
                .controller
                .disarm()
                .map_err(|fault| unfinished("stopping the dead-man", &fault)),
            Arming::Inherent | Arming::Absent => Ok(()),
        }
    }

    fn links(&mut self, index: usize) -> Result<Vec<Link>, Stopped> {
        let ports: Vec<PortRef> = self.ports(index).to_vec();
        ports
            .iter()
            .map(|port| self.bench.link(port).map_err(Stopped::Unfinished))
            .collect()
    }

    fn other_links(&mut self, index: usize) -> Result<Vec<(usize, Vec<Link>)>, Stopped> {
        (0..self.site.board.segments.len())
            .filter(|other| *other != index)
            .map(|other| Ok((other, self.links(other)?)))
            .collect()
    }

    fn ports(&self, index: usize) -> &[PortRef] {
        self.site.config.segments[index]
            .ports
            .as_ref()
            .map_or(&[], |ports| &ports[..])
    }

    fn name(&self, index: usize) -> &str {
        &self.site.config.segments[index].name
    }

    fn disproved(&self, index: usize, what: String) -> Stopped {
        Stopped::Disproved {
            segment: self.name(index).to_owned(),
            what,
        }
    }
}

fn unfinished(what: &str, fault: &Fault) -> Stopped {
    Stopped::Unfinished(format!("{what}: {fault}"))
}

fn cut_state(state: RelayState) -> Option<CutState> {
    match state {
        RelayState::Bypass => Some(CutState::Bypass),
        RelayState::Disconnect => Some(CutState::Disconnect),
        RelayState::Normal | RelayState::Unknown => None,
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
