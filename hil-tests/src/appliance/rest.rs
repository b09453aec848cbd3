//! Back to rest: every scenario begins with a healthy appliance in `Normal`, all green, nothing injected, alarms acknowledged.
//!
//! What if it does not come to rest? Then the machine gets a new disk and boots; if that does not help either, the scenario has not run,
//! and its result is a failure that says so.

use std::time::{Duration, Instant};

use fencepost::board::RelayState;
use fencepost::board::profile::ReadBack;
use fencepost::control::{AgentStatus, Request};
use fencepost::node::Command;
use fencepost::node::status::{SegmentMode, Summary};

use super::model::CHECK_FILE;
use super::{Appliance, POLL};
use crate::error::{Result, RigError};

/// For the agent to come to Normal with all green.
const REST: Duration = Duration::from_secs(60);

/// Undoes whatever a scenario may have left in the guest. Order matters: units first, then the agent.
const UNDO: &str = "
for unit in $(systemctl list-units --plain --no-legend 'rig-tmp-*' | cut -d' ' -f1); do systemctl kill -s KILL $unit; systemctl stop $unit; done
systemctl reset-failed 2>/dev/null
if ls /run/systemd/system/*.d/50-scenario.conf >/dev/null 2>&1; then
    rm -f /run/systemd/system/*.d/50-scenario.conf
    systemctl daemon-reload
    changed=1
fi
echo ok > CHECK_FILE
if systemctl is-active -q fencepost; then
    systemctl kill --kill-who=main -s CONT fencepost
    [ -z \"$changed\" ] || systemctl restart fencepost
else
    systemctl start fencepost
fi
true
";

impl Appliance {
    /// Brings the appliance to rest, booting it anew if need be.
    pub fn settle_normal(&mut self) -> Result<()> {
        self.clear_faults();
        let powered = self.hello.is_some() && self.machine().qmp().is_ok();
        if powered && self.undo_or_await_reset().is_ok() && self.wait_rest(REST).is_ok() {
            return Ok(());
        }
        if powered {
            eprintln!(
                "hil: {}: did not come to rest; booting anew\n{}",
                self.model.name,
                self.why_not_at_rest()
            );
        }
        self.boot_fresh()?;
        self.wait_rest(REST)
    }

    /// The machine may be on its way through a reset that the last scenario left pending.
    fn undo_or_await_reset(&mut self) -> Result<()> {
        match self.undo() {
            Err(RigError::Restarted { .. }) => {
                self.wait_boot(super::BOOT)?;
                self.undo()
            }
            other => other,
        }
    }

    fn undo(&mut self) -> Result<()> {
        self.shell(&UNDO.replace("CHECK_FILE", CHECK_FILE))?;
        self.read_guest_clock()
    }

    /// Waits until agent, relays and traffic agree that everything is as it should be.
    pub fn wait_rest(&mut self, timeout: Duration) -> Result<()> {
        let until = Instant::now() + timeout;
        let normal =
            |relays: Vec<RelayState>| relays.iter().all(|relay| *relay == RelayState::Normal);
        while !normal(self.relays()) {
            if Instant::now() > until {
                return Err(self.not_at_rest("its relays are not in Normal", timeout));
            }
            std::thread::sleep(POLL);
        }
        let at_rest = |status: &AgentStatus| self.reports_normal(status);
        if self.wait_status(timeout, at_rest)?.is_err() {
            return Err(self.not_at_rest(
                "its agent does not report Normal with nothing wrong",
                timeout,
            ));
        }
        let since = self.now();
        if !self.traffic.wait_flowing(since, timeout) {
            return Err(self.not_at_rest("no frame passes it", timeout));
        }
        let command = Command::Acknowledge;
        self.ask(Request::Command { command }).map(drop)
    }

    /// Whether the agent's own word is that all is well. A board that cannot be read back is never green: there the order counts.
    pub fn reports_normal(&self, status: &AgentStatus) -> bool {
        let blind = self
            .profile
            .segments
            .iter()
            .all(|segment| segment.read_back == ReadBack::Nothing);
        let in_place = status.node.segments.iter().all(|segment| {
            let seen = segment.state == RelayState::Normal
                || (blind && segment.state == RelayState::Unknown);
            seen && segment.wanted == RelayState::Normal && segment.mode == SegmentMode::Auto
        });
        // Alarms of what was just undone keep it yellow until they are acknowledged.
        in_place
            && status.node.summary < Summary::Red
            && status.node.controller_fault.is_none()
            && status.node.ledger_fault.is_none()
    }

    fn not_at_rest(&self, what: &str, waited: Duration) -> RigError {
        RigError::Input(format!(
            "{} did not come to rest within {waited:?}: {what}\n{}",
            self.model.name,
            self.why_not_at_rest()
        ))
    }

    fn why_not_at_rest(&self) -> String {
        let said = self.exec(&["fencepost", "status"], super::COMMAND);
        let said = said.map_or_else(|error| error.to_string(), |done| done.stdout + &done.stderr);
        format!(
            "relays {:?}; the agent says:\n{said}\n{}",
            self.relays(),
            self.logs()
        )
    }
}
