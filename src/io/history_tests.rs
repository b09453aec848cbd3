//! Rotation, half lines, and a disk that fails and comes back.

use super::*;
use crate::node::{Fact, Instant as NodeInstant, Record};

fn entry(number: u64) -> Entry {
    let fact = Fact::CheckPassed {
        check: "web".to_owned(),
    };
    let record = Record {
        sequence: number,
        at: NodeInstant::from_millis(number),
        level: Level::Info,
        fact,
    };
    Entry {
        number,
        time: "2026-01-01T00:00:00.000Z".to_owned(),
        pid: 1,
        record,
    }
}

fn writer(directory: &Path, bytes_max: u64) -> Writer {
    let health = Health(Arc::new(Mutex::new(HistoryHealth::Writing)));
    let (inlets, _inbox) = crate::io::inbox::inbox();
    Writer::new(directory.to_owned(), bytes_max, health, inlets.ordinary)
}

fn numbers(directory: &Path, most: usize) -> Vec<u64> {
    load(directory, most)
        .iter()
        .map(|entry| entry.number)
        .collect()
}

#[test]
fn two_files_of_bounded_size_hold_the_latest_entries() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = writer(directory.path(), 2_000);
    for number in 1..=100 {
        writer.hold(entry(number));
        writer.write_held();
    }
    for name in [EVENTS_FILE, EVENTS_FILE_OLD] {
        assert!(
            fs::metadata(directory.path().join(name)).unwrap().len() <= 2_000,
            "{name}"
        );
    }
    let kept = numbers(directory.path(), 1_000);
    assert_eq!(kept.last(), Some(&100));
    assert!(
        kept.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "{kept:?}"
    );
    assert!(kept.len() > 10, "{kept:?}");
    assert_eq!(numbers(directory.path(), 2), [99, 100]);
}

#[test]
fn half_a_line_from_a_crash_spoils_no_other_entry() {
    let directory = tempfile::tempdir().unwrap();
    let mut first = writer(directory.path(), 100_000);
    first.hold(entry(1));
    first.write_held();
    let path = directory.path().join(EVENTS_FILE);
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"{\"number\":2,\"ti").unwrap();
    drop(file);
    let mut second = writer(directory.path(), 100_000);
    second.hold(entry(3));
    second.write_held();
    assert_eq!(numbers(directory.path(), 10), [1, 3]);
}

#[test]
fn entries_are_held_while_the_disk_fails_and_written_when_it_is_back() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("state");
    let (inlets, inbox) = crate::io::inbox::inbox();
    let mut writer = writer(&directory, 100_000_000);
    writer.inlet = inlets.ordinary;
    for number in 1..=10 {
        writer.hold(entry(number));
        writer.write_held();
    }
    assert!(
        matches!(
            writer.health.get(),
            HistoryHealth::Failing {
                held: 10,
                lost: 0,
                ..
            }
        ),
        "{:?}",
        writer.health.get()
    );
    fs::create_dir(&directory).unwrap();
    writer.write_held();
    assert_eq!(writer.health.get(), HistoryHealth::Writing);
    let told: Vec<_> = std::iter::from_fn(|| inbox.next(Some(Duration::ZERO))).collect();
    assert_eq!(told.len(), 2, "on change only: {told:?}");
    assert!(matches!(
        &told[0],
        Event::HistoryWritten { outcome: Err(_) }
    ));
    assert_eq!(told[1], Event::HistoryWritten { outcome: Ok(()) });
    assert_eq!(numbers(&directory, 100), (1..=10).collect::<Vec<_>>());
}

#[test]
fn memory_for_a_failing_disk_is_bounded_and_the_loss_is_told() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("state");
    let mut writer = writer(&directory, 100_000_000);
    let most = u64::try_from(HELD_MAX).unwrap();
    for number in 1..=most + 5 {
        writer.hold(entry(number));
    }
    writer.write_held();
    assert!(matches!(
        writer.health.get(),
        HistoryHealth::Failing {
            lost: 5,
            held: HELD_MAX,
            ..
        }
    ));
    fs::create_dir(&directory).unwrap();
    writer.write_held();
    assert_eq!(
        writer.health.get(),
        HistoryHealth::WritingWithLoss { lost: 5 }
    );
    assert_eq!(numbers(&directory, 2), [most + 4, most + 5]);
}

#[test]
fn a_full_disk_leaves_no_half_entry_and_no_double() {
    // /dev/full refuses every write; it stands in for the file itself.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(EVENTS_FILE);
    let mut writer = writer(directory.path(), 100_000);
    writer.hold(entry(1));
    writer.write_held();
    writer.file = None;
    fs::rename(&path, directory.path().join("aside")).unwrap();
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    writer.hold(entry(2));
    writer.write_held();
    assert!(matches!(
        writer.health.get(),
        HistoryHealth::Failing { held: 1, .. }
    ));
    fs::remove_file(&path).unwrap();
    fs::rename(directory.path().join("aside"), &path).unwrap();
    writer.write_held();
    assert_eq!(numbers(directory.path(), 10), [1, 2]);
}
