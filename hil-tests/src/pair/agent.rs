//! An agent in a namespace: its process, and the ways in which it can go wrong. Or keepalived in its place.
//!
//! What if the rig dies? Its agents die with it, and their boards open.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fencepost::control::{Answer, Request};
use fencepost::control_client::Client;
use fencepost::node::Stop;

use super::VIP;
use super::host::Host;
use super::native::Place;
use super::site::{self, Part, Wishes};
use super::sync_service::{self, SyncService};
use crate::command::output;
use crate::error::{AtPath, Result, RigError};

/// Longest tail of what an agent said that is shown, lines.
const SAID: usize = 400;
/// For an agent that hands over to end.
const HANDOVER: Duration = Duration::from_secs(10);

/// An agent's place, and the agent if it runs.
pub struct Agent {
    place: Place,
    /// Program and arguments.
    command: Vec<OsString>,
    child: Option<Child>,
    sync: Option<SyncService>,
}

/// Gives the host its name, then becomes the program.
const NAMED: &str = r#"hostname "$0" && exec "$@""#;

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
        place: Place,
        part: Part,
        key: &str,
        wishes: &Wishes,
    ) -> Result<Self> {
        let mut agent = Self::bare(place);
        // A host of its own has a name of its own.
        let named = ["unshare", "--uts", "sh", "-c", NAMED, part.word()];
        agent.command = named.map(Into::into).to_vec();
        agent.command.extend([
            program.into(),
            "--config".into(),
            agent.path("site.toml").into(),
            "agent".into(),
            "--uncommissioned".into(),
        ]);
        agent.write("pair.key", key)?;
        output(Command::new("chmod").arg("600").arg(agent.path("pair.key")))?;
        agent.write("power", POWER)?;
        output(Command::new("chmod").arg("755").arg(agent.path("power")))?;
        agent.sync = Some(SyncService::prepare(program, &agent.place.folder)?);
        agent.write("site.toml", &agent.site(part, wishes))?;
        Ok(agent)
    }

    /// keepalived in the agent's place, as its own documentation would have it; `advert`: its `advert_int`.
    pub fn keepalived(place: Place, part: Part, version: u8, advert: &str) -> Result<Self> {
        let mut agent = Self::bare(place);
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

    fn bare(place: Place) -> Self {
        Self {
            place,
            command: Vec::new(),
            child: None,
            sync: None,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.folder.join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path(name);
        std::fs::write(&path, text).at("cannot write", &path)
    }

    fn site(&self, part: Part, wishes: &Wishes) -> String {
        let place = |name: &str| self.path(name).display().to_string();
        let tables = format!(
            "[control]\nsocket = \"{}\"\n\n[state]\ndir = \"{}\"\nruntime_dir = \"{}\"\n\n[adapter]\nbus = \"unix:{}\"\n",
            self.place.control().display(),
            place("state"),
            place("run"),
            self.place.socket().display(),
        );
        let place = site::Place {
            ports: ["lan0", "wan0", "ha0"],
            dead_man: Duration::from_secs(1),
            relink: Duration::ZERO,
            watchdog: "mode = \"off\"",
            key_file: &place("pair.key"),
            tables: &tables,
        };
        let synced = SyncService::place(&self.place.folder).join(sync_service::ROOT);
        let mut wishes = wishes.clone();
        for (word, path) in [
            ("@power@", self.path("power")),
            ("@synced@", synced),
            ("@sync-socket@", SyncService::socket(&self.place.folder)),
        ] {
            wishes.tables = wishes.tables.replace(word, &path.display().to_string());
        }
        site::toml(&place, part, &wishes)
    }

    fn signal(&self, name: &str) -> Result<()> {
        let Some(child) = &self.child else {
            return Err(RigError::Input("no agent runs here".to_owned()));
        };
        let group = format!("-{}", child.id());
        output(Command::new("kill").args(["-s", name, "--", &group])).map(drop)
    }

    fn end(&mut self) {
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
}

impl Host for Agent {
    fn start(&mut self) -> Result<()> {
        self.end();
        let log = self.path("agent.log");
        let said = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&log)
            .at("cannot write", &log)?;
        let child = self
            .place
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

    fn kill(&mut self) -> Result<()> {
        self.end();
        Ok(())
    }

    fn crash(&mut self) -> Result<()> {
        self.end();
        self.start()
    }

    fn freeze(&mut self) -> Result<()> {
        self.signal("STOP")
    }

    fn thaw(&mut self) -> Result<()> {
        self.signal("CONT")
    }

    fn wants_power_off(&self) -> bool {
        self.path("off-wanted").exists()
    }

    fn tell_power(&mut self, off: bool) -> Result<()> {
        if off {
            return self.write("off-done", "");
        }
        for name in ["off-wanted", "off-done"] {
            let _never_there = std::fs::remove_file(self.path(name));
        }
        Ok(())
    }

    fn terminate(&mut self) -> Result<()> {
        self.signal("TERM")
    }

    fn wait_ended(&mut self, timeout: Duration) -> bool {
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

    fn upgrade(&mut self) -> Result<()> {
        let kind = Stop::Handover;
        self.ask(Request::Stop { kind })?;
        if !self.wait_ended(HANDOVER) {
            return Err(RigError::Input("the agent did not hand over".to_owned()));
        }
        self.start()
    }

    fn power_off(&mut self) -> Result<()> {
        // All of it at one instant: nobody may act on a part of it, and the peer must not hear a kernel refuse what its
        // agent no longer takes.
        if self.child.is_some() {
            self.freeze()?;
        }
        let namespace = &self.place.namespace;
        namespace.shell("ip link set ha0 down; ip link set lan0 down; ip link set wan0 down")?;
        self.end();
        // A kernel that was never there has no addresses.
        let vip = format!("{VIP}/32");
        let _may_be_gone = self
            .place
            .namespace
            .ip(&["address", "del", &vip, "dev", "lan0"]);
        Ok(())
    }

    fn power_on(&mut self) -> Result<()> {
        self.place
            .namespace
            .shell("ip link set ha0 up; ip link set lan0 up; ip link set wan0 up")
            .map(drop)
    }

    fn start_sync(&mut self) -> Result<()> {
        let site = self.path("site.toml");
        let Some(sync) = &mut self.sync else {
            return Err(RigError::Input("no sync service on this host".to_owned()));
        };
        sync.start(&self.place.namespace, &site)
    }

    fn kill_sync(&mut self) {
        if let Some(sync) = &mut self.sync {
            sync.kill();
        }
    }

    fn sync(&self) -> Option<&SyncService> {
        self.sync.as_ref()
    }

    fn ask(&self, request: Request) -> Result<Answer> {
        Client::connect(&self.place.control())
            .and_then(|mut client| client.ask(request))
            .map_err(|error| RigError::Input(error.to_string()))
    }

    fn said(&self) -> String {
        let said = std::fs::read_to_string(self.path("agent.log")).unwrap_or_default();
        let mut last: Vec<&str> = said.lines().rev().take(SAID).collect();
        last.reverse();
        let sync = self.sync.as_ref().map(SyncService::said);
        last.join("\n") + &sync.unwrap_or_default()
    }

    fn control(&self) -> Option<PathBuf> {
        Some(self.place.control())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.end();
    }
}
