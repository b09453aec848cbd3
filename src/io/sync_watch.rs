//! How the sync service is: asked at its socket twice a second, on a thread of its own.
//!
//! What if the service is not there, hangs, or this thread hangs with it? Nothing is told then, or why; what was told ages
//! in the node until nothing is known. The control thread never waits for any of it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use fencepost_sync::client::{Client, ClientError};
use fencepost_sync::control::{Answer, Report, Request};
use fencepost_sync::digest::{Digest, Domain};
use fencepost_sync::session::{CategoryStatus, State};

use crate::node::pair::SyncNews;
use crate::node::pair::sync::{CategoryNews, NO_ROOT, Root, SyncState};
use crate::wire::SYNC_ROOTS_MAX;

/// The service is asked this often.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// A service that takes longer for an answer is as good as gone.
const PATIENCE: Duration = Duration::from_secs(1);

/// Starts the thread; it ends with the process.
///
/// # Errors
/// No thread.
pub fn start(
    socket: PathBuf,
    mut tell: impl FnMut(Result<SyncNews, String>) + Send + 'static,
) -> io::Result<()> {
    std::thread::Builder::new()
        .name("fp-sync".to_owned())
        .stack_size(256 * 1024)
        .spawn(move || {
            let mut client = None;
            loop {
                let asked = ask(&mut client, &socket);
                if asked.is_err() {
                    client = None;
                }
                tell(asked.map_err(|error| error.to_string()));
                std::thread::sleep(ASK_EVERY);
            }
        })?;
    Ok(())
}

/// Over the connection that is there, or a new one.
fn ask(client: &mut Option<Client>, socket: &std::path::Path) -> Result<SyncNews, ClientError> {
    let client = match client {
        Some(client) => client,
        None => {
            let new = Client::connect(socket)?;
            new.patience(PATIENCE)?;
            client.insert(new)
        }
    };
    let mut news = SyncNews::default();
    client.ask(Request::Status, |answer| {
        if let Answer::Status(report) = answer {
            news = understand(&report);
        }
    })?;
    Ok(news)
}

/// Sorted by name, so that both nodes count alike; from the eighth on, categories share a root.
fn understand(report: &Report) -> SyncNews {
    let mut sorted: Vec<&CategoryStatus> = report.categories.iter().collect();
    sorted.sort_by_key(|one| one.id.as_str());
    let alone = match sorted.len() {
        all @ ..=SYNC_ROOTS_MAX => all,
        _ => SYNC_ROOTS_MAX - 1,
    };
    let (single, shared) = sorted.split_at(alone);
    let mut roots: Vec<Root> = single.iter().map(|one| root(one)).collect();
    if !shared.is_empty() {
        roots.push(shared_root(shared));
    }
    let categories = sorted.iter().enumerate().map(|(at, one)| CategoryNews {
        name: one.id.as_str().to_owned(),
        slot: at.min(alone),
        state: state(&one.state),
    });
    SyncNews {
        categories: categories.collect(),
        roots,
    }
}

fn root(one: &CategoryStatus) -> Root {
    let digest = one.root.as_ref();
    let digest = digest.and_then(|text| Digest::from_hex(text.as_bytes()));
    digest.map_or(NO_ROOT, |digest| *digest.as_bytes())
}

/// Known only if each of them is.
fn shared_root(shared: &[&CategoryStatus]) -> Root {
    let roots: Vec<Root> = shared.iter().map(|one| root(one)).collect();
    if roots.contains(&NO_ROOT) {
        return NO_ROOT;
    }
    *Digest::of(Domain::Node, &roots.concat()).as_bytes()
}

fn state(state: &State) -> SyncState {
    match state {
        State::InSync { verified_ms_ago } => SyncState::InSync {
            verified_ms_ago: *verified_ms_ago,
        },
        State::Syncing { .. } => SyncState::Not("a change is on its way".to_owned()),
        State::OutOfSync { details, .. } => SyncState::Not(details.clone()),
        State::Unknown { .. } => SyncState::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixListener;
    use std::sync::mpsc::channel;

    use fencepost_sync::category_id::CategoryId;
    use fencepost_sync::control::ReplyLine;

    use super::*;

    fn status(name: &str, state: State, byte: Option<u8>) -> CategoryStatus {
        CategoryStatus {
            id: CategoryId::new(name).unwrap(),
            state,
            entries: 1,
            bytes: 1,
            generation: None,
            root: byte.map(|byte| Digest::from_bytes([byte; 32]).to_string()),
        }
    }

    fn unknown() -> State {
        State::Unknown { for_ms: 3 }
    }

    fn report(categories: Vec<CategoryStatus>) -> Report {
        Report {
            categories,
            ..Report::default()
        }
    }

    #[test]
    fn roots_are_in_the_order_of_names_whatever_the_priorities() {
        let verified_ms_ago = 20;
        let same = State::InSync { verified_ms_ago };
        let news = understand(&report(vec![
            status("vpn", same, Some(2)),
            status("firewall", unknown(), Some(1)),
        ]));
        assert_eq!(news.roots, [[1; 32], [2; 32]]);
        let vpn = CategoryNews {
            name: "vpn".to_owned(),
            slot: 1,
            state: SyncState::InSync { verified_ms_ago },
        };
        assert_eq!(news.categories[1], vpn);
        assert_eq!(news.categories[0].state, SyncState::Unknown);
    }

    #[test]
    fn what_was_not_read_has_no_root() {
        let news = understand(&report(vec![status("vpn", unknown(), None)]));
        assert_eq!(news.roots, [NO_ROOT]);
    }

    #[test]
    fn more_categories_than_roots_share_the_last_one() {
        let many = |last: Option<u8>| {
            let all = (0..10_u8).map(|number| {
                let byte = if number == 9 { last } else { Some(number + 1) };
                status(&format!("c{number}"), unknown(), byte)
            });
            understand(&report(all.collect()))
        };
        let (one, other) = (many(Some(10)), many(Some(11)));
        assert_eq!(one.roots.len(), SYNC_ROOTS_MAX);
        assert_eq!(one.roots[..7], other.roots[..7]);
        assert_ne!(one.roots[7], other.roots[7]);
        assert_eq!(one.categories[9].slot, 7);
        assert_eq!(many(None).roots[7], NO_ROOT);
    }

    #[test]
    fn the_service_is_asked_again_and_again_and_its_absence_told() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("control.sock");
        let (sender, told) = channel();
        start(socket.clone(), move |news| drop(sender.send(news))).unwrap();
        let absent = told.recv().unwrap().unwrap_err();
        assert!(absent.contains("no sync service is running"), "{absent}");
        let listener = UnixListener::bind(&socket).unwrap();
        let service = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            for _ in 0..2 {
                let asked = lines.next().unwrap().unwrap();
                assert_eq!(asked, r#"{"request":"status"}"#);
                let report = report(vec![status("vpn", unknown(), Some(5))]);
                let reply = serde_json::to_string(&ReplyLine::Ok(Answer::Status(report)));
                writeln!(&stream, "{}", reply.unwrap()).unwrap();
            }
        });
        let heard = told.iter().filter_map(Result::ok).take(2);
        assert_eq!(heard.map(|news| news.roots).last().unwrap(), [[5; 32]]);
        service.join().unwrap();
        assert!(told.iter().any(|news| news.is_err()), "it hung up");
    }
}
