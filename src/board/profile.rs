//! A board as typed facts. Parsing and its error texts are in [`super::raw`].

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::controller::RelayState;

/// Everything known of one board model's bypass hardware.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Board {
    /// File stem, or `family/model` for one model of a family profile.
    pub id: String,
    /// One line for people.
    pub title: String,
    /// How sure we are of the facts, overall: the worst of the facts that drivers use.
    pub confidence: Confidence,
    /// Controller kind and its wiring.
    pub controller: ControllerSpec,
    /// Segments in order; a segment's index is used everywhere below the profile.
    pub segments: Vec<BoardSegment>,
    /// The dead-man.
    pub dead_man: DeadManSpec,
    /// What the relays do when the agent's descriptor closes without a command.
    pub on_release: OnRelease,
    /// Fence wires to and from the peer, if the board has them.
    pub fence: Option<FenceWires>,
    /// Status LEDs.
    pub leds: Vec<NamedLine>,
    /// Push buttons.
    pub buttons: Vec<NamedLine>,
    /// Where each table's facts come from, for `board show`.
    pub facts: Vec<FactSource>,
}

/// Where the facts of one table of the profile come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FactSource {
    /// Table in the profile.
    pub table: String,
    /// Where it was read.
    pub source: String,
    /// How sure that is.
    pub confidence: Confidence,
}

/// How well a fact is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// The source contradicts itself, or the part is not identified.
    Low,
    /// One source, or partly inferred.
    Medium,
    /// Read in vendor source or manual, or it is our own design.
    High,
}

/// One segment of a board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BoardSegment {
    /// As printed on the panel where known.
    pub name: String,
    /// The two ports, if the model fixes them; otherwise the site config must name them.
    pub ports: Option<[PortRef; 2]>,
    /// States software can put it in.
    pub run_time: Vec<RelayState>,
    /// From power-up until software takes over.
    pub power_up: SettingSpec,
    /// Without power.
    pub power_off: SettingSpec,
    /// When the dead-man fires.
    pub expiry: SettingSpec,
    /// Time from command until the contacts are at rest and may be read.
    pub settle: Duration,
    /// What a read-back rests on.
    pub read_back: ReadBack,
}

/// One of the stored settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettingSpec {
    /// Which states it can have: exactly one where it is wired, where the relay was where it stays, none
    /// where no source tells.
    pub possible: Vec<RelayState>,
    /// Where it is kept.
    pub kept: Kept,
}

/// Where a setting is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// By the wiring or the relay type; software cannot change it.
    Wired,
    /// By a strap on the controller that belongs to the cabling; software cannot change it, and reads it.
    Strapped,
    /// Lost at power-off.
    Volatile,
    /// In cells that wear: compare before writing.
    NonVolatile,
    /// By a latching relay: it stays where it last was.
    Stays,
    /// No public source tells; treated as the worst.
    Unknown,
}

/// What reading a segment rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadBack {
    /// The relay's contacts.
    Contacts,
    /// A status register.
    Register,
    /// Only the level that drives the coil.
    Drive,
    /// Nothing.
    Nothing,
}

/// A network port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PortRef {
    /// By PCI path, such as `0000:03:00.0`.
    Pci(String),
    /// By interface name.
    Interface(String),
}

/// The dead-man as a part of the board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadManSpec {
    /// How it is kept from firing.
    pub kind: DeadManKind,
    /// Periods it can really do.
    pub periods: Periods,
    /// Whether it stays fired until told otherwise.
    pub expiry: Expiry,
}

/// How a dead-man is kept from firing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadManKind {
    /// A kick names the tick until which the host is trusted.
    Deadline,
    /// A kick restarts the period.
    Kick,
    /// Every edge on a line is a kick; there is nothing to arm.
    PulseTrain,
    /// There is none: only the machine's own watchdog and the relay's rest position remain.
    Absent,
}

/// What follows an expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    /// A late kick changes nothing; it must be armed anew.
    Sticky,
    /// The next kick restores `Normal` by itself. Such a board may never use the lease proof.
    KickRestores,
    /// Not known from the source: treated as the worse one.
    Unknown,
}

/// Periods a dead-man can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Periods {
    /// Any multiple of `step` from `min` to `max`.
    Range {
        /// Shortest.
        min: Duration,
        /// Longest.
        max: Duration,
        /// Granularity.
        step: Duration,
    },
    /// Exactly these, ascending.
    List(Vec<Duration>),
    /// The part's own, which cannot be set.
    Fixed(Duration),
    /// The part's own, which cannot be set and which no public source states: taken to be this until
    /// commissioning has measured it.
    Assumed(Duration),
    /// There is no dead-man.
    None,
}

impl Periods {
    /// The longest period the part can do that is not longer than `requested`: the wire must be a wire
    /// again no later than was asked for. `None` if even the shortest is longer.
    pub fn effective(&self, requested: Duration) -> Option<Duration> {
        match self {
            Self::Range { min, max, step } => {
                if requested < *min {
                    return None;
                }
                let capped = requested.min(*max);
                let step_ns = step.as_nanos().max(1);
                let above_min = (capped - *min).as_nanos() / step_ns * step_ns;
                Some(*min + Duration::from_nanos(u64::try_from(above_min).ok()?))
            }
            Self::List(list) => list
                .iter()
                .rev()
                .find(|period| **period <= requested)
                .copied(),
            Self::Fixed(period) | Self::Assumed(period) => {
                (*period <= requested).then_some(*period)
            }
            Self::None => None,
        }
    }

    /// The shortest period the part can do; `None` without a dead-man.
    pub fn shortest(&self) -> Option<Duration> {
        match self {
            Self::Range { min, .. } => Some(*min),
            Self::List(list) => list.first().copied(),
            Self::Fixed(period) | Self::Assumed(period) => Some(*period),
            Self::None => None,
        }
    }
}

/// What the relays do when the agent's descriptor closes (it was killed) and nothing else happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnRelease {
    /// State is in a chip; closing a descriptor changes nothing.
    Holds,
    /// The line floats and the relay falls to its rest position. The descriptor must outlive the agent.
    FallsToRest,
}

/// An I2C/SMBus adapter, never by probe order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AdapterRef {
    /// A stable link made by our udev rules, such as `/dev/fencepost/smbus`.
    Link(String),
    /// The adapter's own name in sysfs, such as `SMBus I801 adapter at f000`; `*` at the end matches any tail.
    Name(String),
}

/// A GPIO line, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LineRef {
    /// As the kernel names it.
    pub name: String,
    /// Which level means asserted.
    pub active: Active,
}

/// Which electrical level means asserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Active {
    /// High.
    High,
    /// Low.
    Low,
}

/// A line with a name of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamedLine {
    /// What it is for.
    pub name: String,
    /// Which line.
    pub line: LineRef,
}

/// Fence wires between two controllers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FenceWires {
    /// The controller itself holds both ends (our own controller).
    InController,
    /// GPIO lines of the host.
    Lines {
        /// Drives the peer's latch.
        order: LineRef,
        /// Reads the peer's acknowledge.
        acknowledge: LineRef,
    },
}

/// Controller kind, and how its segments are wired to it. Vectors are in segment order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum ControllerSpec {
    /// None: a host without bypass hardware.
    Absent,
    /// Our own controller.
    Reference {
        /// Adapter.
        adapter: AdapterRef,
        /// 7-bit address.
        address: u8,
    },
    /// Lanner Gen3 bypass MCU.
    LannerGen3 {
        /// Adapter.
        adapter: AdapterRef,
        /// One MCU each.
        modules: Vec<LannerModule>,
        /// Per segment: module index and pair bit.
        pairs: Vec<LannerPair>,
    },
    /// CASwell Gen2 copper: a PCA9555 per segment and one PCA9559 for the stored settings.
    CaswellGen2 {
        /// Adapter.
        adapter: AdapterRef,
        /// PCA9559 7-bit address.
        settings_address: u8,
        /// Per segment.
        chips: Vec<CaswellChip>,
        /// Whether the first chip's period serves all segments.
        period: CaswellPeriod,
    },
    /// TechNexion: an MCU holds the relay while it sees a square wave.
    PulseTrain {
        /// The wave.
        line: LineRef,
        /// Longest time between two edges.
        edge_interval: Duration,
    },
    /// One coil per segment, energised = Normal; rest position is the fail state.
    GpioMonostable {
        /// Per segment.
        coils: Vec<MonostableCoil>,
        /// Retriggerable timer that gates the coils, if fitted.
        kick: Option<LineRef>,
    },
    /// Two coils per segment, pulsed.
    GpioLatching {
        /// Per segment.
        coils: Vec<LatchingCoil>,
        /// Coil pulse.
        pulse: Duration,
    },
    /// Riverbed SMBus MCU, block protocol.
    Riverbed {
        /// Adapter.
        adapter: AdapterRef,
        /// 7-bit address.
        address: u8,
        /// Per segment: the port byte that selects it.
        ports: Vec<u8>,
    },
}

/// One Lanner MCU and the way to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LannerModule {
    /// `onboard` or `slotN`.
    pub name: String,
    /// 7-bit address of the MCU.
    pub address: u8,
    /// Muxes to set, in order, before every command: (7-bit mux address, channel byte).
    pub mux: Vec<(u8, u8)>,
}

/// Which pair of which module a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LannerPair {
    /// Index into the modules.
    pub module: usize,
    /// Bit 0..=7 in the pair masks.
    pub bit: u8,
}

/// One CASwell segment's chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CaswellChip {
    /// PCA9555 7-bit address.
    pub address: u8,
    /// Its bypass/open bit in the PCA9559.
    pub bpe_bit: u8,
    /// Its nextboot bit in the PCA9559.
    pub nextboot_bit: u8,
}

/// Where CASwell Gen2 keeps its dead-man period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CaswellPeriod {
    /// Each chip its own.
    PerSegment,
    /// The first chip's serves all.
    Shared,
}

/// A monostable relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MonostableCoil {
    /// Energised = Normal.
    pub coil: LineRef,
    /// Auxiliary contact that is asserted while the relay is in Normal.
    pub contact: Option<LineRef>,
}

/// A latching relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LatchingCoil {
    /// Pulse puts it in Normal.
    pub set: LineRef,
    /// Pulse puts it in the cut state.
    pub reset: LineRef,
    /// Auxiliary contact that is asserted while the relay is in Normal.
    pub contact: Option<LineRef>,
}
