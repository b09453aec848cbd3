//! One run of a fence-agents program: options on its standard input, its answer in its exit code, killed when its time
//! is over or when it is called off.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Most of what a program is told, in bytes: one page fits into any pipe, so that telling it never waits.
pub(super) const INPUT_BYTES_MAX: usize = 4096;
/// What is kept of what it complains about, in bytes.
const COMPLAINT_BYTES_MAX: usize = 1024;
/// After a kill: how long the kernel may take to take it down.
const DEATH_MAX: Duration = Duration::from_secs(2);
const DEATH_LOOK_EVERY: Duration = Duration::from_millis(5);
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program that runs, with everything it starts in a group of its own.
pub(super) struct Running {
    child: Child,
    complaints: Option<ChildStderr>,
    complained: Vec<u8>,
}

impl Running {
    /// Start it and tell it `input`.
    pub(super) fn start(program: &Path, input: &str) -> Result<Self, String> {
        let name = program.display();
        if input.len() > INPUT_BYTES_MAX {
            return Err(format!(
                "more than {INPUT_BYTES_MAX} bytes of options for {name}"
            ));
        }
        let mut child = Command::new(program)
            .env_clear()
            .env("PATH", PATH)
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| format!("{name} cannot be run: {error}"))?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that does not listen tells by its exit code what it makes of that.
            let _unheard = stdin.write_all(input.as_bytes());
        }
        let complaints = child.stderr.take();
        Ok(Self {
            child,
            complaints,
            complained: Vec::new(),
        })
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.hear();
        let ended = self.child.try_wait()?;
        if ended.is_some() {
            self.hear();
        }
        Ok(ended)
    }

    /// Kill it and everything it started; said afterwards.
    pub(super) fn kill(&mut self) -> &'static str {
        // It has not been waited for, so its number is still its own.
        if let Ok(group) = i32::try_from(self.child.id()) {
            let _gone_already = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        let until = Instant::now() + DEATH_MAX;
        while Instant::now() < until {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(DEATH_LOOK_EVERY),
                Ok(Some(_)) | Err(_) => return "was killed",
            }
        }
        "cannot be killed: it hangs in the kernel"
    }

    /// The last line it complained with; empty if it did not.
    pub(super) fn complaint(&self) -> String {
        let text = String::from_utf8_lossy(&self.complained);
        let last = text
            .lines()
            .rev()
            .map(str::trim)
            .find(|line| !line.is_empty());
        last.map(|line| format!(": {line}")).unwrap_or_default()
    }

    /// What is there to be read, without waiting for more: a full pipe would stop the program.
    fn hear(&mut self) {
        let mut part = [0; 512];
        while let Some(pipe) = &mut self.complaints {
            let mut ready = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
            if poll(&mut ready, PollTimeout::ZERO) != Ok(1) {
                return;
            }
            match pipe.read(&mut part) {
                Ok(0) | Err(_) => self.complaints = None,
                Ok(read) => {
                    self.complained.extend_from_slice(&part[..read]);
                    let over = self.complained.len().saturating_sub(COMPLAINT_BYTES_MAX);
                    self.complained.drain(..over);
                }
            }
        }
    }
}
