//! A program in a process group of its own, watched until it ends or is ended.

use core::time::Duration;
use std::io::{Error, PipeReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::OUTPUT_BYTES_MAX;

/// Why there is nothing to watch.
pub(super) enum StartError {
    /// The kernel did not start it.
    NotStarted(Error),
    /// It started, could not be watched, and was ended.
    Unwatched(Error),
}

/// A running program. Dropped, it is ended with all of its group.
pub(super) struct Group {
    child: Child,
    id: Pid,
    watch: OwnedFd,
    said: PipeReader,
    let_go: bool,
}

/// How it ended.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    /// We ended it.
    pub(super) late: bool,
    pub(super) output: Vec<u8>,
}

impl Group {
    pub(super) fn start(command: &mut Command) -> Result<Self, StartError> {
        let (said, out) = std::io::pipe().map_err(StartError::NotStarted)?;
        rustix::io::ioctl_fionbio(&said, true)
            .map_err(|error| StartError::NotStarted(error.into()))?;
        let err = out.try_clone().map_err(StartError::NotStarted)?;
        let mut child = command
            .process_group(0)
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(StartError::NotStarted)?;
        // The command keeps its ends of the pipe; without them gone the pipe would never end.
        command.stdout(std::process::Stdio::null());
        command.stderr(std::process::Stdio::null());
        let id = Pid::from_child(&child);
        match pidfd_open(id, PidfdFlags::empty()) {
            Ok(watch) => Ok(Self {
                child,
                id,
                watch,
                said,
                let_go: false,
            }),
            Err(error) => {
                let _ = kill_process_group(id, Signal::KILL);
                let _ = child.wait();
                Err(StartError::Unwatched(error.into()))
            }
        }
    }

    /// Wait for its end; from `deadline` on ask for it, and after `grace` make it.
    pub(super) fn finish(mut self, deadline: Instant, grace: Duration) -> Result<Ended, Error> {
        let mut output = Vec::new();
        let mut late = false;
        if !self.ends_before(deadline, &mut output)? {
            late = true;
            self.signal(Signal::TERM);
            self.ends_before(Instant::now() + grace, &mut output)?;
        }
        // Not yet waited for, so its id and its group's are still its own.
        self.signal(Signal::KILL);
        self.let_go = true;
        if !self.ends_before(Instant::now() + grace, &mut output)? {
            return Err(Error::other("the kernel does not let go of it"));
        }
        let status = self.child.wait()?;
        self.drain(&mut output)?;
        Ok(Ended {
            status,
            late,
            output,
        })
    }

    /// Whether it ended; what it says meanwhile is taken, or it would wait for us.
    fn ends_before(&mut self, deadline: Instant, output: &mut Vec<u8>) -> Result<bool, Error> {
        let mut talks = true;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).map_err(Error::other)?;
            let mut watched = [
                PollFd::new(&self.watch, PollFlags::IN),
                PollFd::new(&self.said, PollFlags::IN),
            ];
            let watched = if talks {
                &mut watched[..]
            } else {
                &mut watched[..1]
            };
            match poll(watched, Some(&timeout)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if !watched[0].revents().is_empty() {
                return Ok(true);
            }
            if left.is_zero() {
                return Ok(false);
            }
            talks = talks && self.drain(output)?;
        }
    }

    /// Take what is there; whether more can come.
    fn drain(&mut self, output: &mut Vec<u8>) -> Result<bool, Error> {
        let mut piece = [0; 4096];
        // A pipe holds 64 KiB: a program that talks without end cannot keep us here.
        for _ in 0..16 {
            match self.said.read(&mut piece) {
                Ok(0) => return Ok(false),
                Ok(bytes) => {
                    let room = OUTPUT_BYTES_MAX - output.len();
                    output.extend_from_slice(&piece[..bytes.min(room)]);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn signal(&self, signal: Signal) {
        // It fails only if nobody is left.
        let _ = kill_process_group(self.id, signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.let_go {
            self.signal(Signal::KILL);
            let _ = self.child.wait();
        }
    }
}
