//! The node's durable state: an operator's standing orders, kept across crashes.
//!
//! One small file, replaced as a whole: write a temporary file, fsync it, rename it over the old one, fsync the
//! directory. A crash at any point leaves either the old state or the new one. A file that cannot be read is
//! set aside as `.bad`, and the node is told that nothing may be assumed.
//!
//! The thread may hang on its disk for as long as it likes: the node waits for `Persisted` and says what
//! it does in the meantime.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};

use super::inbox::Inlet;
use super::mailbox::{Outbox, Received, mailbox};
use crate::node::{Event, PersistentState, Saved};

/// The state's file in the ledger's directory.
pub const STATE_FILE: &str = "state.json";
const TEMPORARY_FILE: &str = "state.json.new";
const BAD_FILE: &str = "state.json.bad";
/// A ledger larger than this in bytes is no ledger of ours.
const STATE_BYTES_MAX: u64 = 1024 * 1024;
const VERSION: u32 = 1;
/// Most saves waiting; each replaces the one before it.
const SAVES_MAX: usize = 16;

/// One state to save.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Save {
    /// Echoed in the answer.
    pub sequence: u64,
    /// All of it.
    pub state: PersistentState,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateFile {
    version: u32,
    state: PersistentState,
}

/// What the ledger remembers. Removes what an interrupted save left behind.
pub fn load(directory: &Path) -> Saved {
    // Never renamed, so never promised to anybody.
    let _usually_absent = fs::remove_file(directory.join(TEMPORARY_FILE));
    let path = directory.join(STATE_FILE);
    match read(&path) {
        Ok(Some(state)) => Saved::State(state),
        Ok(None) => Saved::Nothing,
        Err(reason) => {
            let aside = directory.join(BAD_FILE);
            let kept = match fs::rename(&path, &aside) {
                Ok(()) => format!("kept as {}", aside.display()),
                Err(error) => format!("and it cannot be set aside: {error}"),
            };
            Saved::Unreadable(format!("{}: {reason}; {kept}", path.display()))
        }
    }
}

fn read(path: &Path) -> Result<Option<PersistentState>, String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let mut text = Vec::new();
    file.take(STATE_BYTES_MAX)
        .read_to_end(&mut text)
        .map_err(|error| error.to_string())?;
    let file: StateFile = serde_json::from_slice(&text)
        .map_err(|error| format!("not a ledger this version can read ({error})"))?;
    if file.version != VERSION {
        return Err(format!(
            "version {} where this agent knows {VERSION}",
            file.version
        ));
    }
    Ok(Some(file.state))
}

/// Replace the saved state; durable when this returns.
pub fn save(directory: &Path, state: &PersistentState) -> Result<(), String> {
    let temporary = directory.join(TEMPORARY_FILE);
    write_and_rename(directory, &temporary, state).map_err(|error| {
        format!(
            "the ledger in {} cannot be written: {error}",
            directory.display()
        )
    })
}

fn write_and_rename(
    directory: &Path,
    temporary: &Path,
    state: &PersistentState,
) -> std::io::Result<()> {
    let file = StateFile {
        version: VERSION,
        state: state.clone(),
    };
    let mut text = serde_json::to_vec_pretty(&file)?;
    text.push(b'\n');
    let mut file = File::create(temporary)?;
    file.write_all(&text)?;
    file.sync_all()?;
    drop(file);
    fs::rename(temporary, directory.join(STATE_FILE))?;
    // The rename itself lives in the directory.
    File::open(directory)?.sync_all()
}

/// Start the thread that saves into `directory`.
pub fn start(
    directory: PathBuf,
    answers: Inlet,
) -> std::io::Result<(Outbox<Save>, JoinHandle<()>)> {
    let (sender, saves) = mailbox::<Save>(SAVES_MAX);
    let thread = std::thread::Builder::new()
        .name("fp-ledger".to_owned())
        .stack_size(256 * 1024)
        .spawn(move || {
            while let Received::Item(save_order) = saves.take(None) {
                let outcome = save(&directory, &save_order.state);
                let answer = Event::Persisted {
                    sequence: save_order.sequence,
                    outcome,
                };
                // Full or ended: the node's own deadline for this answer covers it.
                let _behind = answers.tell(answer);
            }
        })?;
    Ok((Outbox::new(sender), thread))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::event::Standing;

    fn maintenance(reason: &str) -> PersistentState {
        let standing = Standing {
            by: "jo".to_owned(),
            reason: reason.to_owned(),
        };
        PersistentState {
            maintenance: Some(standing),
            ..PersistentState::default()
        }
    }

    #[test]
    fn what_was_saved_is_read_back() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(load(directory.path()), Saved::Nothing);
        save(directory.path(), &maintenance("one")).unwrap();
        save(directory.path(), &maintenance("two")).unwrap();
        assert_eq!(load(directory.path()), Saved::State(maintenance("two")));
    }

    #[test]
    fn a_crash_before_the_rename_leaves_the_old_state() {
        let directory = tempfile::tempdir().unwrap();
        save(directory.path(), &maintenance("old")).unwrap();
        let leftover = directory.path().join(TEMPORARY_FILE);
        fs::write(&leftover, "{\"version\":1,\"sta").unwrap();
        assert_eq!(load(directory.path()), Saved::State(maintenance("old")));
        assert!(!leftover.exists());
    }

    #[test]
    fn a_truncated_ledger_is_unreadable_at_every_length_and_kept_aside() {
        let directory = tempfile::tempdir().unwrap();
        save(directory.path(), &maintenance("whole")).unwrap();
        let whole = fs::read(directory.path().join(STATE_FILE)).unwrap();
        // The last two bytes are the closing brace and the line end.
        for length in 0..whole.len() - 2 {
            fs::write(directory.path().join(STATE_FILE), &whole[..length]).unwrap();
            let loaded = load(directory.path());
            assert!(
                matches!(loaded, Saved::Unreadable(_)),
                "{length} bytes: {loaded:?}"
            );
            assert_eq!(
                fs::read(directory.path().join(BAD_FILE)).unwrap(),
                &whole[..length]
            );
            assert!(!directory.path().join(STATE_FILE).exists());
        }
    }

    #[test]
    fn an_unknown_version_or_key_is_not_guessed_at() {
        let directory = tempfile::tempdir().unwrap();
        for text in [
            r#"{"version":2,"state":{"maintenance":null}}"#,
            r#"{"version":1,"state":{"maintenance":null,"epoch":7}}"#,
            r#"{"version":1,"state":{"maintenance":null},"more":1}"#,
        ] {
            fs::write(directory.path().join(STATE_FILE), text).unwrap();
            assert!(
                matches!(load(directory.path()), Saved::Unreadable(_)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error_with_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let gone = directory.path().join("gone");
        let error = save(&gone, &PersistentState::default()).unwrap_err();
        assert!(error.contains(&gone.display().to_string()), "{error}");
    }

    #[test]
    fn a_place_that_cannot_be_written_keeps_the_old_state() {
        let directory = tempfile::tempdir().unwrap();
        save(directory.path(), &maintenance("old")).unwrap();
        // Even root cannot create a file where a directory is.
        fs::create_dir(directory.path().join(TEMPORARY_FILE)).unwrap();
        assert!(save(directory.path(), &maintenance("new")).is_err());
        assert_eq!(load(directory.path()), Saved::State(maintenance("old")));
    }
}
