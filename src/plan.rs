//! What `fencepost check` proves: the four settings of each segment, and the timing from failure to relay.
//!
//! Drawn from a [`Site`] alone, before any hardware is touched. Every inequality is kept with both of its
//! sides, so that the one that fails can be read, not guessed. A plan with a refusal must not be run:
//! `agent` and `check` both ask [`Plan::refusals`].

use core::time::Duration;

use serde::Serialize;

use crate::board::controller::{CutState, RelayState};
use crate::board::profile::{
    BoardSegment, Confidence, ControllerSpec, Kept, OnRelease, PortRef, ReadBack, SettingSpec,
};
use crate::config::{PeriodKnown, Segment, Site, Timing, Topology, WatchdogMode};

mod chain;
mod failures;
mod judge;
pub mod pair;
mod render;
mod sync;

/// Worst lateness of the control loop that the plan counts with: the real-time thread's own, plus one
/// scheduler hiccup on a starved machine. The agent measures its lateness and reports when it exceeds this.
pub const LATENESS_ALLOWED: Duration = Duration::from_millis(20);

/// One turn of the control loop, from event to action (the budget `make bench` checks).
pub const TURN: Duration = Duration::from_millis(2);

/// One command on a 100 kHz bus with its mux selection, read-back and one retry: some twenty transactions of
/// half a millisecond.
pub const BUS_TIME: Duration = Duration::from_millis(10);

/// A supervised agent that died is back and has kicked within this.
pub const RESTART_BOUND: Duration = Duration::from_millis(500);

/// Copper links come back this long after a relay moved: renegotiation, nobody's software.
pub const RELINK: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(6));

/// The proof for one site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Board id.
    pub board: String,
    /// Board in words.
    pub title: String,
    /// How well its facts are known.
    pub confidence: Confidence,
    /// How the segments lie in the network.
    pub topology: Topology,
    /// Each segment's settings.
    pub segments: Vec<SegmentPlan>,
    /// The dead-man's times; its arming says whether there is one.
    pub timing: Timing,
    /// The machine's watchdog: who feeds it, and its timeout.
    pub watchdog: (WatchdogMode, Duration),
    /// What must hold between the times.
    pub chain: Vec<Inequality>,
    /// What is proven for a pair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pair: Option<pair::PairPlan>,
    /// For each class of failure, when the relay is where it should be; empty without relays.
    pub failures: Vec<Failure>,
    /// What the pair keeps alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<fencepost_sync::settings::Settings>,
    /// Things that hold, but that somebody should know.
    pub warnings: Vec<String>,
    /// Things that cannot hold: this must not be run.
    pub refusals: Vec<String>,
}

/// One segment's settings as they will be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SegmentPlan {
    /// Name in the configuration.
    pub name: String,
    /// Name in the profile.
    pub at: String,
    /// Its ports.
    pub ports: Vec<PortRef>,
    /// Where the relay goes when the host cannot be trusted.
    pub fail: CutState,
    /// States software can put it in.
    pub run_time: Vec<RelayState>,
    /// From power-up until software takes over.
    pub power_up: Setting,
    /// Without power.
    pub power_off: Setting,
    /// When the dead-man fires.
    pub expiry: Setting,
    /// What a reported state rests on.
    pub read_back: ReadBack,
    /// Green this long before `Normal`.
    pub dwell: Duration,
    /// Most closes in any hour.
    pub closes_per_hour_max: u32,
}

/// A stored setting as it will be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// The state; several if it stays where it was, none if nobody knows.
    pub states: Vec<RelayState>,
    /// Where it is kept.
    pub kept: Kept,
}

/// `left` must not exceed `right`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inequality {
    /// Left side.
    pub left: Side,
    /// Right side.
    pub right: Side,
    /// Whether it does, and how bad it is if not.
    pub verdict: Verdict,
    /// What breaks if it does not hold.
    pub otherwise: String,
}

/// One side of an inequality, or a bound: a time and what it is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Side {
    /// The time.
    pub time: Duration,
    /// What it is made of.
    pub made_of: String,
}

/// How an inequality came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It does not; service is worse for it, safety is not.
    Warns,
    /// It does not, and safety rests on it.
    Fails,
}

/// One class of failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// What goes wrong.
    pub what: String,
    /// When the relay is where it should be.
    pub bound: Bound,
}

/// When the relay is where it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// In that state by then.
    Within {
        /// Where.
        state: String,
        /// By when.
        side: Side,
    },
    /// No time can be promised.
    Open {
        /// Why, and what happens instead.
        why: String,
    },
}

impl Plan {
    /// Prove what can be proven for this site.
    pub fn draw(site: &Site) -> Self {
        let segments = site.config.segments.iter().zip(&site.board.segments);
        let segments = segments.zip(&site.settings);
        let mut plan = Self {
            board: site.board.id.clone(),
            title: site.board.title.clone(),
            confidence: site.board.confidence,
            topology: site.config.topology,
            segments: segments
                .map(|((segment, fact), settings)| SegmentPlan::new(segment, fact, settings))
                .collect(),
            timing: site.timing,
            watchdog: (site.config.watchdog.mode, site.config.watchdog.timeout),
            chain: chain::chain(site),
            pair: pair::draw(site),
            failures: Vec::new(),
            sync: site.config.sync.clone(),
            warnings: Vec::new(),
            refusals: Vec::new(),
        };
        if site.board.has_relays() {
            plan.failures = failures::failures(site, &plan.segments);
        }
        judge::judge(site, &mut plan);
        plan
    }

    /// Plain text for people.
    pub fn render(&self) -> String {
        render::render(self)
    }
}

impl SegmentPlan {
    fn new(
        segment: &Segment,
        fact: &BoardSegment,
        settings: &crate::board::controller::SegmentSettings,
    ) -> Self {
        let setting = |spec: &SettingSpec, set: Option<CutState>| Setting {
            states: match (set, spec.kept) {
                (Some(state), _) => vec![state.into()],
                // Only a single appliance leaves its strap unread.
                (None, Kept::Strapped) => vec![Topology::Inline.strap().into()],
                (None, _) => spec.possible.clone(),
            },
            kept: spec.kept,
        };
        Self {
            name: segment.name.clone(),
            at: fact.name.clone(),
            ports: segment.ports.iter().flatten().cloned().collect(),
            fail: segment.fail,
            run_time: fact.run_time.clone(),
            power_up: setting(&fact.power_up, settings.power_up),
            power_off: setting(&fact.power_off, settings.power_off),
            expiry: setting(&fact.expiry, settings.expiry),
            read_back: fact.read_back,
            dwell: segment.dwell,
            closes_per_hour_max: segment.closes_per_hour_max,
        }
    }
}

/// From decision to contacts at rest, for a segment's longest command, and what that is made of.
fn command(site: &Site) -> Side {
    let settle = settle(site);
    let (way, words) = match site.board.controller {
        // Nothing else than silence moves this relay.
        ControllerSpec::PulseTrain { .. } => (site.timing.period, "until the silence is noticed"),
        ControllerSpec::Absent
        | ControllerSpec::GpioMonostable { .. }
        | ControllerSpec::GpioLatching { .. } => (Duration::ZERO, ""),
        _ => (BUS_TIME, "bus"),
    };
    let way_words = if way.is_zero() {
        String::new()
    } else {
        format!("{} {words} + ", chain::ms(way))
    };
    chain::side(
        way + settle,
        format!("{way_words}{} settling", chain::ms(settle)),
    )
}

/// Longest settling of all segments, with the coil pulse where there is one.
fn settle(site: &Site) -> Duration {
    let settle = site
        .board
        .segments
        .iter()
        .map(|segment| segment.settle)
        .max();
    let pulse = match site.board.controller {
        ControllerSpec::GpioLatching { pulse, .. } => pulse,
        _ => Duration::ZERO,
    };
    settle.unwrap_or_default() + pulse
}

fn has_dead_man(site: &Site) -> bool {
    site.timing.known != PeriodKnown::Absent
}

fn has_watchdog(site: &Site) -> bool {
    site.config.watchdog.mode != WatchdogMode::Off
}

/// Whether a reset of the machine by itself lets the relays fall.
fn falls_on_reset(site: &Site) -> bool {
    site.board.on_release == OnRelease::FallsToRest
}
