//! A change and its undoing while the Backup is away, then a switchover: nobody has anything that the other lacks.

use super::*;

/// Changes something, and undoes it; between the two, the Active publishes.
type Change = fn(&Path, bool);

fn content(path: &Path, other: bool) {
    fs::write(path, if other { "other" } else { "file 1" }).unwrap();
}

fn mode(path: &Path, other: bool) {
    let mode = if other { 0o600 } else { 0o644 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn time(path: &Path, other: bool) {
    let seconds = if other { 1_000_000 } else { 2_000_000 };
    let time = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(time).unwrap();
}

#[test]
fn a_switchover_after_it_is_no_split_brain() {
    let mut pair = Pair::settled(Hooks::default());
    fs::set_permissions(pair.a.at("app/f1"), fs::Permissions::from_mode(0o644)).unwrap();
    time(&pair.a.at("app/f1"), false);
    let mut epoch = 1;
    for change in [content as Change, mode, time] {
        pair.until_same();
        pair.b.kill();
        let file = pair.a.at("app/f1");
        for other in [true, false] {
            let before = pair.a.generation();
            change(&file, other);
            wait("a generation", || pair.a.generation() > before);
        }
        pair.b.start();
        pair.until_same();
        wait("the commits", || pair.a.generation() == pair.b.generation());
        epoch += 1;
        pair.a.agent.says(BACKUP(epoch));
        pair.b.agent.says(ACTIVE(epoch));
        wait("b to serve", || pair.b.serves());
        fs::write(pair.b.at("app/owner"), format!("b, {epoch}")).unwrap();
        pair.until_same();
        epoch += 1;
        pair.a.agent.says(ACTIVE(epoch));
        pair.b.agent.says(BACKUP(epoch));
        wait("a to serve", || pair.a.serves());
    }
}
