//! Checks that run a program: Nagios and Icinga plugins by their exit codes, and `systemctl`.
//!
//! A program gets no standard input, a small fixed environment (none of the service manager's sockets) and a
//! process group of its own. When its time is over the whole group is killed: a shell's children would
//! otherwise go on, one more each round.

use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use super::Finding;
use crate::node::Verdict;

/// How much of the output is kept, in bytes. The rest is read and thrown away, so that the program does not
/// stop at a full pipe.
const OUTPUT_BYTES_MAX: usize = 4096;
/// After the program's end: how long its output is awaited from children that still hold the pipe.
const OUTPUT_AFTER: Duration = Duration::from_millis(100);
/// After a kill: how long the kernel may take to take it down.
const DEATH_MAX: Duration = Duration::from_secs(2);
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) async fn plugin(command: &[String], limit: Duration) -> Finding {
    match run(command, limit).await {
        Err(finding) => finding,
        Ok((status, output)) => {
            // What follows the bar is for graphs.
            let text = output.split('|').next().unwrap_or_default().to_owned();
            let verdict = match status.code() {
                Some(0) => Verdict::Ok,
                Some(1) => Verdict::Warning,
                Some(2) => Verdict::Critical,
                Some(3) => Verdict::Unknown,
                Some(code) => {
                    return Finding::unknown(format!(
                        "exit code {code} is outside the convention (0 to 3): {text}"
                    ));
                }
                None => {
                    let signal = status.signal().unwrap_or(0);
                    return Finding::unknown(format!("ended by signal {signal}: {text}"));
                }
            };
            Finding::new(verdict, text)
        }
    }
}

pub(super) async fn unit(unit: &str, limit: Duration) -> Finding {
    let command = ["systemctl", "is-active", "--", unit].map(str::to_owned);
    match run(&command, limit).await {
        Err(finding) => finding,
        Ok((status, state)) => {
            let text = format!(
                "unit {unit} is {}",
                if state.is_empty() {
                    "unknown to systemd"
                } else {
                    &state
                }
            );
            // `systemctl is-active`: 0 only if it is.
            if status.success() {
                Finding::good(text)
            } else {
                Finding::bad(text)
            }
        }
    }
}

/// Run it; its end and the first line of its output.
async fn run(command: &[String], limit: Duration) -> Result<(ExitStatus, String), Finding> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Finding::unknown("no program is configured"));
    };
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Finding::unknown(format!("{program} cannot be run: {error}")))?;
    let mut output = Output {
        pipe: child.stdout.take(),
        kept: Vec::new(),
    };
    let ended = timeout(limit, async {
        tokio::select! {
            status = child.wait() => status,
            () = output.read_all() => child.wait().await,
        }
    })
    .await;
    match ended {
        Ok(Ok(status)) => {
            let _held_open = timeout(OUTPUT_AFTER, output.read_all()).await;
            Ok((status, output.first_line()))
        }
        Ok(Err(error)) => Err(Finding::unknown(format!("{program} was lost: {error}"))),
        Err(_) => {
            let death = kill_group(&mut child).await;
            Err(Finding::unknown(format!(
                "{program} took longer than {} ms and {death}",
                limit.as_millis()
            )))
        }
    }
}

/// Kill the program and everything it started. It has not been waited for, so its number is still its own.
async fn kill_group(child: &mut Child) -> &'static str {
    let group = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(group) = group {
        let _gone_already = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    match timeout(DEATH_MAX, child.wait()).await {
        Ok(_) => "was killed",
        Err(_) => "cannot be killed: it hangs in the kernel",
    }
}

struct Output {
    pipe: Option<ChildStdout>,
    kept: Vec<u8>,
}

impl Output {
    async fn read_all(&mut self) {
        let mut part = [0; 1024];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut part).await {
                Ok(0) | Err(_) => self.pipe = None,
                Ok(read) => {
                    let room = OUTPUT_BYTES_MAX.saturating_sub(self.kept.len()).min(read);
                    self.kept.extend_from_slice(&part[..room]);
                }
            }
        }
    }

    fn first_line(&self) -> String {
        let line = self
            .kept
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        String::from_utf8_lossy(line).trim().to_owned()
    }
}
