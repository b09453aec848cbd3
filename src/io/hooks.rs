//! The program that is told of each change of role, with keepalived's arguments: `INSTANCE name STATE priority`.
//!
//! One at a time and in order, so that a script never sees the end of a state before its beginning. It comes last in every
//! transition: nothing the node does waits for it. A program that hangs is killed with everything it started, and the next one runs.
//!
//! What if this thread dies? Roles change as before; scripts are not told, and the log says so.

use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use super::mailbox::{Outbox, Received, mailbox};
use super::program;
use crate::wire::Role;

/// Most changes of role that wait for a script. More mean that roles flap faster than it runs.
const WAITING_MAX: usize = 16;

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookSpec {
    /// Program and its first arguments; ours follow.
    pub argv: Vec<String>,
    /// Killed after this long.
    pub limit: Duration,
    /// keepalived's priority: the greater is preferred.
    pub priority: u8,
}

/// A change of role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The new role.
    pub role: Role,
    /// Epoch it holds in.
    pub epoch: u64,
}

/// Starts the thread; `report` hears how each run ended.
///
/// # Errors
/// No thread.
pub fn start(
    spec: HookSpec,
    mut report: impl FnMut(Transition, Result<(), String>) + Send + 'static,
) -> io::Result<(Outbox<Transition>, JoinHandle<()>)> {
    let (sender, receiver) = mailbox(WAITING_MAX);
    let thread = std::thread::Builder::new()
        .name("fp-hooks".to_owned())
        .spawn(move || {
            while let Received::Item(transition) = receiver.take_by(None, |_| 0) {
                report(transition, run(&spec, transition));
            }
        })?;
    Ok((Outbox::new(sender), thread))
}

/// keepalived's word for a role.
const fn state(role: Role) -> &'static str {
    match role {
        Role::Active => "MASTER",
        Role::Backup => "BACKUP",
        Role::Fault => "FAULT",
        Role::Init => "STOP",
    }
}

fn run(spec: &HookSpec, transition: Transition) -> Result<(), String> {
    let priority = spec.priority.to_string();
    let epoch = transition.epoch.to_string();
    let mut argv: Vec<&str> = spec.argv.iter().map(String::as_str).collect();
    argv.extend(["INSTANCE", "fencepost", state(transition.role), &priority]);
    let variables = [("FENCEPOST_EPOCH", epoch.as_str())];
    program::run(&argv, &variables, spec.limit, || false).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn shell(script: &str, limit: Duration) -> HookSpec {
        let argv = ["sh", "-c", script, "notify"].map(str::to_owned).to_vec();
        HookSpec {
            argv,
            limit,
            priority: 150,
        }
    }

    fn outcomes(spec: HookSpec, roles: &[Role]) -> Vec<(Transition, Result<(), String>)> {
        let (sender, heard) = channel();
        let (mut hooks, thread) = start(spec, move |transition, outcome| {
            let _gone = sender.send((transition, outcome));
        })
        .unwrap();
        for (role, epoch) in roles.iter().zip(1..) {
            let role = *role;
            hooks.push(Transition { role, epoch }).unwrap();
        }
        let told = roles.iter().map(|_| heard.recv_timeout(LONG).unwrap());
        let told = told.collect();
        drop(hooks);
        thread.join().unwrap();
        told
    }

    #[test]
    fn scripts_for_keepalived_are_told_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        // The first run takes longer than the second: it must still be first.
        let script = format!(
            "[ $3 = MASTER ] && sleep 0.2; echo \"$* $FENCEPOST_EPOCH\" >> {}",
            log.display()
        );
        let told = outcomes(shell(&script, LONG), &[Role::Active, Role::Backup]);
        assert!(told.iter().all(|(_, outcome)| outcome.is_ok()), "{told:?}");
        let log = std::fs::read_to_string(log).unwrap();
        assert_eq!(
            log,
            "INSTANCE fencepost MASTER 150 1\nINSTANCE fencepost BACKUP 150 2\n"
        );
    }

    #[test]
    fn a_script_that_hangs_is_killed_and_the_next_one_runs() {
        let script = "[ $3 = MASTER ] && sleep 600; exit 0";
        let told = outcomes(
            shell(script, Duration::from_millis(200)),
            &[Role::Active, Role::Backup],
        );
        let first = told[0].1.as_ref().unwrap_err();
        assert!(first.contains("longer than 200 ms"), "{first}");
        assert_eq!(told[1].1, Ok(()));
    }

    #[test]
    fn a_script_that_fails_or_is_not_there_is_told() {
        let told = outcomes(shell("exit 3", LONG), &[Role::Backup]);
        assert_eq!(told[0].1, Err("sh ended with exit status: 3".to_owned()));
        let mut absent = shell("", LONG);
        absent.argv = vec!["/nonexistent/notify".to_owned()];
        let told = outcomes(absent, &[Role::Backup]);
        let error = told[0].1.as_ref().unwrap_err();
        assert!(
            error.contains("/nonexistent/notify is not installed"),
            "{error}"
        );
    }
}
