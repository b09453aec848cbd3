//! rsync, run once after each change, against a daemon: no ssh in the way.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::bed::{BACKUP, Bed, Process};
use super::table::Memory;
use super::tree::Tree;
use super::{Case, Plan, Subject};
use crate::command::output;
use crate::error::{AtPath, Result};

const PORT: u16 = 8_730;

/// rsync's own server on the Backup.
pub(super) struct Daemon {
    /// What it serves.
    served: PathBuf,
    /// Kept while anybody uses it.
    process: std::rc::Rc<Process>,
}

impl Daemon {
    pub(super) fn start(bed: &Bed) -> Result<Self> {
        let config = bed.folder().join("rsyncd.conf");
        let text = format!(
            "use chroot = no\nuid = root\ngid = root\nread only = no\npid file = {pid}\n[bench]\npath = {served}\n",
            pid = bed.folder().join("rsyncd.pid").display(),
            served = bed.folder().display(),
        );
        std::fs::write(&config, text).at("cannot write", &config)?;
        let mut command = bed.program(1, "rsync");
        command.args(["--daemon", "--no-detach", "--address", BACKUP]);
        command.arg(format!("--port={PORT}"));
        command.arg(format!("--config={}", config.display()));
        let process = Process::start(command, &bed.folder().join("rsyncd.log"))?;
        std::thread::sleep(std::time::Duration::from_millis(300));
        Ok(Self {
            served: bed.folder().to_owned(),
            process: process.into(),
        })
    }

    /// A path it serves, as rsync names it.
    pub(super) fn url(&self, path: &Path) -> String {
        let below = path.strip_prefix(&self.served).unwrap_or(path);
        format!("rsync://{BACKUP}:{PORT}/bench/{}/", below.display())
    }

    pub(super) fn keep(&self) -> std::rc::Rc<Process> {
        std::rc::Rc::clone(&self.process)
    }
}

pub(super) struct Rsync {
    name: &'static str,
    namespace: String,
    source: PathBuf,
    target: PathBuf,
    url: String,
    options: &'static [&'static str],
    _daemon: std::rc::Rc<Process>,
}

impl Rsync {
    pub(super) fn new(
        name: &'static str,
        bed: &Bed,
        daemon: &Daemon,
        trees: &Tree,
        options: &'static [&'static str],
    ) -> Self {
        Self {
            name,
            namespace: bed.nodes[0].name().to_owned(),
            source: trees.source.clone(),
            target: trees.target.clone(),
            url: daemon.url(&trees.target),
            options,
            _daemon: daemon.keep(),
        }
    }

    fn run(&self) -> Result<()> {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace, "rsync", "-a", "--delete"]);
        command.args(self.options);
        command.arg(format!("{}/", self.source.display()));
        output(command.arg(&self.url)).map(drop)
    }
}

impl Subject for Rsync {
    fn name(&self) -> &'static str {
        self.name
    }

    fn source(&self) -> &Path {
        &self.source
    }

    fn target(&self) -> &Path {
        &self.target
    }

    fn saves(&self, plan: Plan) -> usize {
        plan.saves.div_ceil(4)
    }

    fn does(&self, _: Case) -> bool {
        true
    }

    fn carry(&mut self, _: &mut dyn FnMut() -> bool) -> Result<()> {
        self.run()
    }

    fn verify(&mut self) -> Result<()> {
        self.run()
    }

    /// Its processes come and go.
    fn memory(&self) -> Vec<Memory> {
        Vec::new()
    }
}
