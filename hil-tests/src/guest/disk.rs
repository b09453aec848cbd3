//! One node's disk: a copy of the image with the files under test written into it.
//!
//! The disk belongs to the node for the whole scenario: it survives resets and power cuts, and what the guest had not flushed
//! when its power was cut is lost, as on a real appliance. Files go in from the outside, before the first boot (no guest time is spent).

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Image;
use crate::command::output;
use crate::error::{AtPath, Result, RigError};

/// A file to put on the disk.
#[derive(Debug, Clone)]
pub struct Inject {
    /// Absolute path in the guest.
    pub path: String,
    /// What is there.
    pub content: Content,
}

/// What an injected path is.
#[derive(Debug, Clone)]
pub enum Content {
    /// A copy of a file of the host, with this mode (permission bits).
    File(PathBuf, u32),
    /// These bytes, with this mode (permission bits).
    Bytes(Vec<u8>, u32),
    /// A symbolic link to this target.
    Link(String),
}

impl Inject {
    /// A file of the host.
    pub fn file(path: impl Into<String>, from: impl Into<PathBuf>, mode: u32) -> Self {
        Self {
            path: path.into(),
            content: Content::File(from.into(), mode),
        }
    }

    /// A program of the host without its symbols, so that little is copied. `disk`: whose folder keeps the copy.
    pub fn program(path: impl Into<String>, from: &Path, disk: &Path) -> Result<Self> {
        let name = from.file_name().unwrap_or_default().to_string_lossy();
        let stripped = disk.with_file_name(format!("{name}.stripped"));
        output(Command::new("strip").arg("-o").arg(&stripped).arg(from))?;
        Ok(Self::file(path, stripped, 0o755))
    }

    /// Text, world-readable.
    pub fn text(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            content: Content::Bytes(text.into().into_bytes(), 0o644),
        }
    }

    /// A symbolic link. A unit is enabled by a link from `/etc/systemd/system/rig.target.wants/`.
    pub fn link(path: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            content: Content::Link(target.into()),
        }
    }

    /// Every file below `from`, readable by all, at the same place below `path`.
    pub fn tree(path: &str, from: &Path) -> Result<Vec<Self>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(from).at("cannot list", from)? {
            let entry = entry.at("cannot list", from)?.path();
            let Some(name) = entry
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
            else {
                continue;
            };
            let target = format!("{path}/{name}");
            match entry.is_dir() {
                true => found.extend(Self::tree(&target, &entry)?),
                false => found.push(Self::file(target, entry, 0o644)),
            }
        }
        Ok(found)
    }
}

/// Makes the disk `path` from `image`, and puts `files` and the rig's own agent on it.
pub fn create(image: &Image, path: &Path, files: &[Inject]) -> Result<()> {
    output(
        Command::new("cp")
            .args(["--sparse=always", "--reflink=auto"])
            .arg(&image.root)
            .arg(path),
    )?;
    let mut files = files.to_vec();
    files.push(Inject::program("/usr/lib/rig/hil", &rig_program()?, path)?);
    inject(path, &files)
}

/// The rig's own program: in a test it lies beside the folder of the test's.
fn rig_program() -> Result<PathBuf> {
    let here = std::env::current_exe().at("cannot find", "our own program")?;
    let near = here
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("hil"))
        .find(|path| path.is_file());
    near.ok_or_else(|| {
        RigError::Input(format!(
            "no `hil` beside {}: cargo build -p fencepost-hil first",
            here.display()
        ))
    })
}

/// Writes files to a disk that no running machine uses.
pub fn inject(disk: &Path, files: &[Inject]) -> Result<()> {
    let folder = disk.parent().unwrap_or(Path::new("."));
    let mut staged = Vec::new();
    let mut script = String::new();
    for parent in parents(files) {
        // debugfs complains about the ones that exist, and goes on.
        script += &format!("mkdir {parent}\n");
    }
    for file in files {
        script += &write_commands(file, folder, &mut staged)?;
    }
    let script_path = disk.with_extension("debugfs");
    fs::write(&script_path, script).at("cannot write", &script_path)?;
    output(
        Command::new("debugfs")
            .arg("-w")
            .arg("-f")
            .arg(&script_path)
            .arg(disk),
    )?;
    verify(disk, files)?;
    fs::remove_file(&script_path).at("cannot remove", script_path)
}

/// All folders above the files, outermost first.
fn parents(files: &[Inject]) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for file in files {
        let folders = file
            .path
            .match_indices('/')
            .skip(1)
            .map(|(end, _)| file.path[..end].to_owned());
        all.extend(folders);
    }
    all
}

fn write_commands(
    file: &Inject,
    folder: &Path,
    staged: &mut Vec<tempfile::NamedTempFile>,
) -> Result<String> {
    let path = &file.path;
    if !path.starts_with('/') || path.contains(char::is_whitespace) {
        return Err(RigError::Input(format!(
            "cannot put `{path}` on a disk: expected an absolute path without spaces"
        )));
    }
    let (from, mode) = match &file.content {
        Content::Link(target) => return Ok(format!("rm {path}\nsymlink {path} {target}\n")),
        Content::File(from, mode) => (from.clone(), *mode),
        Content::Bytes(bytes, mode) => {
            let mut stage =
                tempfile::NamedTempFile::new_in(folder).at("cannot make a file in", folder)?;
            stage.write_all(bytes).at("cannot write", stage.path())?;
            let from = stage.path().to_path_buf();
            staged.push(stage);
            (from, *mode)
        }
    };
    let (from, mode) = (from.display(), mode | 0o100_000);
    Ok(format!(
        "rm {path}\nwrite \"{from}\" {path}\nset_inode_field {path} mode 0{mode:o}\nset_inode_field {path} uid 0\nset_inode_field {path} gid 0\n"
    ))
}

/// debugfs ends well whatever its commands did: look.
fn verify(disk: &Path, files: &[Inject]) -> Result<()> {
    for file in files {
        let stat = output(
            Command::new("debugfs")
                .arg("-R")
                .arg(format!("stat {}", file.path))
                .arg(disk),
        )?;
        let size = match &file.content {
            Content::Link(target) => target.len(),
            Content::Bytes(bytes, _) => bytes.len(),
            Content::File(from, _) => {
                usize::try_from(fs::metadata(from).at("cannot read", from)?.len())
                    .unwrap_or(usize::MAX)
            }
        };
        if !stat.contains(&format!("Size: {size}\n")) {
            return Err(RigError::Input(format!(
                "{} did not arrive on {} ({size} bytes expected); is the disk full?\n{stat}",
                file.path,
                disk.display()
            )));
        }
    }
    Ok(())
}
