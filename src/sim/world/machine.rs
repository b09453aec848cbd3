//! The machine: power, boot, panic, pauses, the watchdog device and the service manager.

use core::time::Duration;

use super::{Due, Host, Seen, World};
use crate::node::{Event, Instant, WatchdogFacts};
use crate::sim::chips::Power;
use crate::sim::ideal::lock;

/// The machine.
#[derive(Debug)]
pub(super) struct Machine {
    state: State,
    boot: u64,
    /// It stands still until then.
    pub(super) paused_until: Option<Instant>,
    /// By how much its clock is behind the world's.
    pub(super) behind: Duration,
    /// Everything on it is late by up to this.
    pub(super) late_by: Option<Duration>,
    /// The service was stopped for good.
    pub(super) stopped: bool,
    /// The device refuses.
    pub(super) watchdog_fails: bool,
    /// When the device resets the machine, if it runs.
    resets_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Up,
    Booting,
    Panicked,
    Off,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            state: State::Up,
            boot: 0,
            paused_until: None,
            behind: Duration::ZERO,
            late_by: None,
            stopped: false,
            watchdog_fails: false,
            resets_at: None,
        }
    }
}

impl Machine {
    pub(super) fn is_up(&self) -> bool {
        self.state == State::Up
    }

    pub(super) fn reset_at(&self) -> Option<Instant> {
        self.resets_at
    }
}

impl World {
    // ---- the service manager

    pub(super) fn kill_agent(&mut self) {
        if self.agent.is_none() {
            return;
        }
        self.end_agent();
        self.start_next();
    }

    pub(super) fn unit_watchdog(&mut self) {
        let patience = self.scenario.habits.unit_watchdog;
        let Some(agent) = &self.agent else { return };
        let due = agent.alive_at + patience;
        if due > self.now {
            self.put(due, Due::UnitWatchdog);
            return;
        }
        self.film
            .line(self.now, "systemd", || "no sign of life: killed".to_owned());
        self.kill_agent();
    }

    // ---- the watchdog device

    pub(super) fn watchdog(&mut self, life: u64, open: bool) {
        if life != self.life || self.agent.is_none() {
            return;
        }
        let timeout = self.scenario.habits.watchdog;
        let works = !self.machine.watchdog_fails;
        if works {
            self.machine.resets_at = Some(self.now + timeout);
            self.put_after(timeout, Due::Reset);
            self.see(&Seen::WatchdogRuns(true));
        }
        let error = || "no such device".to_owned();
        let event = if open {
            let facts = WatchdogFacts {
                identity: "sim".to_owned(),
                timeout,
                pretimeout: None,
                reset_by_watchdog: None,
            };
            Event::WatchdogOpened {
                outcome: works.then_some(facts).ok_or_else(error),
            }
        } else {
            Event::KeepaliveSent {
                outcome: works.then_some(()).ok_or_else(error),
            }
        };
        self.deliver(life, event);
    }

    pub(super) fn release_watchdog(&mut self) {
        self.machine.resets_at = None;
        self.see(&Seen::WatchdogRuns(false));
    }

    pub(super) fn reset_due(&mut self) {
        if self.machine.resets_at.is_some_and(|at| at <= self.now) {
            self.tally.resets += 1;
            self.film
                .line(self.now, "watchdog", || "resets the machine".to_owned());
            self.reset();
        }
    }

    // ---- power, boot, panic

    /// Everything on the host ends; the board lives on.
    fn halt(&mut self, state: State) {
        self.machine.state = state;
        self.machine.boot += 1;
        self.machine.paused_until = None;
        self.end_agent();
        self.left.clear();
        self.disk.lose_unsaved();
    }

    fn reset(&mut self) {
        self.halt(State::Booting);
        self.machine.resets_at = None;
        self.see(&Seen::WatchdogRuns(false));
        lock(&self.shop).plant.host_reset(self.now);
        self.board_changed();
        let boot = self.machine.boot;
        self.put_after(self.scenario.habits.boot, Due::Booted { boot });
    }

    pub(super) fn booted(&mut self, boot: u64) {
        if boot != self.machine.boot {
            return;
        }
        match self.machine.state {
            State::Panicked => self.reset(),
            State::Booting => {
                self.machine.state = State::Up;
                self.machine.stopped = false;
                self.film.line(self.now, "machine", || "up".to_owned());
                let life = self.life;
                self.put_after(Duration::from_millis(10), Due::Start { life });
            }
            State::Up | State::Off => {}
        }
    }

    pub(super) fn panic(&mut self) {
        if !self.machine.is_up() {
            return;
        }
        self.halt(State::Panicked);
        if let Some(after) = self.scenario.habits.panic_reboots_after {
            let boot = self.machine.boot;
            self.put_after(after, Due::Booted { boot });
        }
    }

    pub(super) fn power_off(&mut self) {
        self.halt(State::Off);
        self.machine.resets_at = None;
        self.see(&Seen::WatchdogRuns(false));
        {
            let mut shop = lock(&self.shop);
            shop.plant.host_reset(self.now);
            shop.plant.power(self.now, Power::Off);
        }
        self.board_changed();
    }

    pub(super) fn power_on(&mut self) {
        if self.machine.state != State::Off {
            return;
        }
        lock(&self.shop).plant.power(self.now, Power::On);
        self.board_changed();
        self.reset();
    }

    /// Somebody pushes the button of a machine that hangs.
    pub(super) fn unhang(&mut self) {
        match self.machine.state {
            State::Panicked => self.reset(),
            State::Off => self.power_on(),
            State::Up | State::Booting => {}
        }
    }

    // ---- pauses

    /// The machine stands still until then; `stopped` of that its own clock stands still too.
    pub(super) fn pause_machine(&mut self, until: Instant, stopped: Duration) {
        self.machine.paused_until = Some(until.max(self.now));
        self.machine.behind += stopped;
    }

    pub(super) fn pause(&mut self, span: Duration, stopped: Duration) {
        if self.agent.is_none() || self.machine.paused_until.is_some_and(|at| at > self.now) {
            return;
        }
        self.see(&Seen::Host(Host::Unable));
        let until = self.now + span;
        self.foresee(until, Host::Able);
        self.pause_machine(until, stopped);
    }
}
