//! An appliance's agent on the pair's bed: its site, its process, and the ways in which it can go wrong.
//!
//! What if the rig dies? Its agents die with it, and their boards open.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fencepost::control::{Answer, Request};
use fencepost::control_client::{Client, ClientError};
use fencepost::node::pair::PairStatus;
use fencepost::node::status::Status;

use super::{Side, VIP};
use crate::command::output;
use crate::error::{AtPath, Result, RigError};

/// Words of a site that differ between scenarios.
#[derive(Debug, Clone)]
pub struct Wishes {
    /// Timing profile.
    pub profile: &'static str,
    /// Further lines of `[pair]`.
    pub pair: &'static str,
    /// Further tables.
    pub tables: String,
}

impl Wishes {
    /// After a start no node fences anybody for so long.
    pub fn boot_hold(&self) -> Duration {
        match self.profile {
            "conservative" => Duration::from_secs(30),
            "default" => Duration::from_secs(3),
            _ => Duration::from_secs(1),
        }
    }
}

impl Default for Wishes {
    fn default() -> Self {
        Self {
            profile: "fast",
            pair: "",
            tables: String::new(),
        }
    }
}

/// Which end of the pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `node = "primary"`.
    Primary,
    /// `node = "secondary"`.
    Secondary,
}

/// An agent's place on one side, and the agent if it runs.
pub struct Agent {
    /// Program and arguments.
    command: Vec<OsString>,
    folder: PathBuf,
    child: Option<Child>,
}

/// What feeds the other appliance, for a means that takes its power: the rig switches when it sees the wish.
const POWER: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 1
while IFS== read -r key value; do
    [ "$key" = action ] && action=$value
done
case $action in
off)
    touch off-wanted
    while [ ! -e off-done ]; do sleep 0.01; done
    ;;
status)
    [ -e off-done ] && exit 2
    exit 0
    ;;
*) exit 1 ;;
esac
"#;

impl Agent {
    /// Writes its site; no agent yet. `key`: 64 hex digits that both ends share.
    pub fn prepare(
        program: &Path,
        side: &Side,
        part: Part,
        key: &str,
        wishes: &Wishes,
    ) -> Result<Self> {
        let mut agent = Self::bare(side);
        agent.command = vec![
            program.into(),
            "--config".into(),
            agent.path("site.toml").into(),
            "agent".into(),
            "--uncommissioned".into(),
        ];
        agent.write("pair.key", key)?;
        output(Command::new("chmod").arg("600").arg(agent.path("pair.key")))?;
        agent.write("power", POWER)?;
        output(Command::new("chmod").arg("755").arg(agent.path("power")))?;
        agent.write("site.toml", &agent.site(part, wishes))?;
        Ok(agent)
    }

    /// keepalived in the agent's place, as its own documentation would have it; `advert`: its `advert_int`.
    pub fn keepalived(side: &Side, part: Part, version: u8, advert: &str) -> Result<Self> {
        let mut agent = Self::bare(side);
        let priority = match part {
            Part::Primary => 150,
            Part::Secondary => 100,
        };
        let text = format!(
            "global_defs {{\n  vrrp_version {version}\n}}\nvrrp_instance office {{\n  state BACKUP\n  interface lan0\n  \
             virtual_router_id 51\n  priority {priority}\n  advert_int {advert}\n  nopreempt\n  virtual_ipaddress {{\n    \
             {VIP}/32 dev lan0\n  }}\n}}\n"
        );
        agent.write("keepalived.conf", &text)?;
        let file = |option: &str, name: &str| [option.into(), agent.path(name).into()];
        let mut command: Vec<OsString> = ["keepalived", "-n", "-G", "-P"].map(Into::into).to_vec();
        command.extend(file("-f", "keepalived.conf"));
        command.extend(file("-p", "keepalived.pid"));
        command.extend(file("-r", "vrrp.pid"));
        agent.command = command;
        Ok(agent)
    }

    fn bare(side: &Side) -> Self {
        Self {
            command: Vec::new(),
            folder: side.folder.clone(),
            child: None,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path(name);
        std::fs::write(&path, text).at("cannot write", &path)
    }

    fn site(&self, part: Part, wishes: &Wishes) -> String {
        let place = |name: &str| self.path(name).display().to_string();
        let node = match part {
            Part::Primary => "primary",
            Part::Secondary => "secondary",
        };
        let Wishes {
            profile,
            pair,
            tables,
        } = wishes;
        format!(
            r#"board = "reference"
topology = "parallel"

[[segment]]
name = "office"
at = "segment1"
ports = ["lan0", "wan0"]
fail = "disconnect"
carrier_when_cut = "absent"
dwell_ms = 20
relink_ms = 0
closes_per_hour_max = 1000

[dead_man]
period_ms = 1000

[watchdog]
mode = "off"

[pair]
node = "{node}"
profile = "{profile}"
key_file = "{key}"
{pair}

[[link]]
name = "cable"
interface = "ha0"
primary = "198.51.100.1"
secondary = "198.51.100.2"

[[link]]
name = "lan"
interface = "lan0"
primary = "192.0.2.2"
secondary = "192.0.2.3"

[[vip]]
interface = "lan0"
primary = "192.0.2.2/24"
secondary = "192.0.2.3/24"
virtual = ["{VIP}"]

[control]
socket = "{control}"

[state]
dir = "{state}"
runtime_dir = "{run}"

[adapter]
bus = "unix:{board}"
{tables}"#,
            tables = tables.replace("@power@", &place("power")),
            key = place("pair.key"),
            control = place("control"),
            state = place("state"),
            run = place("run"),
            board = place("board"),
        )
    }

    /// Starts it in its namespace.
    pub fn start(&mut self, side: &Side) -> Result<()> {
        self.kill();
        let log = self.path("agent.log");
        let said = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&log)
            .at("cannot write", &log)?;
        let child = side
            .namespace
            .command(Path::new("setpriv"))
            .args(["--pdeathsig", "KILL"])
            .args(&self.command)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            // Helpers of its own share its fate.
            .process_group(0)
            .spawn()
            .at("cannot start", "an agent")?;
        self.child = Some(child);
        Ok(())
    }

    /// Whether it was started and not ended by us.
    pub fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        let _gone_already = self.signal("KILL");
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
        // keepalived would take a dead helper that nobody has reaped yet for a living one, and not start again; where it is at
        // home, init reaps.
        for pid in ["keepalived.pid", "vrrp.pid"] {
            let _never_there = std::fs::remove_file(self.path(pid));
        }
    }

    /// Stops its threads where they are.
    pub fn freeze(&self) -> Result<()> {
        self.signal("STOP")
    }

    /// Lets them go on.
    pub fn thaw(&self) -> Result<()> {
        self.signal("CONT")
    }

    /// Whether its means wants the other appliance's power gone.
    pub fn wants_power_off(&self) -> bool {
        self.path("off-wanted").exists()
    }

    /// The other appliance's power is gone, as its means reads it; or there again.
    pub fn tell_power(&self, off: bool) -> Result<()> {
        if off {
            return self.write("off-done", "");
        }
        for name in ["off-wanted", "off-done"] {
            let _never_there = std::fs::remove_file(self.path(name));
        }
        Ok(())
    }

    /// Asks it to end in order.
    pub fn terminate(&self) -> Result<()> {
        self.signal("TERM")
    }

    fn signal(&self, name: &str) -> Result<()> {
        let Some(child) = &self.child else {
            return Err(RigError::Input("no agent runs here".to_owned()));
        };
        let group = format!("-{}", child.id());
        output(Command::new("kill").args(["-s", name, "--", &group])).map(drop)
    }

    /// What it says of itself.
    pub fn status(&self) -> Option<Status> {
        match self.ask(Request::Status) {
            Ok(Answer::Status(status)) => Some(status.node),
            _ => None,
        }
    }

    /// Its part in the pair, as it sees it.
    pub fn pair(&self) -> Option<PairStatus> {
        self.status()?.pair
    }

    /// One question over its control socket.
    ///
    /// # Errors
    /// None runs, or it refuses.
    pub fn ask(&self, request: Request) -> std::result::Result<Answer, ClientError> {
        Client::connect(&self.path("control"))?.ask(request)
    }

    /// The last of what it said.
    pub fn said(&self, lines: usize) -> String {
        let said = std::fs::read_to_string(self.path("agent.log")).unwrap_or_default();
        let mut last: Vec<&str> = said.lines().rev().take(lines).collect();
        last.reverse();
        last.join("\n")
    }

    /// How long an ordered end may take.
    pub fn wait_ended(&mut self, timeout: Duration) -> bool {
        let until = std::time::Instant::now() + timeout;
        while let Some(child) = &mut self.child {
            if !matches!(child.try_wait(), Ok(None)) {
                self.child = None;
                return true;
            }
            if std::time::Instant::now() > until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.kill();
    }
}
