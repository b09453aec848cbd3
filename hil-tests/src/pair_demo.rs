//! `hil pair-demo`: half a minute in the life of a pair.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use fencepost::board::RelayState;
use fencepost::control::Request;
use fencepost::node::pair::PairCommand;
use fencepost::wire::Role;
use fencepost_hil::pair::film::{Camera, Film, Seen, draw};
use fencepost_hil::pair::host::Kind;
use fencepost_hil::pair::site::Wishes;
use fencepost_hil::pair::trial::{Trial, name, other};
use fencepost_hil::wire::neighbour::Seen as Asked;

use crate::pairs;

/// Between two acts: long enough to be looked at.
const BREATH: Duration = Duration::from_millis(1_500);
const SLEEP: Duration = Duration::from_secs(3);

struct Stage {
    trial: Trial,
    camera: Camera,
}

pub(crate) fn run(program: Option<&PathBuf>, folder: &Path) -> Result<()> {
    let program = pairs::program(program)?;
    println!(
        "Two appliances side by side: two network namespaces, two boards with a fence cable, one address. A neighbour asks for it"
    );
    println!(
        "each millisecond, and asks each node separately, so that two owners would be seen.\n"
    );
    let mut trial = Trial::prepare(Kind::Namespaces, &program, &Wishes::default())?;
    let camera = Camera::start(&trial);
    let active = trial.stand()?;
    let mut stage = Stage { trial, camera };
    stage.tell("both started", None);
    let active = stage.killed(active)?;
    let active = stage.slept(active)?;
    let active = stage.parted(active)?;
    stage.moved(active)?;
    let film = stage.end();
    write_down(&film, folder)
}

impl Stage {
    /// Lets it be looked at, does it, waits until all is well again; what the neighbour saw.
    fn act(
        &mut self,
        what: &str,
        play: impl FnOnce(&mut Trial) -> fencepost_hil::error::Result<usize>,
    ) -> Result<usize> {
        std::thread::sleep(BREATH);
        let from = self.trial.bed.now();
        self.trial.note(what);
        let active = play(&mut self.trial)?;
        let seen = self.trial.since(from).seen;
        self.tell(what, Some(&seen));
        Ok(active)
    }

    fn killed(&mut self, active: usize) -> Result<usize> {
        let what = format!("kill -9 of the {}'s agent", name(active));
        self.act(&what, |trial| {
            trial.hosts[active].kill()?;
            trial.wait_serves(other(active))?;
            trial.start(active)?;
            trial.wait_stands()
        })
    }

    fn slept(&mut self, active: usize) -> Result<usize> {
        let what = format!("the {}'s agent sleeps for 3 s and wakes up", name(active));
        self.act(&what, |trial| {
            trial.hosts[active].freeze()?;
            trial.wait_serves(other(active))?;
            trial.pass(SLEEP);
            trial.hosts[active].thaw()?;
            trial.wait_stands()
        })
    }

    fn parted(&mut self, _active: usize) -> Result<usize> {
        self.act("all heartbeats are lost for 2 s", |trial| {
            trial.heartbeats(false);
            trial.wait("one is off the wire", |trial| {
                (0..2).any(|index| trial.side(index).relay() != RelayState::Normal)
            })?;
            trial.pass(Duration::from_secs(2));
            trial.heartbeats(true);
            trial.wait_stands()
        })
    }

    fn moved(&mut self, active: usize) -> Result<usize> {
        self.act("fencepost switchover", |trial| {
            let command = PairCommand::Switchover {
                reason: "demonstration".to_owned(),
            };
            trial.order(active, Request::Pair { command })?;
            trial.wait_stands()
        })
    }

    fn tell(&self, what: &str, seen: Option<&Asked>) {
        let cost = seen.map_or_else(String::new, |seen| {
            format!(
                "nobody answered for {:.0} ms, two at once for {} ms",
                seen.outage_ms, seen.dual_ms
            )
        });
        let parts: Vec<String> = self
            .camera
            .now()
            .iter()
            .zip(0..)
            .map(|(seen, index)| {
                let relay = self.trial.side(index).relay();
                format!("{} {}, relay {relay}", name(index), word(*seen))
            })
            .collect();
        let line = format!("{what:48} {cost:50} {}", parts.join("; "));
        println!("{line}");
    }

    fn end(self) -> Film {
        std::thread::sleep(BREATH);
        self.camera.develop(&self.trial)
    }
}

fn word(seen: Seen) -> &'static str {
    let bold = std::io::stdout().is_terminal();
    match seen {
        Seen::Role(Role::Active) if bold => "\x1b[1mActive\x1b[0m",
        Seen::Role(Role::Active) => "Active",
        Seen::Role(Role::Backup) => "Backup",
        Seen::Role(Role::Fault) => "Fault",
        Seen::Role(Role::Init) => "starting",
        Seen::Silent => "silent",
    }
}

fn write_down(film: &Film, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let write = |name: &str, text: &str| -> Result<()> {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| path.display().to_string())
    };
    write("pair.json", &serde_json::to_string_pretty(film)?)?;
    write("pair.svg", &draw(film))?;
    println!("\n{}", folder.join("pair.svg").display());
    Ok(())
}
