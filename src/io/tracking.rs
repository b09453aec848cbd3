//! Connection tracking moves with the role: conntrackd's own client, told at the right moments.
//!
//! What conntrackd does at a change of role is what its documentation's primary/backup script does, in the same order. Before the
//! vips are held its copy of the peer's connections is committed to the kernel (`-c`), within a limit: a takeover waits for it no longer
//! than that. Everything else comes after the change, on a thread of its own: the new Active drops its copies and sends its own table
//! to the peer (`-f`, `-R`, `-B`); who became Backup shortens the timers of what it tracked and asks for the Active's (`-t`, `-n`).
//!
//! What if conntrackd is not there, or hangs? The vips move as before, and connections that need tracking start anew. That it is not
//! installed is said once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::mailbox::{Outbox, Received, mailbox};
use super::program::{self, RunError};
use crate::wire::Role;

/// Most changes of role that wait.
const WAITING_MAX: usize = 16;
/// For each step after the change; nothing waits for it.
const LIMIT_AFTER: Duration = Duration::from_secs(10);

/// How a step is told: `None` for one that was skipped and said before.
type Outcome = Option<Result<(), String>>;

/// conntrackd's client.
#[derive(Debug, Clone)]
pub struct Tracker {
    client: String,
    /// For the commit.
    limit: Duration,
    /// For each step after the change.
    limit_after: Duration,
    absence_told: Arc<AtomicBool>,
}

impl Tracker {
    /// With this limit for the commit.
    pub fn new(limit: Duration) -> Self {
        Self {
            client: "conntrackd".to_owned(),
            limit,
            limit_after: LIMIT_AFTER,
            absence_told: Arc::default(),
        }
    }

    /// Commit the peer's connections to the kernel, before this node serves. Takes no longer than the limit.
    pub fn commit(&self) -> Outcome {
        self.step("-c", self.limit)
    }

    /// Starts the thread for what comes after a change of role; `report` hears of steps that failed.
    ///
    /// # Errors
    /// No thread.
    pub fn start(
        self,
        mut report: impl FnMut(String) + Send + 'static,
    ) -> io::Result<(Outbox<Role>, JoinHandle<()>)> {
        let (sender, roles) = mailbox(WAITING_MAX);
        let thread = std::thread::Builder::new()
            .name("fp-tracking".to_owned())
            .spawn(move || {
                while let Received::Item(role) = roles.take(None) {
                    for step in after(role) {
                        if let Some(Err(error)) = self.step(step, self.limit_after) {
                            report(error);
                        }
                    }
                }
            })?;
        Ok((Outbox::new(sender), thread))
    }

    fn step(&self, step: &str, limit: Duration) -> Outcome {
        match program::run(&[&self.client, step], &[], limit, || false) {
            Ok(()) => Some(Ok(())),
            Err(error @ RunError::Absent(_)) => {
                let told = self.absence_told.swap(true, Ordering::Relaxed);
                let text = format!("{error}: install conntrackd, or leave it out of [pair]");
                (!told).then_some(Err(text))
            }
            Err(error) => Some(Err(format!("step {step}: {error}"))),
        }
    }
}

/// What is due once the role has changed, in order.
const fn after(role: Role) -> &'static [&'static str] {
    match role {
        Role::Active => &["-f", "-R", "-B"],
        Role::Backup | Role::Fault => &["-t", "-n"],
        Role::Init => &[],
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc::channel;
    use std::time::Instant;

    use super::*;
    use crate::io::stand_in;

    const LONG: Duration = Duration::from_secs(60);

    /// A client that writes down its steps; what `script` says comes first.
    fn tracker(folder: &tempfile::TempDir, script: &str, limit: Duration) -> Tracker {
        let path = folder.path().join("conntrackd");
        let log = folder.path().join("log");
        let text = format!(
            "#!/bin/sh\n{script}\nprintf '%s\\n' $1 >> {}\n",
            log.display()
        );
        stand_in::write(&path, &text);
        Tracker {
            client: path.to_string_lossy().into_owned(),
            // As long as a busy machine needs for a shell.
            limit_after: LONG,
            ..Tracker::new(limit)
        }
    }

    #[test]
    fn steps_come_in_the_documented_order() {
        let folder = tempfile::tempdir().unwrap();
        let tracker = tracker(&folder, "", LONG);
        assert_eq!(tracker.commit(), Some(Ok(())));
        let (mut roles, thread) = tracker.start(|error| panic!("{error}")).unwrap();
        roles.push(Role::Active).unwrap();
        roles.push(Role::Backup).unwrap();
        drop(roles);
        thread.join().unwrap();
        let log = fs::read_to_string(folder.path().join("log")).unwrap();
        assert_eq!(log, "-c\n-f\n-R\n-B\n-t\n-n\n");
    }

    #[test]
    fn a_commit_that_hangs_is_given_up_at_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let tracker = tracker(&folder, "sleep 600", Duration::from_millis(50));
        let begun = Instant::now();
        let error = tracker.commit().unwrap().unwrap_err();
        assert!(error.contains("took longer than 50 ms"), "{error}");
        assert!(begun.elapsed() < LONG);
    }

    #[test]
    fn a_step_that_fails_is_told_and_the_next_ones_follow() {
        let folder = tempfile::tempdir().unwrap();
        let tracker = tracker(&folder, "[ $1 = -f ] && exit 1", LONG);
        let (sender, told) = channel();
        let report = move |error| {
            let _gone = sender.send(error);
        };
        let (mut roles, thread) = tracker.start(report).unwrap();
        roles.push(Role::Active).unwrap();
        drop(roles);
        thread.join().unwrap();
        let told: Vec<String> = told.try_iter().collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("step -f: "), "{told:?}");
        let log = fs::read_to_string(folder.path().join("log")).unwrap();
        assert_eq!(log, "-R\n-B\n");
    }

    #[test]
    fn that_it_is_not_installed_is_said_once() {
        let absent = Tracker {
            client: "/nonexistent/conntrackd".to_owned(),
            ..Tracker::new(LONG)
        };
        let error = absent.commit().unwrap().unwrap_err();
        assert!(error.contains("is not installed"), "{error}");
        assert_eq!(absent.commit(), None);
        assert_eq!(absent.clone().commit(), None);
    }
}
