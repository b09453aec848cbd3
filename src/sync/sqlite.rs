//! Live SQLite databases: taken and replaced by SQLite's own means, never by copying their files.
//!
//! A copy of `db`, `db-wal` and `db-shm` made while somebody writes is torn, and a `-wal` left beside a new `db` is
//! replayed into it. So a snapshot is made by the backup interface within one read transaction, and [`import`]
//! checks it, takes the place of the old database under SQLite's own exclusive lock, and leaves no journal behind.

use core::time::Duration;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

mod replace;

pub use replace::import;

/// Versions before this one can corrupt a database in WAL mode (<https://www.sqlite.org/changes.html>, 3.51.3).
pub const LIBRARY_MIN: i32 = 3_051_003;
/// A writer may hold its lock so long before an export gives up; the next one comes soon.
const BUSY: Duration = Duration::from_secs(5);
/// Names that SQLite adds to a database's.
const SIDECARS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Why a database could not be taken or replaced.
#[derive(Debug, thiserror::Error)]
pub enum SqliteError {
    /// The library corrupts databases.
    #[error(
        "SQLite {found} is linked, and versions before {LIBRARY_MIN} can corrupt a database; use a build with a newer one"
    )]
    Library {
        /// As `sqlite3_libversion_number` says.
        found: i32,
    },
    /// There is nothing.
    #[error("{path}: there is no such file")]
    Missing {
        /// Where.
        path: PathBuf,
    },
    /// There is something else.
    #[error("{path}: not a SQLite database ({found}); it was left alone")]
    NotADatabase {
        /// Where.
        path: PathBuf,
        /// What speaks against it.
        found: String,
    },
    /// It does not pass its own check.
    #[error("{path}: damaged: {found}; it was not put in place")]
    Damaged {
        /// Where.
        path: PathBuf,
        /// What the check says first.
        found: String,
    },
    /// Somebody else uses it.
    #[error(
        "{path}: in use by another process; on the Backup nothing may have it open while it is replaced: stop that service there"
    )]
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// The kernel said no.
    #[error("{path}: {doing}: {error}")]
    Io {
        /// Where.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// The kernel's word.
        error: std::io::Error,
    },
    /// SQLite said no.
    #[error("{path}: {doing}: {error}")]
    Sqlite {
        /// Where.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// SQLite's word.
        error: rusqlite::Error,
    },
}

/// Look at the library that is linked.
///
/// # Errors
/// It is older than [`LIBRARY_MIN`].
pub fn check_library() -> Result<(), SqliteError> {
    judge_library(rusqlite::version_number())
}

const fn judge_library(found: i32) -> Result<(), SqliteError> {
    if found < LIBRARY_MIN {
        return Err(SqliteError::Library { found });
    }
    Ok(())
}

/// A live database, held open so that it can be asked cheaply whether it has changed. For the Active only: a database
/// that is to be replaced must not be open.
#[derive(Debug)]
pub struct Live {
    path: PathBuf,
    file: (u64, u64),
    connection: Connection,
    /// `data_version` when the last snapshot was made.
    taken: Option<i64>,
}

impl Live {
    /// Open it; it is neither made nor changed.
    ///
    /// # Errors
    /// There is none, it is something else, or it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, SqliteError> {
        check_library()?;
        let file = identity(path)?;
        let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let failed = sqlite(path, "open");
        connection.busy_timeout(BUSY).map_err(&failed)?;
        connection
            .pragma_update(None, "query_only", true)
            .map_err(&failed)?;
        prove(&connection, path)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            connection,
            taken: None,
        })
    }

    /// Whether anybody has committed since the last snapshot, or put another file in its place.
    ///
    /// # Errors
    /// It is gone, or SQLite cannot say.
    pub fn changed(&self) -> Result<bool, SqliteError> {
        let same_file = identity(&self.path)? == self.file;
        Ok(!same_file || self.taken != Some(self.version()?))
    }

    /// Write a snapshot to `to`, which is made anew and synced. Commits during the export are in it whole or not at all.
    ///
    /// # Errors
    /// The database is gone or damaged, stays locked, or `to` cannot be written.
    pub fn snapshot(&mut self, to: &Path) -> Result<(), SqliteError> {
        if identity(&self.path)? != self.file {
            *self = Self::open(&self.path)?;
        }
        // Asked before: what is committed meanwhile is found the next time.
        let version = self.version()?;
        replace::remove(to)?;
        let mut copy = Connection::open_with_flags(
            to,
            flags(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE),
        )
        .map_err(sqlite(to, "make the snapshot"))?;
        // Nothing else sees it before it is whole.
        copy.pragma_update(None, "synchronous", "OFF")
            .map_err(sqlite(to, "make the snapshot"))?;
        let backup = rusqlite::backup::Backup::new(&self.connection, &mut copy)
            .map_err(sqlite(to, "make the snapshot"))?;
        // All pages in one step: one read transaction.
        let step = backup.step(-1).map_err(sqlite(&self.path, "read"))?;
        drop(backup);
        if step != rusqlite::backup::StepResult::Done {
            return Err(SqliteError::InUse {
                path: self.path.clone(),
            });
        }
        copy.close()
            .map_err(|(_, error)| sqlite(to, "close the snapshot")(error))?;
        replace::sync(to)?;
        self.taken = Some(version);
        Ok(())
    }

    fn version(&self) -> Result<i64, SqliteError> {
        self.connection
            .pragma_query_value(None, "data_version", |row| row.get(0))
            .map_err(sqlite(&self.path, "look for changes"))
    }
}

/// Check a snapshot as it lies there; its file is not changed and nothing is put beside it.
///
/// # Errors
/// It is no database or a damaged one.
pub fn check(snapshot: &Path) -> Result<(), SqliteError> {
    identity(snapshot)?;
    // Immutable: no lock, no journal, no shared memory; a WAL beside it is not ours.
    let uri = format!("file:{}?immutable=1", escaped(snapshot));
    let flags = flags(OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI);
    let connection = Connection::open_with_flags(uri, flags).map_err(sqlite(snapshot, "open"))?;
    harden(&connection).map_err(sqlite(snapshot, "open"))?;
    prove(&connection, snapshot)?;
    let found: String = connection
        .pragma_query_value(None, "quick_check", |row| row.get(0))
        .map_err(|error| damaged(snapshot, error))?;
    if found == "ok" {
        return Ok(());
    }
    Err(SqliteError::Damaged {
        path: snapshot.to_owned(),
        found,
    })
}

fn open(path: &Path, how: OpenFlags) -> Result<Connection, SqliteError> {
    let connection = Connection::open_with_flags(path, flags(how)).map_err(sqlite(path, "open"))?;
    harden(&connection).map_err(sqlite(path, "open"))?;
    Ok(connection)
}

/// A link in the path would let its owner choose what is read.
fn flags(how: OpenFlags) -> OpenFlags {
    how | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW
}

/// A schema can name functions; none of them is to run here. And what is another's to tidy up stays.
fn harden(connection: &Connection) -> Result<(), rusqlite::Error> {
    for (what, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        (DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true),
    ] {
        connection.set_db_config(what, on)?;
    }
    Ok(())
}

/// SQLite reads the header only when it is first asked for something.
fn prove(connection: &Connection, path: &Path) -> Result<(), SqliteError> {
    connection
        .pragma_query_value(None, "schema_version", |row| row.get::<_, i64>(0))
        .map(|_| ())
        .map_err(|error| damaged(path, error))
}

fn damaged(path: &Path, error: rusqlite::Error) -> SqliteError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => SqliteError::NotADatabase {
            path,
            found: "its first bytes are not SQLite's".to_owned(),
        },
        Some(ErrorCode::DatabaseCorrupt) => SqliteError::Damaged {
            path,
            found: error.to_string(),
        },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => SqliteError::InUse { path },
        _ => SqliteError::Sqlite {
            path,
            doing: "read",
            error,
        },
    }
}

fn sqlite(path: &Path, doing: &'static str) -> impl Fn(rusqlite::Error) -> SqliteError {
    move |error| match error.sqlite_error_code() {
        Some(
            ErrorCode::NotADatabase
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked,
        ) => damaged(path, error),
        _ => SqliteError::Sqlite {
            path: path.to_owned(),
            doing,
            error,
        },
    }
}

/// Device and inode of a regular file with something in it. It is not opened: to close any descriptor of a database
/// drops all of this process's locks on it.
fn identity(path: &Path) -> Result<(u64, u64), SqliteError> {
    use std::os::unix::fs::MetadataExt;
    let looked = std::fs::symlink_metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => SqliteError::Missing {
            path: path.to_owned(),
        },
        _ => SqliteError::Io {
            path: path.to_owned(),
            doing: "look at it",
            error,
        },
    })?;
    let not = |found: &str| SqliteError::NotADatabase {
        path: path.to_owned(),
        found: found.to_owned(),
    };
    if !looked.is_file() {
        return Err(not("no regular file"));
    }
    if looked.len() == 0 {
        return Err(not("an empty file"));
    }
    Ok((looked.dev(), looked.ino()))
}

/// Letters that mean something in a URI.
fn escaped(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-~".contains(&byte);
    path.as_os_str()
        .as_bytes()
        .iter()
        .map(|byte| {
            if plain(*byte) {
                char::from(*byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
#[path = "sqlite/tests.rs"]
mod tests;
