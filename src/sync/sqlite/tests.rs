#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Two accounts and a log of what was moved between them.
    fn database(&self, name: &str, journal: &str, moves: u32) -> Connection {
        let connection = Connection::open(self.path(name)).unwrap();
        connection
            .pragma_update(None, "journal_mode", journal)
            .unwrap();
        connection
            .execute_batch(
                "CREATE TABLE account(name TEXT PRIMARY KEY, sum INTEGER, pad BLOB);
                 CREATE TABLE log(id INTEGER PRIMARY KEY, sum INTEGER);
                 CREATE INDEX log_sum ON log(sum);
                 INSERT INTO account VALUES ('a', 0, zeroblob(20000)), ('b', 0, zeroblob(20000));",
            )
            .unwrap();
        for _ in 0..moves {
            transfer(&connection);
        }
        connection
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}

fn transfer(connection: &Connection) {
    connection
        .execute_batch(
            "BEGIN IMMEDIATE;
             UPDATE account SET sum = sum - 7, pad = randomblob(20000) WHERE name = 'a';
             UPDATE account SET sum = sum + 7, pad = randomblob(20000) WHERE name = 'b';
             INSERT INTO log(sum) VALUES (7);
             COMMIT;",
        )
        .unwrap();
}

/// How many transfers are in it; that none is in it by half.
fn whole(path: &Path) -> u32 {
    let connection = Connection::open(path).unwrap();
    let check: String = connection
        .pragma_query_value(None, "integrity_check", |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
    let sums = "SELECT (SELECT sum FROM account WHERE name = 'a'), (SELECT sum FROM account WHERE name = 'b'),
                       (SELECT coalesce(sum(sum), 0) FROM log), (SELECT count(*) FROM log)";
    let (a, b, moved, count): (i64, i64, i64, u32) = connection
        .query_row(sums, [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .unwrap();
    assert_eq!((a, b), (-moved, moved));
    count
}

#[test]
fn the_linked_library_is_new_enough_and_an_old_one_is_refused() {
    check_library().unwrap();
    let error = judge_library(3_051_002).unwrap_err().to_string();
    assert!(error.contains("3051002"), "{error}");
}

/// In WAL mode, and with a roll-back journal, where readers and writers take turns.
#[test]
fn every_snapshot_made_while_somebody_writes_is_whole() {
    for journal in ["WAL", "DELETE"] {
        let folder = Folder::new();
        let writer = folder.database("live.db", journal, 1);
        writer.busy_timeout(Duration::from_secs(60)).unwrap();
        let stop = AtomicBool::new(false);
        let stop = &stop;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    transfer(&writer);
                    // With a roll-back journal readers need a moment without a writer.
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
            let _stopped = StopAtEnd(stop);
            let mut live = Live::open(&folder.path("live.db")).unwrap();
            let to = folder.path("snapshot");
            let mut last = 0;
            let mut grown = 0;
            while grown < 10 {
                live.snapshot(&to).unwrap();
                check(&to).unwrap();
                let count = whole(&to);
                assert!(count >= last, "{journal}: {count} after {last}");
                grown += u32::from(count > last);
                last = count;
            }
        });
    }
}

/// A scope waits for its threads even if the test has failed.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_change_is_seen_once() {
    let folder = Folder::new();
    let writer = folder.database("live.db", "WAL", 1);
    let mut live = Live::open(&folder.path("live.db")).unwrap();
    assert!(live.changed().unwrap());
    live.snapshot(&folder.path("snapshot")).unwrap();
    assert!(!live.changed().unwrap());
    transfer(&writer);
    assert!(live.changed().unwrap());
    live.snapshot(&folder.path("snapshot")).unwrap();
    assert!(!live.changed().unwrap());
    drop(writer);
    // Another file of that name.
    folder.database("other.db", "DELETE", 5);
    std::fs::rename(folder.path("other.db"), folder.path("live.db")).unwrap();
    let _ = std::fs::remove_file(folder.path("live.db-wal"));
    assert!(live.changed().unwrap());
    live.snapshot(&folder.path("snapshot")).unwrap();
    assert_eq!(whole(&folder.path("snapshot")), 5);
}

#[test]
fn what_is_no_database_is_refused_and_left_alone() {
    let folder = Folder::new();
    std::fs::write(folder.path("text"), "# settings\n".repeat(200)).unwrap();
    std::fs::write(folder.path("empty"), "").unwrap();
    folder.database("good", "DELETE", 1);
    std::os::unix::fs::symlink(folder.path("good"), folder.path("link")).unwrap();
    for name in ["text", "empty", "link", "."] {
        let path = folder.path(name);
        for error in [
            Live::open(&path).err(),
            import(&path, &folder.path("good")).err(),
        ] {
            assert!(
                matches!(error, Some(SqliteError::NotADatabase { .. })),
                "{name}: {error:?}"
            );
        }
    }
    let missing = folder.path("missing");
    assert!(matches!(
        Live::open(&missing).unwrap_err(),
        SqliteError::Missing { .. }
    ));
    assert_eq!(folder.names(), ["empty", "good", "link", "text"]);
    assert_eq!(whole(&folder.path("good")), 1);
}

#[test]
fn a_damaged_snapshot_is_refused_and_the_old_database_stays() {
    let folder = Folder::new();
    folder.database("live.db", "WAL", 50);
    folder.database("old.db", "WAL", 3);
    let snapshot = folder.path("snapshot");
    Live::open(&folder.path("live.db"))
        .unwrap()
        .snapshot(&snapshot)
        .unwrap();
    let mut bytes = std::fs::read(&snapshot).unwrap();
    bytes[4096..].fill(0xa5);
    std::fs::write(&snapshot, bytes).unwrap();
    let error = import(&snapshot, &folder.path("old.db")).unwrap_err();
    assert!(matches!(error, SqliteError::Damaged { .. }), "{error}");
    assert_eq!(whole(&folder.path("old.db")), 3);
}

/// What a process leaves that is killed while it writes in WAL mode: most of it is only in the `-wal`.
fn crashed(folder: &Folder, name: &str, moves: u32) {
    let connection = folder.database("running.db", "WAL", 0);
    connection
        .pragma_update(None, "wal_autocheckpoint", 0)
        .unwrap();
    for _ in 0..moves {
        transfer(&connection);
    }
    for sidecar in ["", "-wal", "-shm"] {
        let from = folder.path(&format!("running.db{sidecar}"));
        std::fs::copy(from, folder.path(&format!("{name}{sidecar}"))).unwrap();
    }
    drop(connection);
    std::fs::remove_file(folder.path("running.db")).unwrap();
}

#[test]
fn a_stale_wal_is_never_replayed_into_a_new_database() {
    let folder = Folder::new();
    let snapshot = folder.path("snapshot");
    folder.database("live.db", "WAL", 4);
    Live::open(&folder.path("live.db"))
        .unwrap()
        .snapshot(&snapshot)
        .unwrap();

    // The trap is real: renamed over, the stale WAL decides what is read.
    crashed(&folder, "trap.db", 9);
    std::fs::copy(&snapshot, folder.path("trap.db")).unwrap();
    let trapped = Connection::open(folder.path("trap.db")).unwrap();
    let count = trapped.query_row("SELECT count(*) FROM log", [], |row| row.get::<_, u32>(0));
    assert_ne!(count.ok(), Some(4));
    drop(trapped);

    crashed(&folder, "old.db", 9);
    import(&snapshot, &folder.path("old.db")).unwrap();
    for sidecar in SIDECARS {
        assert!(!folder.path(&format!("old.db{sidecar}")).exists());
    }
    assert_eq!(whole(&folder.path("old.db")), 4);
}

#[test]
fn a_stale_journal_beside_a_damaged_or_missing_database_goes_too() {
    for old in [Some("no database at all".repeat(300)), None] {
        let folder = Folder::new();
        let snapshot = folder.path("snapshot");
        folder.database("live.db", "DELETE", 4);
        Live::open(&folder.path("live.db"))
            .unwrap()
            .snapshot(&snapshot)
            .unwrap();
        crashed(&folder, "old.db", 9);
        match old {
            Some(text) => std::fs::write(folder.path("old.db"), text).unwrap(),
            None => std::fs::remove_file(folder.path("old.db")).unwrap(),
        }
        std::fs::write(folder.path(".old.db.fencepost-new"), "of a crash").unwrap();
        import(&snapshot, &folder.path("old.db")).unwrap();
        assert_eq!(folder.names(), ["live.db", "old.db", "snapshot"]);
        assert_eq!(whole(&folder.path("old.db")), 4);
    }
}

#[test]
fn a_database_in_use_is_not_replaced() {
    let folder = Folder::new();
    let snapshot = folder.path("snapshot");
    folder.database("live.db", "DELETE", 4);
    Live::open(&folder.path("live.db"))
        .unwrap()
        .snapshot(&snapshot)
        .unwrap();
    for journal in ["WAL", "DELETE"] {
        let name = format!("{journal}.db");
        drop(folder.database(&name, journal, 1));
        let path = folder.path(&name);
        // Locks of one process do not stand in its own way: SQLite keeps count of them, as between processes.
        let user = Connection::open(&path).unwrap();
        user.execute_batch("BEGIN; SELECT * FROM account").unwrap();
        let error = import(&snapshot, &path).unwrap_err();
        assert!(matches!(error, SqliteError::InUse { .. }), "{error}");
        user.execute_batch("COMMIT").unwrap();
        drop(user);
        assert_eq!(whole(&path), 1);
        import(&snapshot, &path).unwrap();
        assert_eq!(whole(&path), 4);
    }
}

#[test]
fn a_replaced_database_keeps_its_mode_and_the_new_ones_journal() {
    let folder = Folder::new();
    let snapshot = folder.path("snapshot");
    folder.database("live.db", "WAL", 2);
    Live::open(&folder.path("live.db"))
        .unwrap()
        .snapshot(&snapshot)
        .unwrap();
    let old = folder.path("old.db");
    drop(folder.database("old.db", "DELETE", 1));
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o640)).unwrap();
    import(&snapshot, &old).unwrap();
    assert_eq!(old.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    let fresh = folder.path("fresh.db");
    import(&snapshot, &fresh).unwrap();
    assert_eq!(
        fresh.metadata().unwrap().permissions().mode() & 0o777,
        0o600
    );
    let journal: String = Connection::open(&old)
        .unwrap()
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .unwrap();
    assert_eq!(journal, "wal");
}

#[test]
fn odd_names_are_just_names() {
    let folder = Folder::new();
    folder.database("live.db", "WAL", 2);
    let snapshot = folder.path("a b?mode=rw#%41\u{e4}");
    Live::open(&folder.path("live.db"))
        .unwrap()
        .snapshot(&snapshot)
        .unwrap();
    check(&snapshot).unwrap();
}
