//! `fencepost board commission`: move one relay at a time, see that its two ports follow, sign it off.
//!
//! Works with the agent stopped, never beside it: the procedure orders moves that policy would undo. The agent's
//! lock is held all the way through.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use fencepost::board::controller::{Controller, Identity};
use fencepost::board::profile::PortRef;
use fencepost::commissioning::{self, Bench, Link, Ports, Record, Stopped};
use fencepost::config::Site;
use fencepost::io::clock::Clock;
use fencepost::io::lock;
use fencepost::node::Instant;
use fencepost::node::policy::Arming;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{Uid, User};

use crate::cli::exit::{Exit, Failure};
use crate::cli::{Global, hardware, places};

/// Prove this board's wiring: moves every relay, one at a time, and watches carrier of its ports
///
/// Stop the agent first (systemctl stop fencepost). TRAFFIC ON THE SEGMENTS IS INTERRUPTED several times. Both ports of
/// every segment need their cables in and their interfaces switched on. Every segment ends in its fail state. The
/// record is written only if everything was as it must be; without one nothing goes to Normal.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Do not ask before moving relays
    #[arg(long)]
    yes: bool,
    /// Who signs it off [default: who called sudo, or the user]
    #[arg(long, value_name = "NAME")]
    operator: Option<String>,
    /// How long carrier may take to come or go, in seconds
    #[arg(long, default_value_t = 15, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=300))]
    relink: u64,
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Exit, Failure> {
    let site = places::proven_site(global)?;
    let operator = operator(options)?;
    let _lock = lock::take(&hardware::lock_path(&site))?;
    let fault = |fault| Failure::failed(format!("board {}: {fault}", site.board.id));
    let mut controller = hardware::open(&site).map_err(fault)?;
    let identity = controller.identify().map_err(fault)?;
    announce(&site, &identity, &operator);
    if !options.yes {
        confirm()?;
    }
    let relink = Duration::from_secs(options.relink);
    let mut bench = Machine {
        ports: Ports::default(),
        interrupted: watch_signals()?,
    };
    let proven = commissioning::prove(&site, controller.as_mut(), &mut bench, relink);
    sign_off(&site, controller.as_mut(), operator, identity, proven)
}

fn sign_off(
    site: &Site,
    controller: &mut dyn Controller,
    operator: String,
    identity: Identity,
    proven: Result<Vec<commissioning::SegmentProof>, Stopped>,
) -> Result<Exit, Failure> {
    let directory = &site.config.state.dir;
    let disk = |error| Failure::failed(format!("{}: {error}", directory.display()));
    match proven {
        Ok(segments) => {
            let record = Record::new(site, operator, identity, segments);
            let path = commissioning::save(directory, record).map_err(disk)?;
            println!("\nproven and signed off in {}", path.display());
            println!("every segment is in its fail state; go on with: systemctl start fencepost");
            Ok(Exit::Done)
        }
        Err(stopped) => {
            let disproved = matches!(stopped, Stopped::Disproved { .. });
            if disproved {
                commissioning::remove(directory).map_err(disk)?;
            }
            let left = match controller.read() {
                Ok(reading) => reading
                    .segments
                    .iter()
                    .zip(&site.config.segments)
                    .map(|(read, segment)| format!("{} {}", segment.name, read.state))
                    .collect::<Vec<_>>()
                    .join(", "),
                Err(fault) => format!("cannot be read: {fault}"),
            };
            let record = if disproved {
                "any earlier record is removed"
            } else {
                "an earlier record stands"
            };
            Err(Failure::failed(format!(
                "not commissioned: {stopped}\n  segments now: {left}; {record}"
            )))
        }
    }
}

fn announce(site: &Site, identity: &Identity, operator: &str) {
    println!("board {}, controller {}", site.board.id, identity.model);
    for segment in &site.config.segments {
        let ports = segment.ports.iter().flatten().map(|port| match port {
            PortRef::Pci(name) | PortRef::Interface(name) => name.as_str(),
        });
        let ports = ports.collect::<Vec<_>>().join(" and ");
        println!(
            "  segment {}: ports {ports}, fails to {}",
            segment.name, segment.fail
        );
    }
    if site.timing.arming == Arming::Absent {
        println!(
            "this board has no dead-man: if this program is killed, a relay may stay in Normal"
        );
    }
    println!(
        "every relay will be moved several times, traffic is interrupted; signed off by {operator}"
    );
}

fn confirm() -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::failed("nobody is here to confirm: use --yes"));
    }
    print!("go on? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(Failure::failed("nothing was moved"))
    }
}

/// A name, never just *root*: somebody answers for it.
fn operator(options: &Options) -> Result<String, Failure> {
    let named = options
        .operator
        .clone()
        .or_else(|| std::env::var("SUDO_USER").ok());
    let user = || {
        User::from_uid(Uid::current())
            .ok()
            .flatten()
            .map(|user| user.name)
    };
    named
        .or_else(user)
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty() && name != "root" && !name.chars().any(char::is_control))
        .ok_or_else(|| Failure::failed("a person signs this off: say who with --operator NAME"))
}

/// An interrupt becomes a flag, so that the procedure ends by cutting every segment.
fn watch_signals() -> Result<Arc<AtomicBool>, Failure> {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    signals
        .thread_block()
        .map_err(|error| Failure::failed(format!("signals cannot be blocked: {error}")))?;
    std::thread::spawn(move || {
        while signals.wait().is_ok() {
            raised.store(true, Ordering::Release);
        }
    });
    Ok(flag)
}

/// The machine the procedure runs on.
struct Machine {
    ports: Ports,
    interrupted: Arc<AtomicBool>,
}

impl Bench for Machine {
    fn now(&self) -> Instant {
        Clock.now()
    }

    fn pause(&mut self, span: Duration) {
        std::thread::sleep(span);
    }

    fn link(&mut self, port: &PortRef) -> Result<Link, String> {
        self.ports.link(port)
    }

    fn tell(&mut self, text: &str) {
        println!("{text}");
    }

    fn interrupted(&mut self) -> bool {
        self.interrupted.load(Ordering::Acquire)
    }
}
