//! The service shuts itself in: whatever goes wrong in it later, it reaches only what it was configured for.
//!
//! By Landlock, for this process and every program it starts. Written: the categories' roots, the directories of
//! databases, our own state and sockets, and what `hooks_write` names. Read besides: programs and libraries, the user
//! database, what `hooks_read` names. A kernel without Landlock is no reason to stop, but nobody shall believe otherwise:
//! the status says so.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, Compatible, LandlockStatus, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus,
};
use serde::{Deserialize, Serialize};

use crate::category::{Contents, Source};
use crate::hooks::Hook;
use crate::settings::Settings;

/// Rights that are handled: those of Linux 6.10. On an older kernel, as many as it knows.
const RIGHTS: ABI = ABI::V5;

/// What any program needs to start and to find out who and where it is.
const READ: [&str; 22] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc/alternatives",
    "/etc/group",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/machine-id",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/proc",
    "/dev/urandom",
    "/run/dbus",
    "/run/systemd",
    "/run/udev",
];
const WRITE: [&str; 1] = ["/dev/null"];

/// What the service may reach.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    /// Everything but making devices.
    pub write: BTreeSet<PathBuf>,
    /// Reading, listing, running.
    pub read: BTreeSet<PathBuf>,
}

/// How it came out; part of the status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confined {
    /// Whether the kernel holds it.
    pub held: Held,
    /// Paths that are not there: nothing can be done in them until the service is started again.
    pub missing: Vec<PathBuf>,
}

/// What the kernel does of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// All.
    Fully,
    /// As much as this kernel knows of.
    Partly,
    /// Nothing: the kernel was built without Landlock.
    NotBuilt,
    /// Nothing: Landlock is built and not switched on (`lsm=` on the kernel's command line).
    NotEnabled,
}

/// Why the service is not confined, and must not go on.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// Only the thread that asks is confined, and all it starts later.
    #[error(
        "{0} threads run already, and only one of them would be confined; confine before starting any"
    )]
    Threads(usize),
    /// The kernel said no.
    #[error("Landlock: {0}")]
    Landlock(#[from] RulesetError),
    /// The kernel would not say how many threads there are.
    #[error("/proc/self/task: {0}")]
    Uncounted(std::io::Error),
}

impl Reach {
    /// What these settings need. `state` and `runtime` are the service's own directories.
    pub fn of(settings: &Settings, state: &Path, runtime: &Path) -> Self {
        let mut reach = Self {
            write: WRITE.iter().map(PathBuf::from).collect(),
            read: READ.iter().map(PathBuf::from).collect(),
        };
        reach.write.extend([state.to_owned(), runtime.to_owned()]);
        reach.write.extend(settings.hook_paths.write.clone());
        reach.read.extend(settings.hook_paths.read.clone());
        let activations = settings.activations.iter();
        activations.for_each(|it| reach.runs(&it.hook));
        for category in &settings.categories {
            let hooks = [&category.hooks.validate, &category.hooks.reload];
            hooks.into_iter().flatten().for_each(|it| reach.runs(it));
            match &category.contents {
                Contents::Files(files) => reach.write.extend(files.roots.clone()),
                Contents::Export(exporter) => match &exporter.source {
                    // Journals come and go beside it.
                    Source::Sqlite { database } => {
                        reach.write.extend(database.parent().map(Path::to_owned));
                    }
                    Source::Command { export, import } => {
                        reach.runs(export);
                        reach.runs(import);
                    }
                },
            }
        }
        reach
    }

    fn runs(&mut self, hook: &Hook) {
        self.read.extend(hook.argv.first().map(PathBuf::from));
    }

    /// Shut this process in, for good. To be called while it has one thread.
    ///
    /// # Errors
    /// There are more threads, or the kernel knows Landlock and refuses.
    pub fn confine(&self) -> Result<Confined, ConfineError> {
        let threads = std::fs::read_dir("/proc/self/task").map_err(ConfineError::Uncounted)?;
        match threads.count() {
            1 => self.confine_this_thread(),
            more => Err(ConfineError::Threads(more)),
        }
    }

    fn confine_this_thread(&self) -> Result<Confined, ConfineError> {
        let read = AccessFs::from_read(RIGHTS);
        let mut write = AccessFs::from_all(RIGHTS);
        // No category carries devices.
        write.remove(AccessFs::MakeChar | AccessFs::MakeBlock);
        let mut missing = Vec::new();
        let mut rules = Ruleset::default()
            .set_compatibility(landlock::CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(RIGHTS))?
            .create()?;
        for (paths, rights) in [(&self.write, write), (&self.read, read)] {
            for path in paths {
                rules = match opened(path) {
                    Some((place, directory)) => allow(rules, place, directory, rights)?,
                    None => {
                        missing.push(path.clone());
                        rules
                    }
                };
            }
        }
        missing.retain(|path| !READ.iter().any(|usual| path == Path::new(usual)));
        let status = rules.restrict_self()?;
        let held = match (status.ruleset, status.landlock) {
            (RulesetStatus::FullyEnforced, _) => Held::Fully,
            (RulesetStatus::PartiallyEnforced, _) => Held::Partly,
            (RulesetStatus::NotEnforced, LandlockStatus::NotEnabled) => Held::NotEnabled,
            (RulesetStatus::NotEnforced, _) => Held::NotBuilt,
        };
        Ok(Confined { held, missing })
    }
}

fn opened(path: &Path) -> Option<(PathFd, bool)> {
    let directory = path.metadata().ok()?.is_dir();
    Some((PathFd::new(path).ok()?, directory))
}

/// Most rights mean nothing for a file, and the kernel refuses them.
fn allow(
    rules: RulesetCreated,
    place: PathFd,
    directory: bool,
    rights: impl Into<landlock::BitFlags<AccessFs>>,
) -> Result<RulesetCreated, RulesetError> {
    let mut rights = rights.into();
    if !directory {
        rights &= AccessFs::from_file(RIGHTS);
    }
    rules.add_rule(PathBeneath::new(place, rights))
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fully => "confined to its paths by the kernel",
            Self::Partly => "confined to its paths as far as this kernel can (Linux 6.10 or newer can all)",
            Self::NotBuilt => "NOT confined: this kernel was built without Landlock",
            Self::NotEnabled => {
                "NOT confined: Landlock is not switched on (add landlock to lsm= on the kernel's command line)"
            }
        })
    }
}

#[cfg(test)]
#[path = "confine/tests.rs"]
mod tests;
