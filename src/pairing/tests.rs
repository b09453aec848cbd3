//! Pairings over loopback, with somebody in between.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;

use super::*;
use crate::config::pair::parse_keys;
use crate::wire::KeyRing;

/// Bytes of the joiner's and of the inviter's messages, in order.
const JOINER_SAYS: [usize; 4] = [35, 32, 32, 32];
const INVITER_SAYS: [usize; 3] = [34, 33, 33];

/// Two nodes' key files.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, node: &str) -> PathBuf {
        self.folder.path().join(node)
    }

    fn store(&self, node: &str) -> Store {
        Store::new(&self.path(node))
    }

    fn keys(&self, node: &str) -> Option<KeyRing> {
        let text = std::fs::read_to_string(self.path(node)).ok()?;
        Some(parse_keys(node, &text).unwrap())
    }

    fn invite(&self, terms: Terms) -> Guest {
        let code = Code::parse("AAAA-BBBB").unwrap();
        let here = "127.0.0.1:0".parse().unwrap();
        let invitation = Invitation::open(here, code, terms, self.store("one")).unwrap();
        let address = invitation.address().unwrap();
        let (tell, told) = mpsc::channel();
        let waits =
            thread::spawn(move || invitation.wait(|error| tell.send(error.to_string()).unwrap()));
        Guest {
            address,
            told,
            waits,
        }
    }

    fn join(&self, address: SocketAddr, code: &str, terms: Terms) -> Result<(), PairingError> {
        join(
            address,
            &Code::parse(code).unwrap(),
            terms,
            &self.store("other"),
        )
    }
}

struct Guest {
    address: SocketAddr,
    told: mpsc::Receiver<String>,
    waits: thread::JoinHandle<Result<SocketAddr, PairingError>>,
}

impl Guest {
    fn ended(self) -> Result<SocketAddr, PairingError> {
        self.waits.join().unwrap()
    }
}

#[test]
fn both_end_with_the_same_key() {
    let place = Place::new();
    let guest = place.invite(Terms::New);
    place.join(guest.address, "aaaa bbbb", Terms::New).unwrap();
    guest.ended().unwrap();
    let (one, other) = (place.keys("one").unwrap(), place.keys("other").unwrap());
    assert_eq!(one, other);
    assert_eq!(one.ids().len(), 1);
    for node in ["one", "other"] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(place.path(node))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!place.store(node).unfinished());
    }
    assert_eq!(
        std::fs::read_dir(place.folder.path()).unwrap().count(),
        2,
        "nothing is left lying about"
    );
}

#[test]
fn a_change_of_keys_adds_one_and_keeps_the_old() {
    let place = Place::new();
    let guest = place.invite(Terms::New);
    place.join(guest.address, "AAAABBBB", Terms::New).unwrap();
    guest.ended().unwrap();
    let before = place.keys("one").unwrap();
    let guest = place.invite(Terms::Add);
    place.join(guest.address, "AAAABBBB", Terms::Add).unwrap();
    guest.ended().unwrap();
    let after = place.keys("one").unwrap();
    assert_eq!(after, place.keys("other").unwrap());
    assert_eq!(after.ids().next(), before.ids().next());
    assert_eq!(after.ids().len(), 2);
    assert_ne!(after.newest(), before.newest());
}

#[test]
fn wrong_codes_are_counted_and_three_void_the_invitation() {
    let place = Place::new();
    let guest = place.invite(Terms::New);
    for _ in 0..TRIES {
        let error = place
            .join(guest.address, "AAAABBBC", Terms::New)
            .unwrap_err();
        assert!(matches!(error, PairingError::WrongCode), "{error}");
    }
    assert_eq!(guest.told.iter().count(), 2, "the third ends it");
    assert!(matches!(guest.ended(), Err(PairingError::TooManyTries)));
    assert_eq!(
        std::fs::read_dir(place.folder.path()).unwrap().count(),
        0,
        "nothing was written"
    );
}

#[test]
fn a_wrong_code_does_not_spoil_a_right_one() {
    let place = Place::new();
    let guest = place.invite(Terms::New);
    place
        .join(guest.address, "AAAABBBC", Terms::New)
        .unwrap_err();
    place.join(guest.address, "AAAABBBB", Terms::New).unwrap();
    guest.ended().unwrap();
    assert_eq!(place.keys("one"), place.keys("other"));
}

#[test]
fn other_terms_are_named_and_cost_no_try() {
    let place = Place::new();
    let guest = place.invite(Terms::New);
    for _ in 0..=TRIES {
        let error = place
            .join(guest.address, "AAAABBBB", Terms::Add)
            .unwrap_err();
        assert!(matches!(error, PairingError::Terms), "{error}");
    }
    place.join(guest.address, "AAAABBBB", Terms::New).unwrap();
    guest.ended().unwrap();
}

/// Stands between the two and passes so many messages on; `None` of a side is all of them.
struct Between {
    address: SocketAddr,
    heard: thread::JoinHandle<Vec<u8>>,
}

impl Between {
    fn new(inviter: SocketAddr, messages: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heard = thread::spawn(move || {
            let (mut joiner, _) = listener.accept().unwrap();
            let mut inviter = TcpStream::connect(inviter).unwrap();
            let mut heard = Vec::new();
            for number in 0..messages {
                let (from, to, bytes) = if number % 2 == 0 {
                    (&mut joiner, &mut inviter, JOINER_SAYS[number / 2])
                } else {
                    (&mut inviter, &mut joiner, INVITER_SAYS[number / 2])
                };
                let mut message = vec![0; bytes];
                from.read_exact(&mut message).unwrap();
                to.write_all(&message).unwrap();
                if number % 2 == 0 {
                    heard.extend(message);
                }
            }
            heard
        });
        Self { address, heard }
    }
}

#[test]
fn a_cut_in_any_message_is_said_and_repaired_by_running_it_again() {
    for messages in 0..JOINER_SAYS.len() + INVITER_SAYS.len() {
        let place = Place::new();
        let guest = place.invite(Terms::New);
        let between = Between::new(guest.address, messages);
        let joined = place.join(between.address, "AAAABBBB", Terms::New);
        between.heard.join().unwrap();
        // Only the joiner's last word may be lost without its knowing.
        assert_eq!(
            joined.is_ok(),
            messages == 6,
            "after {messages}: {joined:?}"
        );
        let inviter_has_it = messages > 4;
        let guest = if inviter_has_it {
            assert!(
                matches!(guest.ended(), Err(PairingError::Cut { .. })),
                "after {messages}"
            );
            assert!(place.store("one").unfinished());
            place.store("one").must_be_free().unwrap();
            place.invite(Terms::New)
        } else {
            assert_eq!(place.keys("one"), None, "after {messages}");
            guest
        };
        assert_eq!(place.keys("other").is_some(), messages == 6);
        if messages == 6 {
            // Both have it, and the same: the joiner is not to be talked out of it.
            assert_eq!(place.keys("one"), place.keys("other"));
            assert!(place.store("other").must_be_free().is_err());
            continue;
        }
        place.store("other").must_be_free().unwrap();
        place.join(guest.address, "AAAABBBB", Terms::New).unwrap();
        guest.ended().unwrap();
        assert_eq!(place.keys("one"), place.keys("other"), "after {messages}");
        assert!(place.keys("one").is_some());
        assert!(!place.store("one").unfinished());
    }
}

#[test]
fn a_recorded_pairing_is_worth_nothing() {
    let place = Place::new();
    let guest = place.invite(Terms::New);
    let between = Between::new(guest.address, 7);
    place.join(between.address, "AAAABBBB", Terms::New).unwrap();
    let recorded = between.heard.join().unwrap();
    guest.ended().unwrap();
    let before = place.keys("one");

    let guest = place.invite(Terms::New);
    for _ in 0..TRIES {
        let mut replay = TcpStream::connect(guest.address).unwrap();
        replay.write_all(&recorded).unwrap();
        let mut answer = Vec::new();
        let _reset = replay.read_to_end(&mut answer);
        assert!(
            answer.len() <= INVITER_SAYS[0] + 1,
            "it got further than its share"
        );
    }
    assert!(matches!(guest.ended(), Err(PairingError::TooManyTries)));
    assert_eq!(place.keys("one"), before);
}

#[test]
fn rubbish_costs_no_try_and_changes_nothing() {
    let place = Place::new();
    let guest = place.invite(Terms::New);
    for rubbish in [
        &b"GET / HTTP/1.1\r\nHost: fencepost.example\r\n\r\n"[..],
        &[1, 1, 0xFF],
        &[],
    ] {
        let mut stranger = TcpStream::connect(guest.address).unwrap();
        stranger.write_all(rubbish).unwrap();
    }
    place.join(guest.address, "AAAABBBB", Terms::New).unwrap();
    guest.ended().unwrap();
}
