//! State that is no file in place: written to one on the Active, read from it on the Backup.
//!
//! The file lies in a directory of ours and is replicated like any other: hashed, staged, kept in the history. It changes
//! only when its bytes do, so an export that finds nothing new makes no generation.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::category::{EXPORT_FILE, Exporter, Source, export_directory};
use crate::category_id::CategoryId;
use crate::hooks::{Call, HookError, Moment};
use crate::sqlite::{Live, SqliteError, import};

/// An exported category at work on one node.
#[derive(Debug)]
pub struct Export {
    id: CategoryId,
    source: Source,
    directory: PathBuf,
    live: Option<Live>,
}

/// Why state could not be taken or put in place.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The database.
    #[error("category {id}: {error}")]
    Sqlite {
        /// Which.
        id: CategoryId,
        /// What about it.
        error: Box<SqliteError>,
    },
    /// The program.
    #[error("category {id}: {error}")]
    Hook {
        /// Which.
        id: CategoryId,
        /// What about it.
        error: Box<HookError>,
    },
    /// It said yes and wrote nothing.
    #[error(
        "category {id}: the export hook ended well and wrote no file; it must write to $FENCEPOST_STAGED, or to where an argument says {{staged}}"
    )]
    NothingWritten {
        /// Which.
        id: CategoryId,
    },
    /// The kernel said no.
    #[error("category {id}: {path}: {error}")]
    Io {
        /// Which.
        id: CategoryId,
        /// Where.
        path: PathBuf,
        /// The kernel's word.
        error: io::Error,
    },
}

impl ExportError {
    /// Why, with no more than the last line of what a program said.
    pub fn in_short(&self) -> String {
        match self {
            Self::Hook { error, .. } => error.in_short(),
            Self::Sqlite { error, .. } => error.to_string(),
            Self::NothingWritten { .. } | Self::Io { .. } => self.to_string(),
        }
    }
}

impl Export {
    /// `state` is the service's own directory.
    pub fn new(id: &CategoryId, exporter: &Exporter, state: &Path) -> Self {
        Self {
            id: id.clone(),
            source: exporter.source.clone(),
            directory: export_directory(state, id),
            live: None,
        }
    }

    /// On the Active: write the state to the category's file; whether the file is another now. Blocks.
    ///
    /// # Errors
    /// It could not be written; the file is then as it was.
    pub fn take(&mut self) -> Result<bool, ExportError> {
        let mut make = std::fs::DirBuilder::new();
        make.recursive(true).mode(0o700);
        make.create(&self.directory)
            .map_err(|error| self.io(&self.directory, error))?;
        let fresh = self.fresh();
        let written = match &self.source {
            Source::Sqlite { database } => {
                let database = database.clone();
                self.snapshot(&database, &fresh)?
            }
            Source::Command { export, .. } => {
                remove(&fresh).map_err(|error| self.io(&fresh, error))?;
                self.call(export, Moment::Export, &fresh, None)?;
                true
            }
        };
        if !written {
            return Ok(false);
        }
        let changed = self.keep(&fresh);
        // Kept, it is not there any more.
        let _ = remove(&fresh);
        changed
    }

    /// On the Backup: take the state from the category's file, which is in place. Blocks.
    ///
    /// # Errors
    /// It was not taken; what the importer had before is as it was, as far as that is ours to say.
    pub fn put(&mut self, generation: u64) -> Result<(), ExportError> {
        self.release();
        let file = self.file();
        match &self.source {
            Source::Sqlite { database } => {
                import(&file, database).map_err(|error| self.sqlite(error))
            }
            Source::Command { import, .. } => {
                self.call(import, Moment::Import, &file, Some(generation))
            }
        }
    }

    /// Let go of the database: another node is Active.
    pub fn release(&mut self) {
        self.live = None;
    }

    fn snapshot(&mut self, database: &Path, to: &Path) -> Result<bool, ExportError> {
        let mut live = match self.live.take() {
            Some(live) => live,
            None => Live::open(database).map_err(|error| self.sqlite(error))?,
        };
        let changed = live.changed().map_err(|error| self.sqlite(error))?;
        if changed {
            live.snapshot(to).map_err(|error| self.sqlite(error))?;
        }
        self.live = Some(live);
        Ok(changed)
    }

    /// Rename it into place unless the same is there.
    fn keep(&self, fresh: &Path) -> Result<bool, ExportError> {
        let file = self.file();
        match std::fs::symlink_metadata(fresh) {
            Ok(found) if found.is_file() => {}
            _ => {
                return Err(ExportError::NothingWritten {
                    id: self.id.clone(),
                });
            }
        }
        if same(fresh, &file).map_err(|error| self.io(fresh, error))? {
            return Ok(false);
        }
        let place = || {
            File::open(fresh)?.sync_all()?;
            std::fs::rename(fresh, &file)?;
            File::open(&self.directory)?.sync_all()
        };
        place().map_err(|error| self.io(&file, error))?;
        Ok(true)
    }

    fn call(
        &self,
        hook: &crate::hooks::Hook,
        moment: Moment,
        staged: &Path,
        generation: Option<u64>,
    ) -> Result<(), ExportError> {
        let call = Call {
            moment,
            category: Some(&self.id),
            staged: Some(staged),
            generation,
        };
        hook.run(&call)
            .map(|_| ())
            .map_err(|error| ExportError::Hook {
                id: self.id.clone(),
                error: Box::new(error),
            })
    }

    fn file(&self) -> PathBuf {
        self.directory.join(EXPORT_FILE)
    }

    /// Beside the replicated directory, on the same file system.
    fn fresh(&self) -> PathBuf {
        self.directory.with_extension("new")
    }

    fn sqlite(&self, error: SqliteError) -> ExportError {
        ExportError::Sqlite {
            id: self.id.clone(),
            error: Box::new(error),
        }
    }

    fn io(&self, path: &Path, error: io::Error) -> ExportError {
        ExportError::Io {
            id: self.id.clone(),
            path: path.to_owned(),
            error,
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Whether two files hold the same bytes; one that is not there holds none.
fn same(fresh: &Path, kept: &Path) -> io::Result<bool> {
    let fresh = File::open(fresh)?;
    let kept = match File::open(kept) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    if fresh.metadata()?.len() != kept.metadata()?.len() {
        return Ok(false);
    }
    let (mut fresh, mut kept) = (BufReader::new(fresh).bytes(), BufReader::new(kept).bytes());
    loop {
        match (fresh.next().transpose()?, kept.next().transpose()?) {
            (None, None) => return Ok(true),
            (one, other) if one != other => return Ok(false),
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "export/tests.rs"]
mod tests;
