//! A service of the site that does not take up what is in place.

use super::*;
use crate::session::Reason;

/// Takes nothing up while there is a file `broken` in the given directory; says so in two lines, and counts in another
/// file. `validate` is never content with what is staged.
fn hooks(place: &Path) -> Hooks {
    let script = format!(
        "echo try >>{0}/tries; test ! -e {0}/broken || {{ echo first; echo port is taken; exit 7; }}",
        place.display()
    );
    let reload = Hook {
        argv: ["/bin/sh".to_owned(), "-c".to_owned(), script].into(),
        limit: Duration::from_secs(20),
    };
    Hooks {
        validate: None,
        reload: Some(reload),
    }
}

fn tries(place: &Path) -> usize {
    let all = fs::read_to_string(place.join("tries")).unwrap_or_default();
    all.lines().count()
}

fn reload_failed(state: Option<&State>) -> Option<String> {
    match state {
        Some(State::OutOfSync {
            reason: Reason::ReloadFailed,
            details,
        }) => Some(details.clone()),
        _ => None,
    }
}

#[test]
fn it_is_shown_on_both_nodes_and_tried_until_it_does() {
    let place = tempfile::tempdir().unwrap();
    let mut pair = Pair::settled(hooks(place.path()));
    fs::write(place.path().join("broken"), "").unwrap();
    fs::write(pair.a.at("app/f1"), "not taken up").unwrap();
    wait("both to say so", || {
        [&pair.a, &pair.b]
            .into_iter()
            .all(|node| reload_failed(node.state().as_ref()).is_some())
    });
    let details = reload_failed(pair.a.state().as_ref()).unwrap();
    assert_eq!(
        details,
        "reload failed: reload hook /bin/sh ended with exit status: 7; it said: port is taken"
    );
    assert_eq!(
        tree(&pair.a.at("")),
        tree(&pair.b.at("")),
        "the content stays"
    );
    let begun = (tries(place.path()), Instant::now());
    wait("three attempts", || tries(place.path()) >= begun.0 + 3);
    // The third comes after pauses of 200, 400 and 800 ms; the first may have been counted already.
    assert!(begun.1.elapsed() > Duration::from_millis(500), "no pause");

    // The debt outlives the service.
    pair.b.kill();
    pair.b.start();
    wait("b to say so again", || {
        reload_failed(pair.b.state().as_ref()).is_some()
    });
    fs::remove_file(place.path().join("broken")).unwrap();
    pair.until_same();
    let before = tries(place.path());
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(tries(place.path()), before, "nothing is owed any more");
}

/// Programs run beside a change of the trees, and a commit of nothing changes none.
#[test]
fn a_commit_of_nothing_reloads_nothing() {
    let place = tempfile::tempdir().unwrap();
    let mut pair = Pair::settled(hooks(place.path()));
    pair.b.kill();
    let before = tries(place.path());
    for text in ["other", "file 1"] {
        let generation = pair.a.generation();
        fs::write(pair.a.at("app/f1"), text).unwrap();
        wait("a generation", || pair.a.generation() > generation);
    }
    let time = fs::metadata(pair.b.at("app/f1"))
        .unwrap()
        .modified()
        .unwrap();
    let file = fs::File::options()
        .write(true)
        .open(pair.a.at("app/f1"))
        .unwrap();
    let generation = pair.a.generation();
    file.set_modified(time).unwrap();
    drop(file);
    wait("a generation", || pair.a.generation() > generation);
    pair.b.start();
    wait("the commits", || pair.a.generation() == pair.b.generation());
    pair.until_same();
    assert_eq!(tries(place.path()), before);
}

/// What is to be imported on the Backup must never be imported on the Active.
#[test]
fn only_the_backup_tries_again() {
    let place = tempfile::tempdir().unwrap();
    let pair = Pair::settled(hooks(place.path()));
    fs::write(place.path().join("broken"), "").unwrap();
    fs::write(pair.a.at("app/f1"), "not taken up").unwrap();
    wait("b to say so", || {
        reload_failed(pair.b.state().as_ref()).is_some()
    });
    pair.a.agent.says(BACKUP(2));
    pair.b.agent.says(ACTIVE(2));
    wait("b to be Active", || {
        let answers = pair.b.ask(Request::Status).unwrap();
        matches!(answers.last(), Some(Answer::Status(report))
            if matches!(report.standing, Standing::Active { .. })
                && report.notes.iter().any(|note| note.contains("port is taken")))
    });
    std::thread::sleep(Duration::from_millis(100));
    let before = tries(place.path());
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(tries(place.path()), before);
}
