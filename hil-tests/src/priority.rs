//! Threads of the rig that must not wait for what they serve.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

/// Above the agent's own threads.
const BOARD_PRIORITY: &str = "60";

/// Puts the threads that `start` makes above everything else on this machine: a real board does not share its host's processors. Threads they
/// make later are as they are. Without the right to, they stay ordinary, and a starved machine starves the board too.
pub(crate) fn above_all<T>(start: impl FnOnce() -> T) -> T {
    let threads = || -> BTreeSet<String> {
        let tasks = std::fs::read_dir("/proc/self/task")
            .into_iter()
            .flatten()
            .flatten();
        tasks
            .map(|task| task.file_name().to_string_lossy().into_owned())
            .collect()
    };
    let before = threads();
    let started = start();
    for thread in threads().difference(&before) {
        let done = Command::new("chrt")
            .args(["--fifo", "--pid", BOARD_PRIORITY, thread])
            .stderr(Stdio::null())
            .status();
        if !done.is_ok_and(|status| status.success()) {
            tracing::warn!("the virtual board has no real-time priority: run the bench as root");
        }
    }
    started
}
