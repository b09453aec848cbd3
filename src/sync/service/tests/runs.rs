//! Commands by name, over a real connection.

use super::{BACKUP, Node, PATIENCE, Pair, wait};
use crate::activation::{Activation, Ended, On};
use crate::category::Hooks;
use crate::client::ClientError;
use crate::control::{Answer, Request};
use crate::hooks::Hook;

pub(super) fn activations() -> Vec<Activation> {
    let one = |name: &str, script: &str, on| Activation {
        name: name.to_owned(),
        hook: Hook {
            argv: ["/bin/sh", "-c", script].map(str::to_owned).into(),
            limit: PATIENCE,
        },
        on,
    };
    vec![
        one("fails", "echo no such table; exit 3", On::Backup),
        one("both", "echo $FENCEPOST_HOOK", On::Both),
        one("both-fail", "exit 4", On::Both),
        one("waits", "sleep 3", On::Backup),
    ]
}

fn run_by_name(node: &Node, name: &str) -> Result<(Option<Ended>, Option<Ended>), ClientError> {
    let name = name.to_owned();
    match node.ask(Request::Run { name })?.pop() {
        Some(Answer::Ran { here, backup }) => Ok((here, backup)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_command_runs_on_the_backup_by_name() {
    let pair = Pair::settled(Hooks::default());
    let ended = |code, output: &str| {
        let output = output.to_owned();
        Some(Ended { code, output })
    };
    let fails = run_by_name(&pair.a, "fails").unwrap();
    assert_eq!(fails, (None, ended(3, "no such table")));
    let both = run_by_name(&pair.a, "both").unwrap();
    assert_eq!(both, (ended(0, "activate"), ended(0, "activate")));
    // Failed here, not ordered there.
    let both = run_by_name(&pair.a, "both-fail").unwrap();
    assert_eq!(both, (ended(4, ""), None));
    let unknown = run_by_name(&pair.a, "nonsense").unwrap_err().to_string();
    assert_eq!(
        unknown,
        "no activation `nonsense`; configured here: fails, both, both-fail, waits"
    );
    let backup = run_by_name(&pair.b, "fails").unwrap_err().to_string();
    assert!(backup.contains("this node is Backup"), "{backup}");
}

#[test]
fn commands_run_one_at_a_time() {
    let pair = Pair::settled(Hooks::default());
    std::thread::scope(|scope| {
        // Whichever is first: the long one is asked for until it ran.
        let first = scope.spawn(|| {
            loop {
                match run_by_name(&pair.a, "waits") {
                    Ok(ended) => return ended,
                    Err(why) => assert!(why.to_string().contains("still running"), "{why}"),
                }
            }
        });
        let mut busy = false;
        wait("the refusal of a second one", || {
            busy |= run_by_name(&pair.a, "fails")
                .is_err_and(|why| why.to_string().contains("still running"));
            busy || first.is_finished()
        });
        assert_eq!(first.join().unwrap().1.unwrap().code, 0);
        assert!(busy, "nothing was refused while the first one ran");
    });
}

#[test]
fn a_backup_that_knows_a_newer_epoch_runs_nothing() {
    let pair = Pair::settled(Hooks::default());
    // Its agent knows; the session has not been told yet, or the connection ends: nothing runs either way.
    pair.b.agent.says(BACKUP(9));
    let refused = run_by_name(&pair.a, "fails").unwrap_err().to_string();
    let known = ["epoch 1 is over", "is not known", "no connection"];
    assert!(known.iter().any(|it| refused.contains(it)), "{refused}");
}
