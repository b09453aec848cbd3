//! lsyncd, which watches and has rsync carry, against the same daemon.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::bed::{Bed, Process};
use super::rsync::Daemon;
use super::table::Memory;
use super::tree::Tree;
use super::{Case, Plan, Subject};
use crate::error::{AtPath, Result, RigError};

/// What it does not manage in this time it does not manage.
const PATIENCE: Duration = Duration::from_secs(180);

/// How long it gathers before it begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delay {
    name: &'static str,
    pub(super) folder: &'static str,
    /// Seconds; its own default if none.
    seconds: Option<u32>,
    /// Saves in one turn: each costs the delay.
    saves: usize,
}

pub(super) const DELAYS: [Delay; 3] = [
    Delay {
        name: "lsyncd, delay 0",
        folder: "lsyncd0",
        seconds: Some(0),
        saves: 12,
    },
    Delay {
        name: "lsyncd, delay 1",
        folder: "lsyncd1",
        seconds: Some(1),
        saves: 4,
    },
    Delay {
        name: "lsyncd, default",
        folder: "lsyncd15",
        seconds: None,
        saves: 1,
    },
];

pub(super) struct Lsyncd {
    delay: Delay,
    source: PathBuf,
    target: PathBuf,
    process: Process,
    _daemon: std::rc::Rc<Process>,
}

impl Lsyncd {
    pub(super) fn start(bed: &Bed, daemon: &Daemon, trees: &Tree, delay: Delay) -> Result<Self> {
        let config = trees.folder.join("lsyncd.lua");
        let seconds = delay
            .seconds
            .map_or(String::new(), |seconds| format!("  delay = {seconds},\n"));
        let text = format!(
            "settings {{ nodaemon = true, insist = true }}\nsync {{\n  default.rsync,\n  source = \"{}\",\n  target = \"{}\",\n{seconds}  \
             delete = true,\n  rsync = {{ archive = true }},\n}}\n",
            trees.source.display(),
            daemon.url(&trees.target),
        );
        std::fs::write(&config, text).at("cannot write", &config)?;
        let mut command = bed.program(0, "lsyncd");
        command.args(["-nodaemon"]).arg(&config);
        let process = Process::start(command, &trees.folder.join("lsyncd.log"))?;
        Ok(Self {
            delay,
            source: trees.source.clone(),
            target: trees.target.clone(),
            process,
            _daemon: daemon.keep(),
        })
    }
}

impl Subject for Lsyncd {
    fn name(&self) -> &'static str {
        self.delay.name
    }

    fn source(&self) -> &Path {
        &self.source
    }

    fn target(&self) -> &Path {
        &self.target
    }

    fn saves(&self, plan: Plan) -> usize {
        self.delay.saves.min(plan.saves)
    }

    /// The rest costs the delay besides, and no more is learnt of it.
    fn does(&self, case: Case) -> bool {
        match case {
            Case::Verify => false,
            Case::Save => true,
            _ => self.delay.seconds == Some(0),
        }
    }

    fn carry(&mut self, seen: &mut dyn FnMut() -> bool) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while !seen() {
            if Instant::now() >= until {
                let name = self.delay.name;
                let text = format!("{name}: nothing was seen for {} s", PATIENCE.as_secs());
                return Err(RigError::Broken(text));
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        Ok(())
    }

    fn verify(&mut self) -> Result<()> {
        Err(RigError::Input("lsyncd compares nothing".to_owned()))
    }

    fn memory(&self) -> Vec<Memory> {
        Memory::of(self.delay.name, self.process.id())
            .into_iter()
            .collect()
    }
}
