//! What people ask for at the socket.

use super::*;

#[test]
fn commands_do_what_they_say() {
    let pair = Pair::settled(Hooks::default());
    let config = || Some(CategoryId::new("config").unwrap());
    let now = |full| Request::Now {
        category: config(),
        full,
        deletions: false,
        overwrite: false,
    };
    for full in [false, true] {
        let done = pair.a.ask(now(full)).unwrap();
        assert!(matches!(done.last(), Some(Answer::Done(_))), "{done:?}");
    }
    let refused = pair.b.ask(now(false)).unwrap_err().to_string();
    assert!(refused.contains("this node is Backup"), "{refused}");
    let verified = pair.a.ask(Request::Verify).unwrap();
    assert!(
        matches!(verified.last(), Some(Answer::Status(_))),
        "{verified:?}"
    );

    // A save of many files is one generation, and travels when it is complete.
    pair.a.ask(Request::Begin { category: None }).unwrap();
    fs::write(pair.a.at("app/f1"), "first of two").unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(fs::read(pair.b.at("app/f1")).unwrap(), b"file 1");
    fs::write(pair.a.at("app/f2"), "second of two").unwrap();
    pair.a.ask(Request::Commit { category: None }).unwrap();
    pair.until_same();
    let id = CategoryId::new("config").unwrap();
    let Some(Answer::History(kept)) = pair
        .a
        .ask(Request::History {
            category: id.clone(),
        })
        .unwrap()
        .pop()
    else {
        panic!("no history");
    };
    assert_eq!(kept[0].changes, 2, "{kept:?}");

    // And back: by the node that holds what was overwritten, once its data counts.
    let rollback = |generation| Request::Rollback {
        category: id.clone(),
        generation,
    };
    let refused = pair
        .a
        .ask(rollback(kept[1].number))
        .unwrap_err()
        .to_string();
    assert!(refused.contains("switch over"), "{refused}");
    pair.a.agent.says(BACKUP(2));
    pair.b.agent.says(ACTIVE(2));
    wait("b to serve", || pair.b.serves());
    let history = Request::History {
        category: id.clone(),
    };
    let Some(Answer::History(kept)) = pair.b.ask(history).unwrap().pop() else {
        panic!("no history");
    };
    let before = kept
        .iter()
        .skip_while(|one| one.changes != 2)
        .nth(1)
        .unwrap();
    pair.b.ask(rollback(before.number)).unwrap();
    pair.until_same();
    assert_eq!(fs::read(pair.a.at("app/f1")).unwrap(), b"file 1");
    pair.a.agent.says(ACTIVE(3));
    pair.b.agent.says(BACKUP(3));
    wait("a to serve", || pair.a.serves());

    let shown = pair
        .a
        .ask(Request::Diff {
            category: None,
            full: false,
        })
        .unwrap();
    let Some(Answer::Differences {
        count: 0,
        last: true,
        ..
    }) = shown.last()
    else {
        panic!("{shown:?}");
    };
}
