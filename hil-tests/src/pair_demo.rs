//! `hil pair-demo`: a minute in the life of a pair, live: killed, asleep, cut off, moved.
//!
//! What is shown is measured: contacts of the board models, roles as the agents say them, a client's answers. The same becomes the picture.

mod paint;
mod screen;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use fencepost::board::RelayState;
use fencepost::control::Request;
use fencepost::node::pair::PairCommand;
use fencepost_hil::pair::film::{Camera, Film, draw};
use fencepost_hil::pair::host::Kind;
use fencepost_hil::pair::site::Wishes;
use fencepost_hil::pair::trial::{Trial, name, other};

use crate::pairs;
use screen::Screen;

/// Between two acts: long enough to be looked at.
const BREATH: Duration = Duration::from_secs(4);
const SLEEP: Duration = Duration::from_secs(3);

struct Stage {
    trial: Trial,
    camera: Camera,
    screen: Screen,
    acts: Vec<Act>,
}

/// What something that was done to the pair came to.
struct Act {
    what: String,
    outage_ms: f64,
    dual_ms: usize,
    /// Who served afterwards, and by which proof.
    then: String,
}

pub(crate) fn run(program: Option<&PathBuf>, folder: &Path) -> Result<()> {
    if !nix::unistd::Uid::effective().is_root() {
        bail!(
            "two appliances side by side are two network namespaces, and making those needs root: sudo target/proof/hil pair-demo; \
             `make demo-appliance` shows one appliance and needs no rights"
        );
    }
    let program = pairs::program(program)?;
    println!("\n  Fencepost: two appliances, one address, and never two owners.\n");
    println!("  Two network namespaces, two virtual boards, a fence cable between them. A client");
    println!("  asks for the address each millisecond, and each node separately too, so that two");
    println!("  owners could not hide.\n");
    let mut trial = Trial::prepare(Kind::Namespaces, &program, &Wishes::default())?;
    let camera = Camera::start(&trial);
    let screen = Screen::start(trial.bed.watch(), camera.finder());
    screen.tell("both are started");
    let active = trial.stand_ready()?;
    let mut stage = Stage {
        trial,
        camera,
        screen,
        acts: Vec::new(),
    };
    let active = stage.killed(active)?;
    let active = stage.slept(active)?;
    let active = stage.parted(active)?;
    stage.moved(active)?;
    stage.end(folder)
}

impl Stage {
    /// Lets it be looked at, does it, waits until all is well again.
    fn act(
        &mut self,
        short: &str,
        what: &str,
        play: impl FnOnce(&mut Trial) -> fencepost_hil::error::Result<usize>,
    ) -> Result<usize> {
        std::thread::sleep(BREATH);
        let from = self.trial.bed.now();
        self.trial.note(what);
        self.screen.tell(what);
        let active = play(&mut self.trial)?;
        let seen = self.trial.since(from).seen;
        let proof = self.camera.finder().look()[active]
            .take()
            .and_then(|said| said.proof);
        let act = Act {
            what: short.to_owned(),
            outage_ms: seen.outage_ms,
            dual_ms: seen.dual_ms,
            then: format!("{}, {}", name(active), kind(proof.as_deref())),
        };
        self.screen.result(&format!(
            "no answer for {:.0} ms; two owners for {} ms",
            act.outage_ms, act.dual_ms
        ));
        self.acts.push(act);
        Ok(active)
    }

    fn killed(&mut self, active: usize) -> Result<usize> {
        let what = format!("kill -9 of the {}'s agent", name(active));
        self.act("agent killed", &what, |trial| {
            trial.hosts[active].kill()?;
            trial.wait_serves(other(active))?;
            trial.pass(BREATH / 2);
            trial.start(active)?;
            trial.wait_stands()
        })
    }

    fn slept(&mut self, active: usize) -> Result<usize> {
        let what = format!("the {}'s agent sleeps for 3 s and wakes up", name(active));
        self.act("agent asleep for 3 s", &what, |trial| {
            trial.hosts[active].freeze()?;
            trial.wait_serves(other(active))?;
            trial.pass(SLEEP);
            trial.hosts[active].thaw()?;
            trial.wait_stands()
        })
    }

    fn parted(&mut self, _active: usize) -> Result<usize> {
        let what = "all heartbeats are lost for 2 s";
        self.act("all heartbeats lost", what, |trial| {
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
        let what = "fencepost switchover";
        self.act("planned switchover", what, |trial| {
            let command = PairCommand::Switchover {
                reason: "demonstration".to_owned(),
            };
            trial.order(active, Request::Pair { command })?;
            trial.wait_stands()
        })
    }

    fn end(self, folder: &Path) -> Result<()> {
        std::thread::sleep(BREATH);
        let ink = self.screen.end();
        let film = self.camera.develop(&self.trial);
        print!("{}", paint::table(ink, &self.acts));
        write_down(&film, folder)?;
        let dual: usize = self.acts.iter().map(|act| act.dual_ms).sum();
        ensure!(
            dual == 0,
            "two owners at once for {dual} ms: this must never be"
        );
        Ok(())
    }
}

/// What a proof is, without what it rests on in this case.
fn kind(proof: Option<&str>) -> &str {
    let kind = proof.and_then(|proof| proof.split(':').next());
    kind.unwrap_or("by no proof")
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
