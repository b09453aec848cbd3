//! The appliance's disk and kernel, built by the rig from Debian packages and kept in a cache.
//!
//! Contract: [`Image::prepare`] returns a complete image or an error; an image is used only if its `done` mark is there, so a
//! build that dies half-way is built again. The key of an image is a hash of everything that goes into it: package
//! versions as apt would choose them now, and every file under `guest/`.

mod archive;
mod build;
pub mod disk;
mod hash;
mod packages;

use std::path::{Path, PathBuf};

use crate::error::{AtPath, Result, RigError};

/// A kernel, an initramfs and a root file system, ready to boot.
#[derive(Debug, Clone)]
pub struct Image {
    /// Kernel, unpacked: an ELF image that QEMU enters by its PVH note.
    pub kernel: PathBuf,
    /// Loads the disk's driver and hands over to systemd.
    pub initramfs: PathBuf,
    /// ext4; never written: each node gets a copy.
    pub root: PathBuf,
    /// `uname -r` in the guest.
    pub release: String,
}

impl Image {
    /// The image for the inputs as they are now, from the cache or built. `say` hears what takes long.
    pub fn prepare(say: &mut dyn FnMut(&str)) -> Result<Self> {
        let inputs = packages::Inputs::resolve(&sources())?;
        let directory = cache_directory()?.join(format!("guest-{}", inputs.key()?));
        if !directory.join("done").exists() {
            say(&format!(
                "building the guest in {} (once; about a minute)",
                directory.display()
            ));
            build::build(&inputs, &directory, say)?;
        }
        Ok(Self {
            kernel: directory.join("vmlinux"),
            initramfs: directory.join("initramfs"),
            root: directory.join("root.img"),
            release: inputs.release,
        })
    }
}

/// The folder with the guest's package lists, units and initramfs.
fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("guest")
}

/// `$XDG_CACHE_HOME/fencepost-hil`, or `~/.cache/fencepost-hil`.
fn cache_directory() -> Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    let Some(base) = base else {
        return Err(RigError::Input(
            "no place for the guest's image: set XDG_CACHE_HOME or HOME".to_owned(),
        ));
    };
    let directory = base.join("fencepost-hil");
    std::fs::create_dir_all(&directory).at("cannot make", &directory)?;
    Ok(directory)
}
