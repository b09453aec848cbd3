//! The site's configuration: which board, how it is cabled, what may fail, and what to do then.
//!
//! Read once at start; nothing is re-read while relays are held. A file with any mistake is refused as a
//! whole, with every mistake's line and column, and the agent does not start: the relays stay in their
//! power-up or present state. [`Site`] joins it with the board it names.

use core::time::Duration;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::board::controller::{CutState, SegmentSettings};
use crate::board::profile::{AdapterRef, PortRef};
use crate::diagnose::{Mistakes, Source, Unreadable};
use crate::node::policy::CheckSeverity;

mod check;
pub mod pair;
mod places;
mod policy;
mod raw;
mod site;
pub mod sync;
mod timing;

use places::Places;
pub use site::Site;
pub use timing::{PeriodKnown, Timing};

/// Where the agent looks when no file is named.
pub const STANDARD_FILE: &str = "/etc/fencepost/fencepost.toml";

/// A configuration file, understood; not yet joined with its board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Config {
    /// Profile, or `family/model`.
    pub board: String,
    /// How the segments lie in the network.
    pub topology: Topology,
    /// The hardware is read this often when nothing else asks for it; default 500 ms: a relay or expander
    /// changed behind our back is noticed by then.
    pub read_every: Duration,
    /// Segments in use.
    pub segments: Vec<Segment>,
    /// The dead-man.
    pub dead_man: DeadMan,
    /// The machine's watchdog.
    pub watchdog: Watchdog,
    /// Checks; those for carrier are added when joined with the board.
    pub checks: Vec<Check>,
    /// The control socket.
    pub control: Control,
    /// Where files are kept.
    pub state: State,
    /// Use another adapter than the profile's.
    pub adapter: Option<Adapter>,
    /// Record every event to this file, for replay.
    pub record: Option<PathBuf>,
    /// The other half, if this is one of two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pair: Option<pair::Pair>,
    /// What the two keep alike, if they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<fencepost_sync::settings::Settings>,
    #[serde(skip)]
    places: Places,
}

/// How the segments lie in the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Topology {
    /// One appliance, in the wire.
    Inline,
    /// A pair, one behind the other in one wire.
    Series,
    /// A pair, each with a path of its own.
    Parallel,
    /// A pair, one of them reached through the other's relay.
    Chained,
    /// A pair without relays: each has ports of its own, and only addresses move.
    Apart,
}

impl Topology {
    /// What a controller that is strapped for this cabling does without power: two side by side must not be joined.
    pub fn strap(self) -> CutState {
        match self {
            Self::Parallel | Self::Apart => CutState::Disconnect,
            Self::Inline | Self::Series | Self::Chained => CutState::Bypass,
        }
    }
}

/// One segment in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Segment {
    /// Name in commands, status and events.
    pub name: String,
    /// The board's name for it; `None` is by order.
    pub at: Option<String>,
    /// Its two ports; `None` takes the profile's.
    pub ports: Option<[PortRef; 2]>,
    /// Where the relay goes when the host cannot be trusted.
    pub fail: CutState,
    /// All checks must have been green for this long before `Normal`; default 5 s: copper renegotiates in 1 to
    /// 6 s after a relay moved, and a shorter dwell would close on links still coming up.
    pub dwell: Duration,
    /// After a relay move the carrier checks of this segment are not judged for this long; default 6 s, what slow
    /// copper takes to negotiate anew.
    pub relink: Duration,
    /// Most closes in any hour; default 20: a relay lives for some 100,000 moves, a flapping check must not
    /// spend them.
    pub closes_per_hour_max: u32,
    /// Settings that shall differ from `fail`.
    pub overrides: SegmentSettings,
    /// Whether carrier on its ports is a check.
    pub carrier: CarrierWatch,
    /// Whether its ports have carrier while the relay is cut; default expected: carrier is then proven before
    /// `Normal`. Commissioning measures it.
    pub carrier_when_cut: CarrierWhenCut,
}

/// Whether the host's ports have carrier while their relay is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CarrierWhenCut {
    /// They have: carrier is part of the proof before `Normal`.
    Expected,
    /// The relay takes the cable away from the host: carrier can be judged only after `Normal`.
    Absent,
}

/// Whether carrier on a segment's ports is a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CarrierWatch {
    /// It is: both ports, severity failover.
    Watched,
    /// It is not, for this reason.
    Unwatched(String),
}

/// The dead-man as wished.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct DeadMan {
    /// The wire shall be a wire again within this after the agent's last sign of life; default 1 s, or the
    /// shortest the board can do if that is longer.
    pub period: Option<Duration>,
    /// Kick this often; default a quarter of the period, so that one lost kick is no expiry.
    pub kick_every: Option<Duration>,
    /// What commissioning measured, for boards whose own period no source states.
    pub measured: Option<Duration>,
}

/// The machine's watchdog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Watchdog {
    /// Who feeds it.
    pub mode: WatchdogMode,
    /// Its device; used in mode `device`.
    pub device: PathBuf,
    /// Reset this long after the last keepalive; default 10 s, well after any dead-man worth having and before
    /// anybody gets up.
    pub timeout: Duration,
    /// Warn this long before the reset, if the device can.
    pub pretimeout: Option<Duration>,
}

/// Who feeds the machine's watchdog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WatchdogMode {
    /// The agent, through its device.
    Device,
    /// systemd owns the device; the agent feeds systemd (`WatchdogSec=`).
    Systemd,
    /// Nobody.
    Off,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Name in status and events.
    pub name: String,
    /// What its failure does.
    pub severity: CheckSeverity,
    /// Segments it speaks for, by name; empty is all.
    pub segments: Vec<String>,
    /// From one start to the next; default 1 s.
    pub interval: Duration,
    /// No answer by then is a bad answer; default 1 s.
    pub timeout: Duration,
    /// Good verdicts in a row until it passes; default 2.
    pub rise: u32,
    /// Bad verdicts in a row until it fails; default 2.
    pub fall: u32,
    /// What is looked at.
    pub kind: CheckKind,
}

/// What a check looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    /// Link of a port.
    Carrier {
        /// Which.
        port: PortRef,
    },
    /// A process, by the number in a file.
    Pidfile {
        /// The file.
        path: PathBuf,
    },
    /// A process, by its exact name (`comm`, at most 15 bytes).
    ProcessName {
        /// The name.
        name: String,
    },
    /// A systemd unit is active.
    Unit {
        /// Its name, with suffix.
        unit: String,
    },
    /// Something accepts connections.
    Tcp {
        /// Where. No name: a check must not wait for DNS.
        address: SocketAddr,
    },
    /// A status line.
    Http {
        /// Where.
        address: SocketAddr,
        /// Path and query.
        path: String,
        /// The status that is good; default 200.
        status: u16,
    },
    /// Free space.
    Disk {
        /// Anything on that file system.
        path: PathBuf,
        /// Least share free, in percent.
        min_free_percent: Option<u8>,
        /// Least space free, in bytes.
        min_free_bytes: Option<u64>,
    },
    /// Available memory.
    Memory {
        /// Least share available, in percent.
        min_available_percent: u8,
    },
    /// A Nagios or Icinga plugin, by exit code; never through a shell.
    Plugin {
        /// Program (absolute path) and arguments.
        argv: Vec<String>,
    },
}

/// The control socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Control {
    /// Where it is.
    pub socket: PathBuf,
    /// Members may change things.
    pub operators_group: String,
    /// Members may look.
    pub readers_group: String,
}

/// Where files are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct State {
    /// Survives a reboot: ledger, event record, commissioning record.
    pub dir: PathBuf,
    /// Does not: sockets, locks.
    pub runtime_dir: PathBuf,
}

/// Another way to the controller than the profile's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Adapter {
    /// A virtual board behind a Unix socket.
    Socket(PathBuf),
    /// Another adapter of this machine.
    Machine(AdapterRef),
}

/// Why a configuration could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// It is wrong.
    #[error("{0}")]
    Mistakes(#[from] Mistakes),
}

impl Config {
    /// Read a file.
    ///
    /// # Errors
    /// It cannot be read or is wrong.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Ok(Self::parse(&Source::read(path)?)?)
    }

    /// Understand a text.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(source: &Source) -> Result<Self, Mistakes> {
        raw::parse(source)
    }
}
