//! The node's durable state, kept across crashes: an operator's standing orders, and what the pair must remember.
//!
//! One small file each, replaced as a whole: write a temporary file, fsync it, rename it over the old one, fsync the
//! directory. A crash at any point leaves either the old state or the new one. A file that cannot be read is
//! set aside as `.bad`, and the node is told that nothing may be assumed.
//!
//! The thread may hang on its disk for as long as it likes: the node waits for `Persisted` and says what
//! it does in the meantime.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::inbox::Inlet;
use super::mailbox::{Outbox, Received, mailbox};
use crate::node::pair::{PairEvent, PairMemory, SavedPair};
use crate::node::{Event, PersistentState, Saved};

/// The standing orders' file in the ledger's directory.
pub const STATE_FILE: &str = "state.json";
/// The pair's.
pub const PAIR_FILE: &str = "pair.json";
/// A ledger larger than this in bytes is no ledger of ours.
const STATE_BYTES_MAX: u64 = 1024 * 1024;
const VERSION: u32 = 1;
/// Most saves waiting; each replaces the one before it.
const SAVES_MAX: usize = 16;

/// One state to save.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Save<T = PersistentState> {
    /// Echoed in the answer.
    pub sequence: u64,
    /// All of it.
    pub state: T,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateFile<T> {
    version: u32,
    state: T,
}

/// The standing orders that were saved.
pub fn load(directory: &Path) -> Saved {
    match take(directory, STATE_FILE) {
        Ok(Some(state)) => Saved::State(state),
        Ok(None) => Saved::Nothing,
        Err(reason) => Saved::Unreadable(reason),
    }
}

/// What the pair saved.
pub fn load_pair(directory: &Path) -> SavedPair {
    match take(directory, PAIR_FILE) {
        Ok(Some(memory)) => SavedPair::Memory(memory),
        Ok(None) => SavedPair::Nothing,
        Err(reason) => SavedPair::Unreadable(reason),
    }
}

/// What a file remembers; one that cannot be read is set aside. Removes what an interrupted save left behind.
fn take<T: DeserializeOwned>(directory: &Path, name: &str) -> Result<Option<T>, String> {
    // Never renamed, so never promised to anybody.
    let _usually_absent = fs::remove_file(temporary(directory, name));
    let path = directory.join(name);
    read(&path).map_err(|reason| {
        let aside = directory.join(format!("{name}.bad"));
        let kept = match fs::rename(&path, &aside) {
            Ok(()) => format!("kept as {}", aside.display()),
            Err(error) => format!("and it cannot be set aside: {error}"),
        };
        format!("{}: {reason}; {kept}", path.display())
    })
}

fn temporary(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.new"))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let mut text = Vec::new();
    file.take(STATE_BYTES_MAX)
        .read_to_end(&mut text)
        .map_err(|error| error.to_string())?;
    let file: StateFile<T> = serde_json::from_slice(&text)
        .map_err(|error| format!("not a ledger this version can read ({error})"))?;
    if file.version != VERSION {
        return Err(format!(
            "version {} where this agent knows {VERSION}",
            file.version
        ));
    }
    Ok(Some(file.state))
}

/// Replace what is saved in a file; durable when this returns.
pub fn save<T: Serialize>(directory: &Path, name: &str, state: &T) -> Result<(), String> {
    write_and_rename(directory, name, state).map_err(|error| {
        format!(
            "the ledger in {} cannot be written: {error}",
            directory.display()
        )
    })
}

fn write_and_rename<T: Serialize>(directory: &Path, name: &str, state: &T) -> std::io::Result<()> {
    let file = StateFile {
        version: VERSION,
        state,
    };
    let mut text = serde_json::to_vec_pretty(&file)?;
    text.push(b'\n');
    let temporary = temporary(directory, name);
    let mut file = File::create(&temporary)?;
    file.write_all(&text)?;
    file.sync_all()?;
    drop(file);
    fs::rename(temporary, directory.join(name))?;
    // The rename itself lives in the directory.
    File::open(directory)?.sync_all()
}

/// Start the thread that saves standing orders into `directory`.
pub fn start(
    directory: PathBuf,
    answers: Inlet,
) -> std::io::Result<(Outbox<Save>, JoinHandle<()>)> {
    start_saving(directory, STATE_FILE, move |sequence, outcome| {
        // Full or ended: the node's own deadline for this answer covers it.
        let _behind = answers.tell(Event::Persisted { sequence, outcome });
    })
}

/// Start the thread that saves what the pair must remember.
pub fn start_pair(
    directory: PathBuf,
    answers: Inlet,
) -> std::io::Result<(Outbox<Save<PairMemory>>, JoinHandle<()>)> {
    start_saving(directory, PAIR_FILE, move |sequence, outcome| {
        let event = PairEvent::Persisted { sequence, outcome };
        let _behind = answers.tell(Event::Pair(Box::new(event)));
    })
}

/// A thread for each file: one that hangs holds up no other.
fn start_saving<T: Serialize + Send + 'static>(
    directory: PathBuf,
    name: &'static str,
    answer: impl Fn(u64, Result<(), String>) + Send + 'static,
) -> std::io::Result<(Outbox<Save<T>>, JoinHandle<()>)> {
    let (sender, saves) = mailbox::<Save<T>>(SAVES_MAX);
    let thread = std::thread::Builder::new()
        .name("fp-ledger".to_owned())
        .stack_size(256 * 1024)
        .spawn(move || {
            while let Received::Item(order) = saves.take(None) {
                answer(order.sequence, save(&directory, name, &order.state));
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
        save(directory.path(), STATE_FILE, &maintenance("one")).unwrap();
        save(directory.path(), STATE_FILE, &maintenance("two")).unwrap();
        assert_eq!(load(directory.path()), Saved::State(maintenance("two")));
    }

    #[test]
    fn a_crash_before_the_rename_leaves_the_old_state() {
        let directory = tempfile::tempdir().unwrap();
        save(directory.path(), STATE_FILE, &maintenance("old")).unwrap();
        let leftover = temporary(directory.path(), STATE_FILE);
        fs::write(&leftover, "{\"version\":1,\"sta").unwrap();
        assert_eq!(load(directory.path()), Saved::State(maintenance("old")));
        assert!(!leftover.exists());
    }

    #[test]
    fn a_truncated_ledger_is_unreadable_at_every_length_and_kept_aside() {
        let directory = tempfile::tempdir().unwrap();
        save(directory.path(), STATE_FILE, &maintenance("whole")).unwrap();
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
                fs::read(directory.path().join("state.json.bad")).unwrap(),
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
        let error = save(&gone, STATE_FILE, &PersistentState::default()).unwrap_err();
        assert!(error.contains(&gone.display().to_string()), "{error}");
    }

    #[test]
    fn a_place_that_cannot_be_written_keeps_the_old_state() {
        let directory = tempfile::tempdir().unwrap();
        save(directory.path(), STATE_FILE, &maintenance("old")).unwrap();
        // Even root cannot create a file where a directory is.
        fs::create_dir(temporary(directory.path(), STATE_FILE)).unwrap();
        assert!(save(directory.path(), STATE_FILE, &maintenance("new")).is_err());
        assert_eq!(load(directory.path()), Saved::State(maintenance("old")));
    }
}
