//! `[dead_man]`, `[watchdog]`, `[control]` and `[state]`.

use core::time::Duration;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::{millis, path};
use crate::board::raw::words;
use crate::config::{Control, DeadMan, State, Watchdog, WatchdogMode};
use crate::diagnose::{Findings, Mistake};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDeadMan {
    pub(super) period_ms: Option<Spanned<i64>>,
    pub(super) kick_every_ms: Option<Spanned<i64>>,
    pub(super) measured_ms: Option<Spanned<i64>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWatchdog {
    mode: Option<Spanned<RawWatchdogMode>>,
    device: Option<Spanned<String>>,
    timeout_s: Option<Spanned<i64>>,
    pretimeout_s: Option<Spanned<i64>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawWatchdogMode {
    Device,
    Systemd,
    Off,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawControl {
    socket: Option<Spanned<String>>,
    operators_group: Option<Spanned<String>>,
    readers_group: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawState {
    dir: Option<Spanned<String>>,
    runtime_dir: Option<Spanned<String>>,
}

impl RawDeadMan {
    pub(super) fn understand(&self, findings: &mut Findings) -> DeadMan {
        let mut read = |key: &str, raw: &Option<Spanned<i64>>| {
            raw.is_some()
                .then(|| millis(key, raw, 0, 10, 3_600_000, findings))
        };
        DeadMan {
            period: read("period_ms", &self.period_ms),
            kick_every: read("kick_every_ms", &self.kick_every_ms),
            measured: read("measured_ms", &self.measured_ms),
        }
    }
}

impl RawWatchdog {
    pub(super) fn understand(&self, findings: &mut Findings) -> Watchdog {
        let timeout = self.timeout_s.as_ref();
        let timeout = timeout.map_or(10, |raw| findings.number("timeout_s", raw, 2..=3_600_u16));
        let pretimeout = self.pretimeout_s.as_ref().map(|raw| {
            let seconds = findings.number("pretimeout_s", raw, 1..=3_600_u16);
            if seconds >= timeout {
                findings.refuse(
                    Mistake::new(
                        raw.span(),
                        "the warning would come before the watchdog is even due",
                    )
                    .label(format!("must be below timeout_s = {timeout}")),
                );
            }
            Duration::from_secs(u64::from(seconds))
        });
        Watchdog {
            mode: match self.mode.as_ref().map(Spanned::get_ref) {
                None | Some(RawWatchdogMode::Device) => WatchdogMode::Device,
                Some(RawWatchdogMode::Systemd) => WatchdogMode::Systemd,
                Some(RawWatchdogMode::Off) => WatchdogMode::Off,
            },
            device: path_or("/dev/watchdog0", &self.device, findings),
            timeout: Duration::from_secs(u64::from(timeout)),
            pretimeout,
        }
    }
}

impl RawControl {
    pub(super) fn understand(&self, state: &State, findings: &mut Findings) -> Control {
        let mut group = |raw: &Option<Spanned<String>>, default: &str| match raw {
            None => default.to_owned(),
            Some(raw) => words::name(raw, findings),
        };
        Control {
            operators_group: group(&self.operators_group, "fencepost-operators"),
            readers_group: group(&self.readers_group, "fencepost-readers"),
            socket: match &self.socket {
                None => state.runtime_dir.join("control.sock"),
                Some(raw) => path(raw, findings),
            },
        }
    }
}

impl RawState {
    pub(super) fn understand(&self, findings: &mut Findings) -> State {
        State {
            dir: path_or("/var/lib/fencepost", &self.dir, findings),
            runtime_dir: path_or("/run/fencepost", &self.runtime_dir, findings),
        }
    }
}

fn path_or(default: &str, raw: &Option<Spanned<String>>, findings: &mut Findings) -> PathBuf {
    raw.as_ref()
        .map_or_else(|| PathBuf::from(default), |raw| path(raw, findings))
}
