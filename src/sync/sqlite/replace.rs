//! A checked snapshot takes the place of a database.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Error;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{SIDECARS, SqliteError, check, check_library, open, sqlite};

/// Longest database that is imported, in bytes.
const BYTES_MAX: u64 = 64 << 30;

/// Put a snapshot in the place of a database, or make it. Owner and mode are those of the database before, or of its
/// directory; the snapshot stays where it is.
///
/// In this order, so that a crash between any two leaves the old database or the new one, each without another's
/// journal: check the snapshot; copy it beside the database; close the old one's journal by SQLite's own means, which
/// it refuses while another process has it open; remove what is left of sidecars; rename.
///
/// # Errors
/// The snapshot is no whole database, the old one is in use, or the kernel says no. The old one is then as it was.
pub fn import(snapshot: &Path, database: &Path) -> Result<(), SqliteError> {
    check_library()?;
    check(snapshot)?;
    let place = Place::of(database)?;
    let fresh = place.copy(snapshot)?;
    // Held over the rename: whoever wants to open the old one waits for us and then finds the new one.
    let old = match place.kind()? {
        None => None,
        Some(FileType::RegularFile) => settled(database)?,
        Some(_) => {
            return Err(SqliteError::NotADatabase {
                path: database.to_owned(),
                found: "no regular file".to_owned(),
            });
        }
    };
    place.put(&fresh)?;
    drop(old);
    Ok(())
}

/// The old database with its journal closed and an exclusive lock on it. `None`: it is too damaged for that, and goes.
fn settled(database: &Path) -> Result<Option<Connection>, SqliteError> {
    let old = match open(database, OpenFlags::SQLITE_OPEN_READ_WRITE) {
        Ok(old) => old,
        Err(error) => return worthless(error),
    };
    let settle = || {
        let failed = sqlite(database, "close its journal");
        let mode: String = old
            .pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get(0))
            .map_err(&failed)?;
        if mode != "delete" {
            return Err(SqliteError::InUse {
                path: database.to_owned(),
            });
        }
        old.execute_batch("BEGIN EXCLUSIVE").map_err(failed)
    };
    match settle() {
        Ok(()) => Ok(Some(old)),
        Err(error) => worthless(error),
    }
}

/// What is damaged is replaced all the same; anything else stops here.
fn worthless(error: SqliteError) -> Result<Option<Connection>, SqliteError> {
    match error {
        SqliteError::Damaged { .. } | SqliteError::NotADatabase { .. } => Ok(None),
        other => Err(other),
    }
}

/// A database's directory, held open, and its name there.
struct Place<'a> {
    path: &'a Path,
    directory: OwnedFd,
    name: &'a OsStr,
}

/// A copy that is not in place yet, removed unless it gets there.
struct Fresh<'a> {
    place: &'a Place<'a>,
    name: OsString,
}

impl<'a> Place<'a> {
    fn of(path: &'a Path) -> Result<Self, SqliteError> {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io(path, "find its directory")(Errno::INVAL));
        };
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::open(directory, flags, Mode::empty())
            .map_err(io(directory, "open the directory"))?;
        Ok(Self {
            path,
            directory,
            name,
        })
    }

    fn kind(&self) -> Result<Option<FileType>, SqliteError> {
        match rustix::fs::statat(&self.directory, self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(io(self.path, "look at it")(error)),
        }
    }

    /// Copy a snapshot beside the database, synced, with the owner and mode it shall have.
    fn copy(&self, snapshot: &Path) -> Result<Fresh<'_>, SqliteError> {
        let mut name = OsString::from(".");
        name.push(self.name);
        name.push(".fencepost-new");
        // One import at a time: what lies there was left by a crash.
        unlink(&self.directory, &name).map_err(io(self.path, "remove an old copy"))?;
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.directory, &name, flags, Mode::RUSR | Mode::WUSR)
            .map_err(io(self.path, "make a copy beside it"))?;
        let fresh = Fresh { place: self, name };
        let from = File::open(snapshot).map_err(|error| plain(snapshot, "open", error))?;
        let mut to = File::from(file);
        let length = from
            .metadata()
            .map_err(|error| plain(snapshot, "look at it", error))?
            .len();
        let mut limited = std::io::Read::take(from, BYTES_MAX);
        let copied = std::io::copy(&mut limited, &mut to)
            .map_err(|error| plain(self.path, "copy the snapshot", error))?;
        if copied != length {
            return Err(plain(
                snapshot,
                "copy",
                Error::other("it changed, or is too large"),
            ));
        }
        self.adopt_owner(&to)?;
        to.sync_all()
            .map_err(|error| plain(self.path, "sync the copy", error))?;
        Ok(fresh)
    }

    fn adopt_owner(&self, file: &File) -> Result<(), SqliteError> {
        let failed = io(self.path, "set the copy's owner");
        let old = rustix::fs::statat(&self.directory, self.name, AtFlags::SYMLINK_NOFOLLOW);
        let (like, mode) = match old {
            Ok(stat) => (stat, Mode::from_raw_mode(stat.st_mode & 0o777)),
            Err(Errno::NOENT) => (
                rustix::fs::fstat(&self.directory).map_err(&failed)?,
                Mode::RUSR | Mode::WUSR,
            ),
            Err(error) => return Err(failed(error)),
        };
        let owner = rustix::fs::Uid::from_raw(like.st_uid);
        let group = rustix::fs::Gid::from_raw(like.st_gid);
        rustix::fs::fchown(file, Some(owner), Some(group)).map_err(&failed)?;
        rustix::fs::fchmod(file, mode).map_err(failed)
    }

    /// Sidecars go first: a journal without its database is nothing, a database with another's journal is damaged.
    fn put(&self, fresh: &Fresh<'_>) -> Result<(), SqliteError> {
        for sidecar in SIDECARS {
            let mut name = self.name.to_owned();
            name.push(sidecar);
            unlink(&self.directory, &name).map_err(io(self.path, "remove a stale journal"))?;
        }
        self.sync()?;
        rustix::fs::renameat(&self.directory, &fresh.name, &self.directory, self.name)
            .map_err(io(self.path, "rename the copy into place"))?;
        self.sync()
    }

    fn sync(&self) -> Result<(), SqliteError> {
        rustix::fs::fsync(&self.directory).map_err(io(self.path, "sync the directory"))
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        // Renamed: then there is nothing of that name.
        let _ = unlink(&self.place.directory, &self.name);
    }
}

/// Remove a file that may not be there, with what SQLite may have left beside it.
pub(super) fn remove(path: &Path) -> Result<(), SqliteError> {
    for sidecar in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(sidecar);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(plain(Path::new(&name), "remove", error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Make what was written there durable.
pub(super) fn sync(path: &Path) -> Result<(), SqliteError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|error| plain(path, "sync", error))
}

fn unlink(directory: impl AsFd, name: &OsStr) -> Result<(), Errno> {
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

fn io(path: &Path, doing: &'static str) -> impl Fn(Errno) -> SqliteError {
    move |error| plain(path, doing, error.into())
}

fn plain(path: &Path, doing: &'static str, error: Error) -> SqliteError {
    SqliteError::Io {
        path: path.to_owned(),
        doing,
        error,
    }
}
