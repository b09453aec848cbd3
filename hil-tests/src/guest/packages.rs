//! Which packages, in which versions, make the guest: asked from apt, without installing anything.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::hash::Hash;
use crate::command::output;
use crate::error::{AtPath, Result, RigError};

/// Release line of the guest's kernel: the generic flavour; the *cloud* one has neither GPIO nor I2C.
const KERNEL: &str = "linux-image-6.12-amd64";
/// Where `gpio-virtio.c` and `i2c-virtio.c` come from: Debian's kernel does not build them.
const KERNEL_SOURCE: &str = "linux-source-6.12";

/// Everything that goes into an image.
pub(super) struct Inputs {
    /// The folder `guest/`.
    pub(super) sources: PathBuf,
    /// `uname -r` in the guest.
    pub(super) release: String,
    /// `name=version` of what is unpacked into the root.
    pub(super) root: Vec<String>,
    /// `name=version` of the kernel and of what its external modules are built from.
    pub(super) kernel: Vec<String>,
}

impl Inputs {
    /// Asks apt.
    pub(super) fn resolve(sources: &Path) -> Result<Self> {
        let list = sources.join("guest-packages.txt");
        let wanted = lines(&list)?;
        let (left_out, seeds): (BTreeSet<_>, BTreeSet<_>) = wanted
            .iter()
            .map(String::as_str)
            .partition(|name| name.starts_with('-'));

        let image = dependency(KERNEL, "linux-image-")?;
        let release = image.trim_start_matches("linux-image-").to_owned();
        let version = release.trim_end_matches("-amd64");
        let kernel = [
            image.clone(),
            format!("linux-headers-{release}"),
            format!("linux-headers-{version}-common"),
            format!("linux-kbuild-{version}"),
            KERNEL_SOURCE.to_owned(),
        ];
        let kernel = kernel
            .iter()
            .map(|name| candidate(name))
            .collect::<Result<_>>()?;
        let root = closure(&seeds)?
            .into_iter()
            .filter(|package| {
                !left_out.contains(
                    format!("-{}", package.split('=').next().unwrap_or_default()).as_str(),
                )
            })
            .collect();
        Ok(Self {
            sources: sources.to_path_buf(),
            release,
            root,
            kernel,
        })
    }

    /// Name of the image made from these inputs.
    pub(super) fn key(&self) -> Result<String> {
        let mut hash = Hash::new();
        // The recipe is an input too.
        hash.field(include_bytes!("build.rs"));
        for package in self.root.iter().chain(&self.kernel) {
            hash.field(package.as_bytes());
        }
        for file in files(&self.sources)? {
            hash.field(file.as_os_str().as_encoded_bytes());
            let content = match std::fs::read_link(&file) {
                Ok(target) => target.as_os_str().as_encoded_bytes().to_vec(),
                Err(_) => std::fs::read(&file).at("cannot read", &file)?,
            };
            hash.field(&content);
        }
        Ok(hash.finish())
    }
}

/// The lines of a list, without comments and empty lines.
pub(super) fn lines(path: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).at("cannot read", path)?;
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim());
    Ok(lines
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect())
}

/// All files below `root`, sorted.
fn files(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).at("cannot list", &directory)? {
            let path = entry.at("cannot list", &directory)?.path();
            match path.is_dir() && !path.is_symlink() {
                true => open.push(path),
                false => _ = found.insert(path),
            }
        }
    }
    Ok(found)
}

/// What apt would install on an empty system for `seeds`: `name=version`, in order.
fn closure(seeds: &BTreeSet<&str>) -> Result<Vec<String>> {
    let mut apt = Command::new("apt-get");
    apt.args([
        "-s",
        "--no-install-recommends",
        "-o",
        "Dir::State::status=/dev/null",
        "-o",
        "Debug::NoLocking=1",
        "install",
    ]);
    let simulated = output(apt.args(seeds))?;
    // "Inst bash (5.2.15-2+b13 Debian:12.11/stable [amd64])"
    let package = |line: &str| {
        let mut words = line.strip_prefix("Inst ")?.split_whitespace();
        let name = words.next()?;
        Some(format!("{name}={}", words.next()?.trim_start_matches('(')))
    };
    let packages: Vec<String> = simulated.lines().filter_map(package).collect();
    match packages.is_empty() {
        true => Err(RigError::Input(format!(
            "apt-get proposes no packages for {seeds:?}: run apt-get update"
        ))),
        false => Ok(packages),
    }
}

/// The dependency of `package` that starts with `prefix`.
fn dependency(package: &str, prefix: &str) -> Result<String> {
    let listed = output(Command::new("apt-cache").args(["depends", "--important", package]))?;
    let name = listed
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|name| name.starts_with(prefix));
    name.map(str::to_owned).ok_or_else(|| {
        RigError::Input(format!(
            "apt knows no {package}: enable Debian 12's security suite and run apt-get update"
        ))
    })
}

/// `name=version` as apt would download it.
fn candidate(name: &str) -> Result<String> {
    let policy = output(Command::new("apt-cache").args(["policy", name]))?;
    let version = policy
        .lines()
        .find_map(|line| line.trim().strip_prefix("Candidate: "));
    version
        .map(|version| format!("{name}={version}"))
        .ok_or_else(|| {
            RigError::Input(format!(
                "apt has no candidate for {name}: run apt-get update"
            ))
        })
}
