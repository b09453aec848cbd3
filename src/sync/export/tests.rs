#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use core::time::Duration;

use super::*;
use crate::hooks::Hook;

fn script(folder: &Path, name: &str, text: &str) -> Hook {
    let path = folder.join(name);
    crate::stand_in::write(&path, &format!("#!/bin/sh\n{text}\n"));
    Hook {
        argv: vec![path.to_str().unwrap().to_owned(), "{staged}".to_owned()],
        limit: Duration::from_secs(600),
    }
}

fn export(state: &Path, source: Source) -> Export {
    let exporter = Exporter {
        source,
        every: Duration::from_secs(1),
    };
    Export::new(&CategoryId::new("sets").unwrap(), &exporter, state)
}

#[test]
fn a_rule_set_goes_from_program_to_file_to_program() {
    let folder = tempfile::tempdir().unwrap();
    let (kernel, taken) = (folder.path().join("kernel"), folder.path().join("taken"));
    std::fs::write(&kernel, "set banned { 192.0.2.1 }").unwrap();
    let dump = format!("cat '{}' >\"$1\"", kernel.display());
    let restore = format!(
        "cat \"$1\" >'{}'; test \"$FENCEPOST_GENERATION\" = 9",
        taken.display()
    );
    let source = Source::Command {
        export: script(folder.path(), "dump", &dump),
        import: script(folder.path(), "restore", &restore),
    };
    let mut export = export(folder.path(), source);
    assert!(export.take().unwrap());
    assert!(!export.take().unwrap(), "the same again is no change");
    std::fs::write(&kernel, "set banned { 192.0.2.2 }").unwrap();
    assert!(export.take().unwrap());
    export.put(9).unwrap();
    assert_eq!(
        std::fs::read(&taken).unwrap(),
        std::fs::read(&kernel).unwrap()
    );
    let in_tree: Vec<_> = std::fs::read_dir(folder.path().join("export/sets"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(in_tree, [EXPORT_FILE]);
}

#[test]
fn a_program_that_fails_or_writes_nothing_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let good = script(folder.path(), "good", "echo 1 >\"$1\"");
    let import = good.clone();
    let command = |export: Hook| Source::Command {
        export,
        import: import.clone(),
    };
    assert!(export(folder.path(), command(good)).take().unwrap());
    let half = script(folder.path(), "half", "echo half >\"$1\"; exit 1");
    let error = export(folder.path(), command(half)).take().unwrap_err();
    assert!(matches!(error, ExportError::Hook { .. }), "{error}");
    let mute = script(folder.path(), "mute", "exit 0");
    let error = export(folder.path(), command(mute)).take().unwrap_err();
    assert!(
        matches!(error, ExportError::NothingWritten { .. }),
        "{error}"
    );
    let kept = folder.path().join("export/sets/export");
    assert_eq!(std::fs::read_to_string(kept).unwrap(), "1\n");
}

#[test]
fn a_database_is_exported_when_it_changed_and_imported_whole() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("policy.db");
    let writer = rusqlite::Connection::open(&database).unwrap();
    writer
        .execute_batch("CREATE TABLE rule(id INTEGER); INSERT INTO rule VALUES (1)")
        .unwrap();
    let mut export = export(
        folder.path(),
        Source::Sqlite {
            database: database.clone(),
        },
    );
    assert!(export.take().unwrap());
    assert!(!export.take().unwrap());
    writer.execute_batch("INSERT INTO rule VALUES (2)").unwrap();
    assert!(export.take().unwrap());
    writer.execute_batch("DELETE FROM rule").unwrap();
    drop(writer);
    export.put(1).unwrap();
    let count = rusqlite::Connection::open(&database).unwrap().query_row(
        "SELECT count(*) FROM rule",
        [],
        |row| row.get::<_, u32>(0),
    );
    assert_eq!(count.unwrap(), 2);
}
