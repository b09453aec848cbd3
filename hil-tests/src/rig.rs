//! A bench as a file: which appliances there are, and what the rig can do to them. `RawRig` as written, [`Rig`] as understood.
//!
//! Unknown keys are refused. What a bench cannot do (no power switch, no board faults on real hardware) is a capability it lacks, and a
//! scenario that needs it is skipped with that sentence.

use std::path::Path;
use std::time::Duration;

use fencepost::board::catalogue;
use serde::Deserialize;

use crate::appliance::model::{MODELS, Model};
use crate::error::{AtPath, Result, RigError};

/// A bench.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rig {
    /// QEMU machines on this host.
    Virtual(VirtualRig),
    /// Real appliances.
    Physical(Vec<PhysicalAppliance>),
}

/// QEMU machines on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualRig {
    /// Boards of the matrix, by name.
    pub boards: Vec<String>,
    /// How long links take to come back after a relay moved.
    pub relink: Duration,
    /// How many appliances at once.
    pub jobs: usize,
}

impl Default for VirtualRig {
    fn default() -> Self {
        Self {
            boards: MODELS.iter().map(|model| model.name.to_owned()).collect(),
            relink: Duration::from_millis(1_500),
            jobs: 2,
        }
    }
}

/// A real appliance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhysicalAppliance {
    /// Its name on the bench.
    pub name: String,
    /// Its profile, or `family/model`.
    pub board: String,
    /// `user@host` for ssh.
    pub ssh: String,
    /// Programs of this host that switch its power.
    pub power: Option<PowerSwitch>,
    /// Interfaces of this host at the net side of its first segment.
    pub traffic: [String; 2],
    /// How long its links take to come back after a relay moved.
    pub relink: Duration,
}

/// Programs that switch an appliance's power: program and arguments, never through a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PowerSwitch {
    /// Off.
    pub off: Vec<String>,
    /// On.
    pub on: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawKind {
    Virtual,
    Physical,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRig {
    kind: RawKind,
    #[serde(rename = "virtual")]
    on_this_host: Option<RawVirtual>,
    #[serde(default)]
    appliance: Vec<RawAppliance>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawVirtual {
    boards: Vec<String>,
    relink_ms: u64,
    jobs: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAppliance {
    name: String,
    board: String,
    ssh: String,
    power_off: Option<Vec<String>>,
    power_on: Option<Vec<String>>,
    traffic: [String; 2],
    relink_ms: u64,
}

impl Rig {
    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).at("cannot read", path)?;
        Self::parse(&text).map_err(|why| RigError::Input(format!("{}: {why}", path.display())))
    }

    /// Understands a text; what is wrong with it, in a sentence.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        let raw: RawRig = toml::from_str(text).map_err(|error| error.to_string())?;
        match (raw.kind, raw.on_this_host, raw.appliance.as_slice()) {
            (RawKind::Virtual, Some(raw), []) => raw.understand().map(Self::Virtual),
            (RawKind::Physical, None, appliances @ [_, ..]) => appliances
                .iter()
                .map(RawAppliance::understand)
                .collect::<std::result::Result<_, _>>()
                .map(Self::Physical),
            (RawKind::Virtual, ..) => {
                Err("kind = \"virtual\" needs a [virtual] table and no [[appliance]]".to_owned())
            }
            (RawKind::Physical, ..) => {
                Err("kind = \"physical\" needs [[appliance]] tables and no [virtual]".to_owned())
            }
        }
    }
}

impl RawVirtual {
    fn understand(self) -> std::result::Result<VirtualRig, String> {
        if let Some(unknown) = self.boards.iter().find(|name| Model::named(name).is_none()) {
            let known = MODELS.map(|model| model.name).join(", ");
            return Err(format!(
                "no board `{unknown}` in the matrix; there are: {known}"
            ));
        }
        if !(1..=16).contains(&self.jobs) {
            return Err(format!("jobs = {}: expected 1 to 16", self.jobs));
        }
        Ok(VirtualRig {
            boards: self.boards,
            relink: Duration::from_millis(self.relink_ms),
            jobs: self.jobs,
        })
    }
}

impl RawAppliance {
    fn understand(&self) -> std::result::Result<PhysicalAppliance, String> {
        let name = &self.name;
        catalogue::load(&[], &self.board)
            .map_err(|error| format!("appliance `{name}`: {error}"))?;
        let power = match (&self.power_off, &self.power_on) {
            (None, None) => None,
            (Some(off), Some(on)) if !off.is_empty() && !on.is_empty() => Some(PowerSwitch {
                off: off.clone(),
                on: on.clone(),
            }),
            _ => {
                return Err(format!(
                    "appliance `{name}`: power_off and power_on go together, each with a program"
                ));
            }
        };
        // An ssh destination that begins with a dash would be taken for an option.
        if self.ssh.is_empty()
            || self.ssh.starts_with('-')
            || self.ssh.contains(char::is_whitespace)
        {
            return Err(format!(
                "appliance `{name}`: ssh = `{}`: expected user@host",
                self.ssh
            ));
        }
        if self.traffic[0] == self.traffic[1] {
            return Err(format!(
                "appliance `{name}`: both traffic ports are {}",
                self.traffic[0]
            ));
        }
        Ok(PhysicalAppliance {
            name: name.clone(),
            board: self.board.clone(),
            ssh: self.ssh.clone(),
            power,
            traffic: self.traffic.clone(),
            relink: Duration::from_millis(self.relink_ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_rigs_are_understood() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rigs");
        let Rig::Virtual(bench) = Rig::load(&folder.join("virtual.toml")).unwrap() else {
            panic!("not virtual")
        };
        assert_eq!(bench, VirtualRig::default());
        let Rig::Physical(pair) = Rig::load(&folder.join("example-pair.toml")).unwrap() else {
            panic!("not physical")
        };
        assert_eq!(pair.len(), 2);
        assert!(pair[0].power.is_some() && pair[1].power.is_none());
    }

    #[test]
    fn mistakes_are_refused() {
        let table = [
            ("kind = \"virtual\"", "needs a [virtual] table"),
            ("kind = \"physical\"", "needs [[appliance]] tables"),
            ("kind = \"other\"", "unknown variant"),
            (
                "kind = \"virtual\"\n[virtual]\nboards = [\"nope\"]\nrelink_ms = 1\njobs = 1",
                "no board `nope`",
            ),
            (
                "kind = \"virtual\"\n[virtual]\nboards = []\nrelink_ms = 1\njobs = 1\nextra = 1",
                "unknown field `extra`",
            ),
            (
                "kind = \"physical\"\n[[appliance]]\nname = \"a\"\nboard = \"reference\"\nssh = \"-oProxyCommand=x\"\ntraffic = [\"a\", \"b\"]\nrelink_ms = 1",
                "expected user@host",
            ),
            (
                "kind = \"physical\"\n[[appliance]]\nname = \"a\"\nboard = \"reference\"\nssh = \"r@h\"\npower_off = [\"x\"]\ntraffic = [\"a\", \"b\"]\nrelink_ms = 1",
                "go together",
            ),
        ];
        for (text, expected) in table {
            let said = Rig::parse(text).unwrap_err();
            assert!(said.contains(expected), "{text}: {said}");
        }
    }
}
