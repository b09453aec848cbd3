//! The order of steps that every vendor controller shares: compare, command, settle, read back.
//!
//! Drivers differ in registers and lines, not in discipline. The discipline is here once:
//!
//! * **close** (into `Normal`): the ticket is used up, the dead-man must run, one command, then the relay must
//!   *read* `Normal`. It is never repeated here: a second try needs a new decision.
//! * **cut**: needs nothing, voids the ticket, and is commanded even if the relay could not be read before. It is
//!   commanded up to [`CUT_COMMANDS_MAX`] times: a coil that stuck once often moves the second time.
//!
//! What if this dies between command and read-back? The relay moves by itself; whoever comes next reads it.

use core::time::Duration;

use super::controller::{
    CutState, DeadManReading, Evidence, Fault, Moved, RelayState, SegmentReading, SegmentSettings,
    Ticket,
};
use super::profile::BoardSegment;
use super::vendor_ticket::VendorTickets;
use crate::node::Instant;

/// How often a cut is commanded before it is reported as `NotMoved`. Each costs one settle time (7 to 34 ms in
/// vendor sources), so three stay far below the shortest dead-man period.
pub(crate) const CUT_COMMANDS_MAX: u32 = 3;

/// The reading of a relay that says nothing.
pub(crate) const UNSEEN: SegmentReading = SegmentReading {
    state: RelayState::Unknown,
    evidence: Evidence::Nothing,
};

/// A segment, as far as drivers need it.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    /// For error texts.
    pub(crate) name: String,
    /// States it can be put in.
    pub(crate) possible: Vec<RelayState>,
    /// States it can come up in.
    pub(crate) power_up: Vec<RelayState>,
    /// States it can fall into without power.
    pub(crate) power_off: Vec<RelayState>,
    /// States it can fall into when the dead-man fires.
    pub(crate) expiry: Vec<RelayState>,
    /// From command until the contacts are at rest.
    pub(crate) settle: Duration,
    /// Whether this site uses it as a bypass segment. The two ports of an unused segment may be plain network
    /// ports: bridging them would join two networks, so nothing is ever commanded there.
    pub(crate) used: Used,
}

/// Whether this site uses a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Used {
    /// It is in the configuration.
    Yes,
    /// It is not: hands off.
    No,
}

impl Segment {
    pub(crate) fn new(facts: &BoardSegment, used: Used) -> Self {
        Self {
            name: facts.name.clone(),
            possible: facts.run_time.clone(),
            power_up: facts.power_up.possible.clone(),
            power_off: facts.power_off.possible.clone(),
            expiry: facts.expiry.possible.clone(),
            settle: facts.settle,
            used,
        }
    }

    /// A used segment with two or three states, all of which every setting can have.
    #[cfg(test)]
    pub(crate) fn bench(name: &str, possible: &[RelayState]) -> Self {
        let cuts: Vec<RelayState> = possible[1..].to_vec();
        Self {
            name: name.to_owned(),
            possible: possible.to_vec(),
            power_up: cuts.clone(),
            power_off: cuts.clone(),
            expiry: cuts,
            settle: Duration::from_millis(20),
            used: Used::Yes,
        }
    }

    pub(crate) fn is_used(&self) -> bool {
        self.used == Used::Yes
    }

    /// The one cut state of a relay that has only one.
    pub(crate) fn rest(&self) -> RelayState {
        let mut cuts = self
            .possible
            .iter()
            .filter(|state| **state != RelayState::Normal);
        match (cuts.next(), cuts.next()) {
            (Some(only), None) => *only,
            _ => RelayState::Unknown,
        }
    }
}

/// What a driver of a vendor controller brings; the free functions of this module do the rest.
pub(crate) trait Vendor {
    fn segments(&self) -> &[Segment];
    fn tickets(&mut self) -> &mut VendorTickets;
    fn now(&self) -> Instant;
    fn wait(&mut self, span: Duration);
    /// Read one segment. Writes nothing.
    fn look(&mut self, segment: usize) -> Result<SegmentReading, Fault>;
    /// Send the command once, without waiting for the relay.
    fn command(&mut self, segment: usize, state: RelayState) -> Result<(), Fault>;
    /// Whether a close would stand under a dead-man. Reads it anew.
    fn guarded(&mut self) -> Result<(), Fault>;
}

/// Every segment, in order. One that is not used is not looked at: its card may not even be fitted.
pub(crate) fn look_at_all(vendor: &mut dyn Vendor) -> Result<Vec<SegmentReading>, Fault> {
    let used: Vec<bool> = vendor.segments().iter().map(Segment::is_used).collect();
    used.into_iter()
        .enumerate()
        .map(|(segment, used)| {
            if used {
                vendor.look(segment)
            } else {
                Ok(UNSEEN)
            }
        })
        .collect()
}

/// Permission to close, if a close could be carried out now.
pub(crate) fn take_ticket(vendor: &mut dyn Vendor) -> Result<Ticket, Fault> {
    if let Err(fault) = vendor.guarded() {
        vendor.tickets().void();
        return Err(fault);
    }
    let now = vendor.now();
    Ok(vendor.tickets().issue(now))
}

/// Put a segment into `Normal`.
pub(crate) fn close(
    vendor: &mut dyn Vendor,
    segment: usize,
    ticket: Ticket,
) -> Result<Moved, Fault> {
    let settle = settle_of(vendor.segments(), segment, RelayState::Normal)?;
    if let Err(fault) = vendor.guarded() {
        vendor.tickets().void();
        return Err(fault);
    }
    let before = vendor.look(segment)?;
    // Last, so that the ticket's age includes the looks above.
    let now = vendor.now();
    vendor.tickets().redeem(ticket, now)?;
    if before.state == RelayState::Normal {
        return Ok(Moved {
            before: before.state,
            after: before,
            commanded: false,
        });
    }
    vendor.command(segment, RelayState::Normal)?;
    vendor.wait(settle);
    let after = vendor.look(segment)?;
    arrived(segment, before.state, after, RelayState::Normal)
}

/// Take the host off the segment.
pub(crate) fn cut(
    vendor: &mut dyn Vendor,
    segment: usize,
    state: CutState,
) -> Result<Moved, Fault> {
    vendor.tickets().void();
    let wanted = RelayState::from(state);
    let settle = settle_of(vendor.segments(), segment, wanted)?;
    // A segment that cannot be read is cut all the same.
    let before = vendor.look(segment);
    if let Ok(reading) = before
        && reading.state == wanted
    {
        return Ok(Moved {
            before: wanted,
            after: reading,
            commanded: false,
        });
    }
    let before = before.map_or(RelayState::Unknown, |reading| reading.state);
    let mut commands = 1;
    loop {
        vendor.command(segment, wanted)?;
        vendor.wait(settle);
        let after = vendor.look(segment)?;
        match arrived(segment, before, after, wanted) {
            Err(_) if commands < CUT_COMMANDS_MAX => commands += 1,
            outcome => return outcome,
        }
    }
}

/// The verdict of [`Vendor::guarded`] for a dead-man that was read.
pub(crate) fn guarded_by(dead_man: DeadManReading) -> Result<(), Fault> {
    let reason = match dead_man {
        DeadManReading::Running { .. } | DeadManReading::Absent | DeadManReading::Unknown => {
            return Ok(());
        }
        DeadManReading::Disarmed => "the dead-man does not run; arm it first",
        DeadManReading::Expired => "the dead-man has fired; arm it anew and prove the path again",
    };
    Err(Fault::Refused {
        what: "close".to_owned(),
        reason: reason.to_owned(),
    })
}

/// A period as a part takes it, in whole seconds up to `most`.
pub(crate) fn whole_seconds(period: Duration, most: u8) -> Result<u8, Fault> {
    let incapable = || Fault::Incapable {
        what: format!("a dead-man period of {} ms", period.as_millis()),
        advice: format!("it does whole seconds from 1 to {most}"),
    };
    if period.subsec_nanos() != 0 {
        return Err(incapable());
    }
    let seconds = u8::try_from(period.as_secs()).map_err(|_| incapable())?;
    if seconds == 0 || seconds > most {
        return Err(incapable());
    }
    Ok(seconds)
}

/// Refuse settings the board cannot have. For a wired board this is all there is to configure: what is asked for must
/// be how it is wired.
pub(crate) fn check_settings(
    segments: &[Segment],
    settings: &[SegmentSettings],
) -> Result<(), Fault> {
    for (segment, wanted) in segments
        .iter()
        .zip(settings)
        .filter(|(segment, _)| segment.is_used())
    {
        check_setting(segment, "power-up", wanted.power_up, &segment.power_up)?;
        check_setting(segment, "power-off", wanted.power_off, &segment.power_off)?;
        check_setting(segment, "expiry", wanted.expiry, &segment.expiry)?;
    }
    Ok(())
}

fn check_setting(
    segment: &Segment,
    setting: &str,
    wanted: Option<CutState>,
    possible: &[RelayState],
) -> Result<(), Fault> {
    match wanted {
        Some(state) if !possible.contains(&state.into()) => Err(Fault::Incapable {
            what: format!("{setting} = {state} for segment {}", segment.name),
            advice: format!("it can be {}", listed(possible)),
        }),
        _ => Ok(()),
    }
}

fn listed(states: &[RelayState]) -> String {
    let states: Vec<String> = states.iter().map(ToString::to_string).collect();
    states.join(" or ")
}

/// The segment's settle time, if it is used here and can take this state.
pub(crate) fn settle_of(
    segments: &[Segment],
    segment: usize,
    wanted: RelayState,
) -> Result<Duration, Fault> {
    let Some(facts) = segments.get(segment) else {
        return Err(Fault::Incapable {
            what: format!("segment {segment} into {wanted}"),
            advice: format!("it has {} segments, counted from 0", segments.len()),
        });
    };
    if !facts.is_used() {
        return Err(Fault::Incapable {
            what: format!("segment {} into {wanted}", facts.name),
            advice: "the configuration does not use this segment, so its ports may be plain ones"
                .to_owned(),
        });
    }
    if !facts.possible.contains(&wanted) {
        return Err(Fault::Incapable {
            what: format!("segment {} into {wanted}", facts.name),
            advice: format!("it can be {}", listed(&facts.possible)),
        });
    }
    Ok(facts.settle)
}

/// A part that says nothing of its relay has done as told as far as anybody knows, and the state stays
/// `Unknown`. A part that says something must say the right thing.
fn arrived(
    segment: usize,
    before: RelayState,
    after: SegmentReading,
    wanted: RelayState,
) -> Result<Moved, Fault> {
    if after.state == wanted || after.evidence == Evidence::Nothing {
        return Ok(Moved {
            before,
            after,
            commanded: true,
        });
    }
    Err(Fault::NotMoved {
        segment,
        wanted,
        read: after.state,
    })
}
