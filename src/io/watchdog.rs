//! The machine's watchdog: `/dev/watchdogN`, or systemd's where systemd owns the device.
//!
//! Opening starts it. Closing without the letter `V` before leaves it running, on purpose: an agent that
//! dies must end in a reset unless its successor opens the device in time. `V` is written for
//! [`WatchdogOrder::Release`] and for nothing else. Two things can be stronger than that: a driver
//! without magic close stops on any close (told at opening), and `nowayout` never stops at all.
//!
//! Nothing here feeds by itself: one keepalive order, one keepalive. The thread exists because some drivers
//! (IPMI) take their time to answer; while it hangs, at most one more keepalive waits behind it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use super::inbox::Inlet;
use super::mailbox::{Received, Rejected, Sender, mailbox};
use super::realtime::{self, Priority};
use super::sys::{self, WatchdogSupport};
use super::watchdog_holder;
use crate::node::{Event, WatchdogFacts};

/// Orders that can wait. Small: a keepalive that waits is a promise about the past.
const ORDERS_MAX: usize = 2;

/// Which watchdog this agent keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchdogSpec {
    /// A device of its own.
    Device {
        /// Stable path, such as `/dev/watchdog0`.
        path: PathBuf,
        /// Wanted timeout; the driver's effective one is reported.
        timeout: Duration,
        /// Wanted pretimeout, if any.
        pretimeout: Option<Duration>,
    },
    /// systemd feeds the device; the agent feeds systemd (`WatchdogSec=` of the unit).
    Systemd,
}

/// What the watchdog can be told; see the actions of the same names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchdogOrder {
    /// Open it; it runs from then on.
    Open,
    /// Feed it.
    Keepalive,
    /// Stop it.
    Release,
}

impl WatchdogOrder {
    /// The answer when it could not be tried; a release has none.
    pub fn failed(self, error: String) -> Option<Event> {
        match self {
            Self::Open => Some(Event::WatchdogOpened {
                outcome: Err(error),
            }),
            Self::Keepalive => Some(Event::KeepaliveSent {
                outcome: Err(error),
            }),
            Self::Release => None,
        }
    }
}

/// The control thread's end.
pub struct WatchdogOrders {
    queue: Sender<WatchdogOrder>,
}

impl WatchdogOrders {
    /// Give an order. Comes back with its answer at once if it cannot even be queued.
    pub fn give(&self, order: WatchdogOrder) -> Option<Event> {
        match self.queue.send(order) {
            Ok(()) => None,
            Err(Rejected::Full(order)) => {
                order.failed("the watchdog's driver has not answered earlier orders".to_owned())
            }
            Err(Rejected::Closed(order)) => {
                order.failed("the watchdog's thread has ended; restart the agent".to_owned())
            }
        }
    }
}

/// Start the thread.
pub fn start(
    spec: WatchdogSpec,
    answers: Inlet,
    priority: Priority,
) -> io::Result<(WatchdogOrders, JoinHandle<()>)> {
    let (queue, orders) = mailbox(ORDERS_MAX);
    let thread = std::thread::Builder::new()
        .name("fp-watchdog".to_owned())
        .stack_size(512 * 1024)
        .spawn(move || {
            realtime::prepare_this_thread("watchdog", priority);
            let mut watchdog = Watchdog { spec, open: None };
            while let Received::Item(order) = orders.take(None) {
                if let Some(answer) = watchdog.carry_out(order) {
                    // Ended: nobody left to tell.
                    let _ended = answers.tell(answer);
                }
            }
        })?;
    Ok((WatchdogOrders { queue }, thread))
}

struct Watchdog {
    spec: WatchdogSpec,
    open: Option<Open>,
}

enum Open {
    Device(File),
    Systemd,
}

impl Watchdog {
    fn carry_out(&mut self, order: WatchdogOrder) -> Option<Event> {
        match order {
            WatchdogOrder::Open => Some(Event::WatchdogOpened {
                outcome: self.open(),
            }),
            WatchdogOrder::Keepalive => Some(Event::KeepaliveSent {
                outcome: self.keepalive(),
            }),
            WatchdogOrder::Release => {
                self.release();
                None
            }
        }
    }

    fn open(&mut self) -> Result<WatchdogFacts, String> {
        match &self.spec {
            WatchdogSpec::Systemd => {
                let facts = systemd_facts(sd_notify::watchdog_enabled())?;
                self.open = Some(Open::Systemd);
                Ok(facts)
            }
            WatchdogSpec::Device {
                path,
                timeout,
                pretimeout,
            } => {
                // Only once; opening what we hold ourselves would answer "busy".
                let file = match self.open.take() {
                    Some(Open::Device(file)) => file,
                    Some(Open::Systemd) | None => open_device(path)?,
                };
                let facts = set_up(&file, path, *timeout, *pretimeout);
                self.open = Some(Open::Device(file));
                facts
            }
        }
    }

    fn keepalive(&mut self) -> Result<(), String> {
        match &mut self.open {
            None => Err("the watchdog is not open".to_owned()),
            // Any byte but `V` feeds, with every driver, whether or not it has the ioctl; and it takes back
            // a `V` that was written before.
            Some(Open::Device(file)) => file
                .write_all(b"\0")
                .map_err(|error| format!("keepalive refused: {error}")),
            Some(Open::Systemd) => sd_notify::notify(&[sd_notify::NotifyState::Watchdog])
                .map_err(|error| format!("systemd was not reached: {error}")),
        }
    }

    fn release(&mut self) {
        if let Some(Open::Device(mut file)) = self.open.take()
            && let Err(error) = file.write_all(b"V")
        {
            tracing::error!("watchdog could not be told to stop ({error}); it resets the machine");
        }
    }
}

fn open_device(path: &Path) -> Result<File, String> {
    OpenOptions::new().write(true).open(path).map_err(|error| match error.raw_os_error() {
        Some(libc::EBUSY) => watchdog_holder::explain_busy(path),
        Some(libc::ENOENT) => format!(
            "{} not found: load the board's watchdog driver (softdog if it has none), or leave [watchdog] out",
            path.display()
        ),
        _ => format!("{} cannot be opened: {error}", path.display()),
    })
}

/// Set what was asked for and read what is so.
fn set_up(
    file: &File,
    path: &Path,
    timeout: Duration,
    pretimeout: Option<Duration>,
) -> Result<WatchdogFacts, String> {
    let place = path.display();
    let support = sys::watchdog_support(file)
        .map_err(|error| format!("{place} is no watchdog that can be asked ({error})"))?;
    if !support.offers(WatchdogSupport::MAGIC_CLOSE) {
        tracing::warn!(
            "{place} ({}) stops on any close: if the agent dies, it protects nothing",
            support.identity
        );
    }
    if fs::read_to_string(sysfs(path).join("nowayout")).is_ok_and(|text| text.trim() == "1") {
        tracing::warn!("{place} runs with nowayout: an ordered stop will end in a reset too");
    }
    let effective = if support.offers(WatchdogSupport::SET_TIMEOUT) {
        sys::watchdog_set_timeout(file, timeout)
            .map_err(|error| format!("{place} refused a timeout of {timeout:?} ({error})"))?
    } else {
        sys::watchdog_timeout(file)
            .map_err(|error| format!("{place} does not tell its timeout ({error})"))?
    };
    let pretimeout = match pretimeout {
        Some(wanted) if support.offers(WatchdogSupport::PRETIMEOUT) => {
            sys::watchdog_set_pretimeout(file, wanted).ok()
        }
        _ => sys::watchdog_pretimeout(file).ok(),
    };
    let boot = sys::watchdog_boot_status(file).ok();
    Ok(WatchdogFacts {
        identity: support.identity,
        timeout: effective,
        pretimeout: pretimeout.filter(|before| !before.is_zero()),
        // Drivers that cannot know report 0 as well as drivers that know better: only "yes" is an answer.
        reset_by_watchdog: boot
            .map(|flags| flags & WatchdogSupport::CARD_RESET != 0)
            .filter(|yes| *yes),
    })
}

/// The device's directory in sysfs. `/dev/watchdog` is the old name of `watchdog0`.
fn sysfs(path: &Path) -> PathBuf {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let name = if name == "watchdog" {
        "watchdog0"
    } else {
        name
    };
    Path::new("/sys/class/watchdog").join(name)
}

fn systemd_facts(unit_watchdog: Option<Duration>) -> Result<WatchdogFacts, String> {
    let timeout = unit_watchdog.ok_or(
        "the agent is to feed systemd, and systemd does not expect it: give the unit WatchdogSec= \
         (and set RuntimeWatchdogSec= in system.conf, or a hung systemd resets nothing)",
    )?;
    Ok(WatchdogFacts {
        identity: "systemd (WatchdogSec= of the unit)".to_owned(),
        timeout,
        pretimeout: None,
        reset_by_watchdog: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_file(path: &Path) -> Watchdog {
        let spec = WatchdogSpec::Device {
            path: path.to_owned(),
            timeout: Duration::from_secs(10),
            pretimeout: None,
        };
        Watchdog {
            spec,
            open: Some(Open::Device(File::create(path).unwrap())),
        }
    }

    #[test]
    fn dying_writes_no_magic_letter() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut watchdog = on_file(file.path());
        watchdog.keepalive().unwrap();
        drop(watchdog);
        assert_eq!(fs::read(file.path()).unwrap(), b"\0");
    }

    #[test]
    fn only_a_release_writes_the_magic_letter_and_last() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut watchdog = on_file(file.path());
        watchdog.keepalive().unwrap();
        assert_eq!(watchdog.carry_out(WatchdogOrder::Release), None);
        assert!(watchdog.keepalive().is_err());
        drop(watchdog);
        assert_eq!(fs::read(file.path()).unwrap(), b"\0V");
    }

    #[test]
    fn a_missing_device_is_named_with_the_remedy() {
        let error = open_device(Path::new("/dev/watchdog-not-there")).unwrap_err();
        assert!(
            error.contains("/dev/watchdog-not-there not found"),
            "{error}"
        );
    }

    #[test]
    fn something_that_is_no_watchdog_is_refused() {
        let spec = WatchdogSpec::Device {
            path: "/dev/null".into(),
            timeout: Duration::from_secs(10),
            pretimeout: None,
        };
        let error = Watchdog { spec, open: None }.open().unwrap_err();
        assert!(error.contains("/dev/null is no watchdog"), "{error}");
    }

    #[test]
    fn systemd_must_expect_to_be_fed() {
        assert!(systemd_facts(None).unwrap_err().contains("WatchdogSec="));
        let facts = systemd_facts(Some(Duration::from_secs(3))).unwrap();
        assert_eq!(facts.timeout, Duration::from_secs(3));
    }

    #[test]
    fn the_old_name_is_the_first_device() {
        assert_eq!(
            sysfs(Path::new("/nowhere/watchdog")),
            Path::new("/sys/class/watchdog/watchdog0")
        );
        assert_eq!(
            sysfs(Path::new("/nowhere/watchdog1")),
            Path::new("/sys/class/watchdog/watchdog1")
        );
    }
}
