//! `hil bench-sync`: state sync beside rsync and lsyncd, in turn, on the same trees, over the same cable.
//!
//! Two network namespaces with one cable, whose kernel counts the bytes. Each system has trees of its own on the same disk. The
//! programs are those that ship; what an agent would say of the role is said by the rig. For Fencepost a change counts as
//! done when the Active's service says that both nodes hold the same, which it does after the Backup's disk has it; for the
//! others when it can be seen, which says nothing about the disk unless rsync is told `--fsync`.

mod bed;
mod fencepost;
mod lsyncd;
mod picture;
mod rsync;
mod table;
mod tree;

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::error::{Result, RigError};
use crate::measure::numbers::Samples;
use bed::Bed;
use tree::Tree;

pub use picture::draw;
pub use table::{Cell, Machine, Memory, Table};

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Files of the trees, of a copy, and of a directory that is renamed.
    pub files: usize,
    /// Each system's turns.
    pub rounds: usize,
    /// Single saves in each turn of a system that answers at once.
    pub saves: usize,
    /// Bytes of the large file.
    pub large_bytes: u64,
}

impl Plan {
    /// A few minutes.
    pub const fn usual(files: usize) -> Self {
        Self {
            files,
            rounds: 3,
            saves: 34,
            large_bytes: 100 << 20,
        }
    }

    /// To see that everything works.
    pub const QUICK: Self = Self {
        files: 300,
        rounds: 1,
        saves: 5,
        large_bytes: 4 << 20,
    };
}

/// Files of a burst.
const BURST: usize = 1_000;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Case {
    /// One small file is written.
    Save,
    /// Nothing changed; it is compared.
    Verify,
    /// A directory of as many files as the tree has is moved in.
    Copy,
    /// It is renamed.
    Rename,
    /// One byte of a large file changes.
    OneByte,
    /// A thousand small files are written.
    Burst,
}

/// In the table's order.
pub const CASES: [Case; 6] = [
    Case::Save,
    Case::Burst,
    Case::Verify,
    Case::Copy,
    Case::Rename,
    Case::OneByte,
];

impl core::fmt::Display for Case {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Save => "one small file saved",
            Self::Verify => "nothing changed, compared",
            Self::Copy => "a directory as large as the tree is new",
            Self::Rename => "that directory is renamed",
            Self::OneByte => "one byte of a large file",
            Self::Burst => "a thousand small files saved",
        })
    }
}

/// One system with its two trees.
trait Subject {
    /// In the table.
    fn name(&self) -> &'static str;
    /// The tree that is changed.
    fn source(&self) -> &Path;
    /// The tree that follows.
    fn target(&self) -> &Path;
    /// How many single saves it takes in one turn.
    fn saves(&self, plan: Plan) -> usize;
    /// Whether this is measured of it.
    fn does(&self, case: Case) -> bool;
    /// Have a change follow; `seen` says whether it can be seen.
    fn carry(&mut self, seen: &mut dyn FnMut() -> bool) -> Result<()>;
    /// Have both compared.
    fn verify(&mut self) -> Result<()>;
    /// What its processes cost in memory.
    fn memory(&self) -> Vec<Memory>;
}

/// Runs it all, systems alternating.
///
/// # Errors
/// The rig itself failed. What a system does not manage is told in its cell.
pub fn run(plan: Plan, program: &Path, say: &mut dyn FnMut(&str)) -> Result<Table> {
    let bed = Bed::lay()?;
    let mut table = Table::begin(plan, program);
    say("making trees, and the first copy of each");
    let mut subjects = subjects(&bed, program, plan)?;
    for subject in &mut subjects {
        let (source, target) = places(subject.as_ref());
        say(&format!("{}: first copy", subject.name()));
        subject.carry(&mut || tree::count(&source) == tree::count(&target))?;
    }
    for round in 0..plan.rounds {
        for subject in &mut subjects {
            for case in CASES {
                if !subject.does(case) {
                    continue;
                }
                let (number, all) = (round + 1, plan.rounds);
                say(&format!(
                    "round {number} of {all}: {}, {case}",
                    subject.name()
                ));
                let cell = table.cell(subject.name(), case);
                if let Err(error) = measure(subject.as_mut(), &bed, plan, case, round, cell) {
                    cell.failed.push(error.to_string());
                }
            }
        }
    }
    for subject in &subjects {
        table.memory.extend(subject.memory());
    }
    Ok(table)
}

fn subjects(bed: &Bed, program: &Path, plan: Plan) -> Result<Vec<Box<dyn Subject>>> {
    let place = |name: &str| -> Result<Tree> { Tree::make(&bed.folder().join(name), plan) };
    let daemon = rsync::Daemon::start(bed)?;
    let plain = rsync::Rsync::new("rsync", bed, &daemon, &place("rsync")?, &[]);
    let durable = rsync::Rsync::new(
        "rsync --fsync",
        bed,
        &daemon,
        &place("fsync")?,
        &["--fsync"],
    );
    let ours = fencepost::Fencepost::start(bed, program, &place("fencepost")?)?;
    let mut all: Vec<Box<dyn Subject>> = vec![Box::new(ours), Box::new(plain), Box::new(durable)];
    for delay in lsyncd::DELAYS {
        let trees = place(delay.folder)?;
        all.push(Box::new(lsyncd::Lsyncd::start(
            bed, &daemon, &trees, delay,
        )?));
    }
    Ok(all)
}

fn places(subject: &dyn Subject) -> (PathBuf, PathBuf) {
    (subject.source().to_owned(), subject.target().to_owned())
}

fn measure(
    subject: &mut dyn Subject,
    bed: &Bed,
    plan: Plan,
    case: Case,
    round: usize,
    cell: &mut Cell,
) -> Result<()> {
    let (source, target) = places(subject);
    let dir = |name: &str| name.to_owned();
    match case {
        Case::Save => {
            for number in 0..subject.saves(plan) {
                let (file, bytes) = tree::next_save(&source, round * 1_000 + number);
                let there = target.join(&file);
                let here = source.join(&file);
                let wanted = bytes.clone();
                timed(
                    subject,
                    bed,
                    cell,
                    &mut || tree::write(&here, &bytes),
                    &mut || std::fs::read(&there).is_ok_and(|found| found == wanted),
                )?;
                // Saves come at any time of whatever beats inside.
                std::thread::sleep(tree::pause(number));
            }
        }
        Case::Verify => {
            for _ in 0..3 {
                let (from, sent) = (Instant::now(), bed.bytes()?);
                subject.verify()?;
                cell.add(from.elapsed(), bed.bytes()?.saturating_sub(sent));
            }
        }
        Case::Copy => {
            let aside = Tree::fill_aside(&source, plan.files, round)?;
            let (here, there) = (source.join("new"), target.join("new"));
            timed(
                subject,
                bed,
                cell,
                &mut || tree::rename(&aside, &here),
                &mut || tree::count(&there) == plan.files,
            )?;
        }
        Case::Rename => {
            let [old, new] = ["new", "renamed"].map(dir);
            let (from, to) = (source.join(&old), source.join(&new));
            let (gone, there) = (target.join(&old), target.join(&new));
            timed(
                subject,
                bed,
                cell,
                &mut || tree::rename(&from, &to),
                &mut || !gone.exists() && tree::count(&there) == plan.files,
            )?;
            tree::remove(&to)?;
            subject.carry(&mut || !there.exists())?;
        }
        Case::OneByte => {
            let (at, byte) = tree::next_byte(plan.large_bytes, round);
            let (here, there) = (source.join(tree::LARGE), target.join(tree::LARGE));
            timed(
                subject,
                bed,
                cell,
                &mut || tree::poke(&here, at, byte),
                &mut || tree::peek(&there, at) == Some(byte),
            )?;
        }
        Case::Burst => {
            let name = format!("burst{round}");
            let (here, there) = (source.join(&name), target.join(&name));
            timed(
                subject,
                bed,
                cell,
                &mut || tree::burst(&here, BURST),
                &mut || tree::count(&there) == BURST,
            )?;
            tree::remove(&here)?;
            subject.carry(&mut || !there.exists())?;
        }
    }
    Ok(())
}

/// From the change's begin until it has followed.
fn timed(
    subject: &mut dyn Subject,
    bed: &Bed,
    cell: &mut Cell,
    change: &mut dyn FnMut() -> Result<()>,
    seen: &mut dyn FnMut() -> bool,
) -> Result<()> {
    let sent = bed.bytes()?;
    let from = Instant::now();
    change()?;
    subject.carry(seen)?;
    let took = from.elapsed();
    cell.add(took, bed.bytes()?.saturating_sub(sent));
    if seen() {
        Ok(())
    } else {
        Err(RigError::Broken(format!(
            "{}: the change did not follow",
            subject.name()
        )))
    }
}

/// Nothing measured yet.
const fn none() -> Samples {
    Samples { ms: Vec::new() }
}
