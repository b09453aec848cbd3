//! Power, reset and pause of the appliance's machine.

use std::sync::PoisonError;
use std::time::Duration;

use super::guest_clock::ms;
use super::{Appliance, BOOT, COMMAND};
use crate::channel::Hello;
use crate::error::{Result, RigError};
use crate::outcome::Moment;

impl Appliance {
    /// Power on with the disk as it is; waits until the guest answers.
    pub fn power_on(&mut self) -> Result<()> {
        self.log_machine("power on");
        self.node
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .power_on()?;
        // QEMU starts with every link up; the relay knows better.
        let shown = *self.carrier.lock().unwrap_or_else(PoisonError::into_inner);
        for (port, up) in shown.into_iter().enumerate() {
            self.machine().set_link(port, up)?;
        }
        self.wait_boot(BOOT)
    }

    /// Power cut.
    pub fn power_off(&mut self) {
        self.harvest_machine();
        self.node
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .power_off();
        self.log_machine("power cut");
    }

    /// Power on with a new disk.
    pub fn boot_fresh(&mut self) -> Result<()> {
        self.power_off();
        self.new_disk()?;
        self.power_on()
    }

    /// Waits for a boot other than the last one that answered.
    pub fn wait_boot(&mut self, timeout: Duration) -> Result<()> {
        let until = std::time::Instant::now() + timeout;
        loop {
            let left = until.saturating_duration_since(std::time::Instant::now());
            // Another incarnation of the same boot is the guest's agent restarted, not the machine.
            let seen: Option<Hello> = self.hello.clone();
            let hello = self.machine().guest()?.wait_ready(seen.as_ref(), left)?;
            let is_new = seen.is_none_or(|seen| seen.boot != hello.boot);
            self.hello = Some(hello);
            if is_new {
                break;
            }
        }
        self.guest_clock.rebooted();
        self.read_guest_clock()?;
        self.log_machine("guest up");
        Ok(())
    }

    /// The machine sleeps.
    pub fn pause(&mut self) -> Result<()> {
        self.log_machine("paused");
        self.machine().pause()
    }

    /// The machine wakes.
    pub fn resume(&mut self) -> Result<()> {
        self.machine().resume()?;
        self.log_machine("resumed");
        Ok(())
    }

    /// The last of the console and the journal, for a failure's report.
    pub fn logs(&self) -> String {
        let journal = self.machine().guest().and_then(|guest| {
            guest.shell("journalctl -b --no-pager -o short-monotonic -n 80; systemctl status --no-pager -n 0 fencepost", COMMAND)
        });
        let console =
            std::fs::read_to_string(self.machine().config().console()).unwrap_or_default();
        let tail: Vec<&str> = console.lines().rev().take(40).collect();
        let console: Vec<&str> = tail.into_iter().rev().collect();
        format!(
            "{}\n--- console ---\n{}",
            journal.unwrap_or_else(|error| error.to_string()),
            console.join("\n")
        )
    }

    /// Reads both clocks.
    pub(super) fn read_guest_clock(&mut self) -> Result<()> {
        let before = self.now();
        let text =
            String::from_utf8_lossy(&self.machine().guest()?.read("/proc/uptime")?).into_owned();
        let after = self.now();
        let seconds = text
            .split_whitespace()
            .next()
            .and_then(|word| word.parse::<f64>().ok());
        let seconds = seconds
            .ok_or_else(|| RigError::Input(format!("/proc/uptime in the guest says {text}")))?;
        self.guest_clock.anchor(seconds * 1000.0, before, after);
        Ok(())
    }

    /// What happened to the machine since the scenario began.
    pub fn machine_log(&mut self) -> Vec<Moment> {
        self.harvest_machine();
        let mut log = self.machine_log.clone();
        log.sort_by(|a, b| a.t_ms.total_cmp(&b.t_ms));
        log
    }

    /// Takes over what QEMU reported by itself.
    pub(super) fn harvest_machine(&mut self) {
        let told = self
            .machine()
            .qmp()
            .map(|qmp| qmp.events())
            .unwrap_or_default();
        let now_ms = ms(self.now());
        for event in told {
            let tells = matches!(
                event.name.as_str(),
                "RESET" | "WATCHDOG" | "GUEST_PANICKED" | "SHUTDOWN"
            );
            if !tells || event.at < self.begun {
                continue;
            }
            let t_ms = now_ms - event.at.elapsed().as_secs_f64() * 1000.0;
            let known =
                |moment: &Moment| moment.text == event.name && (moment.t_ms - t_ms).abs() < 50.0;
            if !self.machine_log.iter().any(known) {
                self.machine_log.push(Moment {
                    t_ms,
                    text: event.name,
                });
            }
        }
    }

    fn log_machine(&mut self, text: &str) {
        let t_ms = ms(self.now());
        self.machine_log.push(Moment {
            t_ms,
            text: text.to_owned(),
        });
    }

    /// Waits for something QEMU reports, as `RESET`.
    pub fn wait_machine_event(
        &self,
        name: &str,
        since: std::time::Instant,
        timeout: Duration,
    ) -> Result<bool> {
        Ok(self
            .machine()
            .qmp()?
            .wait_event(name, since, timeout)
            .is_some())
    }
}
