//! What all segments of a board have in common: states, stored settings, settling, read-back.

use core::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::dead_man::RawDeadMan;
use super::words::RawState;
use crate::board::controller::RelayState;
use crate::board::profile::{BoardSegment, Confidence, Kept, ReadBack, SettingSpec};
use crate::diagnose::{Findings, Mistake};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSegments {
    pub(super) source: Spanned<String>,
    pub(super) confidence: Confidence,
    run_time: Spanned<Vec<Spanned<RawState>>>,
    power_up: Spanned<RawSetting>,
    power_off: Spanned<RawSetting>,
    expiry: Option<Spanned<RawSetting>>,
    read_back: RawReadBack,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSetting {
    #[serde(default)]
    possible: Vec<Spanned<RawState>>,
    kept: Spanned<RawKept>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawKept {
    Wired,
    Strapped,
    Volatile,
    NonVolatile,
    Stays,
    Unknown,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawReadBack {
    Contacts,
    Register,
    Drive,
    Nothing,
}

/// Longest wait for contacts, in ms: far above any signal relay, far below a dead-man worth having.
const SETTLE_MS_MAX: u32 = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSettle {
    pub(super) source: Spanned<String>,
    pub(super) confidence: Confidence,
    ms: Spanned<i64>,
}

/// One segment's facts, but for its name and ports.
pub(super) fn understand(
    raw: &Spanned<RawSegments>,
    settle: &RawSettle,
    dead_man: &Spanned<RawDeadMan>,
    findings: &mut Findings,
) -> BoardSegment {
    let at = raw.span();
    let raw = raw.get_ref();
    let run_time = run_time(&raw.run_time, findings);
    let expiry = match (&raw.expiry, dead_man.get_ref().is_absent()) {
        (Some(setting), false) => understand_setting("expiry", setting, &run_time, findings),
        (None, true) => SettingSpec {
            possible: Vec::new(),
            kept: Kept::Wired,
        },
        (Some(setting), true) => {
            findings.refuse(
                Mistake::new(setting.span(), "an expiry state without a dead-man")
                    .label("nothing can expire")
                    .help("this profile says [dead_man] kind = \"absent\"; take `expiry` out"),
            );
            understand_setting("expiry", setting, &run_time, findings)
        }
        (None, false) => {
            findings.refuse(
                Mistake::new(at, "missing key `expiry`")
                    .help("a board with a dead-man says where the relays go when it fires"),
            );
            SettingSpec {
                possible: Vec::new(),
                kept: Kept::Unknown,
            }
        }
    };
    BoardSegment {
        name: String::new(),
        ports: None,
        power_up: understand_setting("power_up", &raw.power_up, &run_time, findings),
        power_off: understand_setting("power_off", &raw.power_off, &run_time, findings),
        run_time,
        expiry,
        settle: Duration::from_millis(u64::from(findings.number(
            "ms",
            &settle.ms,
            1..=SETTLE_MS_MAX,
        ))),
        read_back: match raw.read_back {
            RawReadBack::Contacts => ReadBack::Contacts,
            RawReadBack::Register => ReadBack::Register,
            RawReadBack::Drive => ReadBack::Drive,
            RawReadBack::Nothing => ReadBack::Nothing,
        },
    }
}

fn run_time(raw: &Spanned<Vec<Spanned<RawState>>>, findings: &mut Findings) -> Vec<RelayState> {
    let states = distinct(raw.get_ref(), findings);
    if !states.contains(&RelayState::Normal) || states.len() < 2 {
        findings.refuse(
            Mistake::new(raw.span(), "a segment that cannot both serve and be cut")
                .label("needs \"normal\", and \"bypass\" or \"disconnect\" or both"),
        );
    }
    states
}

fn distinct(raw: &[Spanned<RawState>], findings: &mut Findings) -> Vec<RelayState> {
    let mut states = Vec::new();
    for state in raw {
        let typed = RelayState::from(*state.get_ref());
        if states.contains(&typed) {
            findings.refuse(Mistake::new(state.span(), "named twice"));
        } else {
            states.push(typed);
        }
    }
    states
}

fn understand_setting(
    key: &str,
    raw: &Spanned<RawSetting>,
    run_time: &[RelayState],
    findings: &mut Findings,
) -> SettingSpec {
    let setting = raw.get_ref();
    let kept = match setting.kept.get_ref() {
        RawKept::Wired => Kept::Wired,
        RawKept::Strapped => Kept::Strapped,
        RawKept::Volatile => Kept::Volatile,
        RawKept::NonVolatile => Kept::NonVolatile,
        RawKept::Stays => Kept::Stays,
        RawKept::Unknown => Kept::Unknown,
    };
    let mut possible = distinct(&setting.possible, findings);
    match kept {
        Kept::Stays | Kept::Unknown => {
            if let Some(state) = setting.possible.first() {
                findings.refuse(
                    Mistake::new(
                        state.span(),
                        format!("{key} names a state and does not set one"),
                    )
                    .help("kept = \"stays\" and kept = \"unknown\" take no `possible`"),
                );
            }
            if kept == Kept::Stays {
                possible = run_time.to_vec();
            }
            if key == "expiry" {
                findings.refuse(
                    Mistake::new(
                        setting.kept.span(),
                        "a dead-man that moves nothing known is no dead-man",
                    )
                    .help("allowed for expiry: wired, volatile, non-volatile"),
                );
            }
        }
        Kept::Wired | Kept::Strapped | Kept::Volatile | Kept::NonVolatile => {
            refuse_normal(key, &setting.possible, findings);
            if possible.is_empty() || (kept == Kept::Wired && possible.len() != 1) {
                findings.refuse(
                    Mistake::new(
                        raw.span(),
                        format!("{key} does not say which states it can have"),
                    )
                    .help(
                        "wired: exactly one; strapped, volatile and non-volatile: every one it can be set to",
                    ),
                );
            }
        }
    }
    SettingSpec { possible, kept }
}

fn refuse_normal(key: &str, possible: &[Spanned<RawState>], findings: &mut Findings) {
    for state in possible {
        if *state.get_ref() == RawState::Normal {
            findings.refuse(
                Mistake::new(state.span(), format!("{key} = \"normal\" is refused"))
                    .label("allowed: \"bypass\", \"disconnect\"")
                    .help(
                        "whenever nobody can vouch for the host it must be off the wire; a relay that merely \
                         stays where it was is kept = \"stays\"",
                    ),
            );
        }
    }
}
