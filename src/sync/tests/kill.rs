//! Two sync services as processes of their own, one of them killed at a random moment under load, again and again. After each
//! recovery the Backup's tree is one generation, whole, and none before the last that was acknowledged.
//!
//! `SYNC_KILL_ROUNDS` says how often (20), `SYNC_KILL_SEED` which moments.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[path = "kill/node.rs"]
mod node;
#[path = "kill/tree.rs"]
mod tree;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fencepost_sync::session::State;
use node::{Node, Role};

/// For what must happen; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(90);
/// A service lives this long under load, at most.
const LIFE_MS_MAX: u64 = 600;
/// How long the writer waits for every other generation to be acknowledged; the next one follows at once.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_millis(300);

/// The process that is killed; see [`node`].
#[test]
#[ignore = "run as a process by the test below"]
fn service() {
    node::serve();
}

#[test]
fn a_kill_at_any_moment_leaves_one_whole_generation() {
    let number = |name: &str, else_: u64| {
        let words = std::env::var(name).ok();
        words.map_or(else_, |words| words.parse().unwrap())
    };
    let (rounds, seed) = (number("SYNC_KILL_ROUNDS", 20), number("SYNC_KILL_SEED", 1));
    let mut trial = Trial::begin(seed);
    for round in 1..=rounds {
        trial.round(round);
    }
    let Counts {
        senders,
        receivers,
        acknowledged,
        behind,
    } = trial.counts;
    println!(
        "{rounds} rounds: {senders} senders and {receivers} receivers killed; of {} generations {acknowledged} seen \
         acknowledged; the backup was behind {behind} times when it was looked at; never mixed, nothing acknowledged lost",
        trial.written
    );
    assert_eq!(senders + receivers, rounds);
    assert!(acknowledged > 0, "nothing was ever acknowledged");
}

#[derive(Default)]
struct Counts {
    senders: u64,
    receivers: u64,
    acknowledged: u64,
    behind: u64,
}

struct Trial {
    _place: tempfile::TempDir,
    sender: Node,
    receiver: Node,
    random: u64,
    /// The newest generation that is whole on the sender.
    written: u64,
    counts: Counts,
}

impl Trial {
    fn begin(seed: u64) -> Self {
        let place = tempfile::tempdir().unwrap();
        let (mut sender, mut receiver) = node::pair(place.path());
        tree::write(&sender.tree(), 1);
        receiver.start(Role::Backup);
        sender.start(Role::Active);
        Self {
            _place: place,
            sender,
            receiver,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            written: 1,
            counts: Counts::default(),
        }
    }

    fn round(&mut self, round: u64) {
        self.until_same(round);
        let writer = Writer::start(&self.sender, self.written);
        std::thread::sleep(Duration::from_millis(self.below(LIFE_MS_MAX)));
        let receiver = self.below(2) == 0;
        if receiver {
            self.counts.receivers += 1;
            self.receiver.kill();
        } else {
            self.counts.senders += 1;
            self.sender.kill();
        }
        // The other goes on for a while.
        std::thread::sleep(Duration::from_millis(self.below(50)));
        let (written, acknowledged, count) = writer.stop();
        self.written = written;
        self.counts.acknowledged += count;
        if receiver {
            // Alone, so that nothing comes but its own recovery.
            self.sender.kill();
            self.receiver.start(Role::Backup);
            let found = tree::generation(&self.receiver.tree());
            self.judge(round, found, acknowledged);
            self.sender.start(Role::Active);
        } else {
            let mut found = Err(String::new());
            // A commit whose sender has died is finished all the same.
            wait("a whole tree on the receiver", || {
                found = tree::generation(&self.receiver.tree());
                found.is_ok()
            });
            self.judge(round, found, acknowledged);
            self.sender.start(Role::Active);
        }
    }

    fn judge(&mut self, round: u64, found: Result<u64, String>, acknowledged: u64) {
        let found = found.unwrap_or_else(|mixed| panic!("round {round}: a mixed tree: {mixed}"));
        assert!(
            found >= acknowledged,
            "round {round}: generation {acknowledged} was acknowledged, {found} is there"
        );
        assert!(
            found <= self.written,
            "round {round}: {found} was never written"
        );
        self.counts.behind += u64::from(found < self.written);
    }

    fn until_same(&mut self, round: u64) {
        let written = self.written;
        wait(&format!("round {round}: equal trees"), || {
            tree::generation(&self.receiver.tree()) == Ok(written)
        });
        let in_sync = |node: &Node| matches!(node.state(), Some((State::InSync { .. }, _)));
        wait(&format!("round {round}: in sync"), || {
            in_sync(&self.sender) && in_sync(&self.receiver)
        });
        assert_eq!(tree::generation(&self.sender.tree()), Ok(written));
    }

    /// Less than `bound`, by xorshift.
    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % bound
    }
}

/// Saves one generation after the other, each as one change.
struct Writer {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    thread: JoinHandle<(u64, u64)>,
}

impl Writer {
    fn start(sender: &Node, mut written: u64) -> Self {
        let (stop, acknowledged) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let (stopped, seen) = (Arc::clone(&stop), Arc::clone(&acknowledged));
        let door = sender.door();
        let thread = std::thread::spawn(move || {
            let mut count = 0;
            while !stopped.load(Ordering::SeqCst) {
                let Some((_, before)) = door.state() else {
                    break;
                };
                if !door.begin() {
                    break;
                }
                written += 1;
                // To its end, even if the service dies meanwhile: what is mixed here would rightly be mixed there.
                tree::write(&door.tree, written);
                if !door.commit() {
                    break;
                }
                let until = Instant::now() + ACKNOWLEDGED_WITHIN;
                while written.is_multiple_of(2) && Instant::now() < until {
                    if let Some((State::InSync { .. }, generation)) = door.state()
                        && generation > before
                    {
                        seen.store(written, Ordering::SeqCst);
                        count += 1;
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            (written, count)
        });
        Self {
            stop,
            acknowledged,
            thread,
        }
    }

    /// The last generation written, the last that was acknowledged, and how many were.
    fn stop(self) -> (u64, u64, u64) {
        self.stop.store(true, Ordering::SeqCst);
        let (written, count) = self.thread.join().unwrap();
        (written, self.acknowledged.load(Ordering::SeqCst), count)
    }
}

#[track_caller]
fn wait(what: &str, mut ready: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !ready() {
        assert!(Instant::now() < until, "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}
