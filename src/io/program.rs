//! A program run to its end, within a limit: hooks, the service manager's client, the connection tracker's client.
//!
//! It gets no input, a small fixed environment and a process group of its own, so that what it started can be killed with it.
//! What if it hangs in the kernel and cannot be killed? The thread that runs it waits; nothing else does.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Between looks whether it has ended, at first and at most: short programs are told at once, long ones cost nothing.
const LOOK_FIRST: Duration = Duration::from_micros(200);
const LOOK_SELDOM: Duration = Duration::from_millis(5);
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why a run came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// There is no such program.
    #[error("{0} is not installed")]
    Absent(String),
    /// It could not be run, failed, or was killed: a sentence.
    #[error("{0}")]
    Failed(String),
}

/// Run `argv` with these variables besides the fixed ones. Killed after `limit`, or as soon as `unwanted` says so; it is asked
/// between looks.
pub(super) fn run(
    argv: &[&str],
    variables: &[(&str, &str)],
    limit: Duration,
    unwanted: impl FnMut() -> bool,
) -> Result<(), RunError> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(RunError::Failed("no program is configured".to_owned()));
    };
    let failed = |text: String| Err(RunError::Failed(text));
    let spawned = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("LC_ALL", "C")
        .envs(variables.iter().copied())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(RunError::Absent((*program).to_owned()));
        }
        Err(error) => return failed(format!("{program} cannot be run: {error}")),
    };
    match wait(&mut child, limit, unwanted) {
        Ok(End::Exited(status)) if status.success() => Ok(()),
        Ok(End::Exited(status)) => failed(format!("{program} ended with {status}")),
        Ok(End::Late) => {
            kill(&mut child);
            let limit = limit.as_millis();
            failed(format!(
                "{program} took longer than {limit} ms and was killed"
            ))
        }
        Ok(End::Unwanted) => {
            kill(&mut child);
            failed(format!("{program} was given up for a newer order"))
        }
        Err(error) => failed(format!("{program} was lost: {error}")),
    }
}

enum End {
    Exited(ExitStatus),
    Late,
    Unwanted,
}

fn wait(child: &mut Child, limit: Duration, mut unwanted: impl FnMut() -> bool) -> io::Result<End> {
    let until = Instant::now() + limit;
    let mut pause = LOOK_FIRST;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(End::Exited(status));
        }
        if Instant::now() >= until {
            return Ok(End::Late);
        }
        if unwanted() {
            return Ok(End::Unwanted);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LOOK_SELDOM);
    }
}

/// With everything it started. It has not been waited for, so its number is still its own.
fn kill(child: &mut Child) {
    if let Ok(group) = i32::try_from(child.id()) {
        let _gone_already = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let _reaped = child.wait();
}
