//! The rig's hand inside the guest: runs what it is told over the virtio-serial port.
//!
//! Started by systemd, restarted always. It holds no state: what if it dies here? Its successor says hello with a new incarnation,
//! and the rig learns that the outcome of what was under way is unknown. Requests run side by side, so that a long one does
//! not keep the rig from looking around.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fencepost::control;
use fencepost::control_client::Client;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::message::{
    Execution, Hello, LINE_MAX, Message, Operation, Outcome, PORT, Request, from_hex, to_hex,
};

/// Most that is kept of a command's output, bytes.
const OUTPUT_MAX: u64 = 1 << 20;
/// How often a running command is looked at.
const POLL: Duration = Duration::from_millis(5);

/// Serves the port until it breaks.
///
/// # Errors
/// The port is not there or cannot be used; systemd starts us again.
pub fn serve() -> io::Result<()> {
    let path = find_port(Path::new("/sys/class/virtio-ports"))?;
    let port = OpenOptions::new().read(true).write(true).open(&path)?;
    let incarnation = format!(
        "{}-{}",
        fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim(),
        std::process::id()
    );
    let port = Arc::new(Port {
        file: Mutex::new(port.try_clone()?),
        incarnation,
        reader: port,
    });
    port.say(&port.hello()?)?;
    loop {
        // Without the rig at the other end a read gives nothing at once; then wait for it.
        if !port.take_requests()? {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The port's device, found by its name: udev may not have made its link yet.
fn find_port(class: &Path) -> io::Result<PathBuf> {
    for entry in fs::read_dir(class)? {
        let entry = entry?;
        let name = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
        if name.trim() == PORT {
            return Ok(Path::new("/dev").join(entry.file_name()));
        }
    }
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        format!("no virtio-serial port named {PORT}: is this a guest of the rig?"),
    ))
}

struct Port {
    file: Mutex<File>,
    reader: File,
    incarnation: String,
}

impl Port {
    fn hello(&self) -> io::Result<Message> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?
            .trim()
            .to_owned();
        let uptime = fs::read_to_string("/proc/uptime")?;
        let uptime: f64 = uptime
            .split_whitespace()
            .next()
            .and_then(|seconds| seconds.parse().ok())
            .unwrap_or(0.0);
        let uptime_ms = Duration::from_secs_f64(uptime)
            .as_millis()
            .try_into()
            .unwrap_or(u64::MAX);
        Ok(Message::Hello(Hello {
            incarnation: self.incarnation.clone(),
            boot,
            uptime_ms,
        }))
    }

    fn say(&self, message: &Message) -> io::Result<()> {
        // The leading newline ends whatever half line a predecessor left behind.
        let line = format!("\n{}\n", serde_json::to_string(message)?);
        self.file
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_all(line.as_bytes())
    }

    /// Reads until the rig hangs up. Whether anything came.
    fn take_requests(self: &Arc<Self>) -> io::Result<bool> {
        let mut from = BufReader::new(&self.reader);
        let mut any = false;
        loop {
            let mut line = Vec::new();
            let length = from
                .by_ref()
                .take(LINE_MAX as u64)
                .read_until(b'\n', &mut line)?;
            if length == 0 {
                return Ok(any);
            }
            any = true;
            // Half lines from before a reset do not parse, and are nobody's.
            if let Ok(request) = serde_json::from_slice::<Request>(&line) {
                self.take(request)?;
            }
        }
    }

    fn take(self: &Arc<Self>, request: Request) -> io::Result<()> {
        if matches!(request.operation, Operation::Hello) {
            return self.say(&self.hello()?);
        }
        if request.incarnation != self.incarnation {
            return Ok(());
        }
        let port = Arc::clone(self);
        std::thread::Builder::new()
            .spawn(move || {
                let outcome = perform(request.operation)
                    .unwrap_or_else(|error| Outcome::Failed(error.to_string()));
                let reply = Message::Reply {
                    id: request.id,
                    incarnation: port.incarnation.clone(),
                    outcome,
                };
                if port.say(&reply).is_err() {
                    // Without a port there is nothing left to do here.
                    std::process::exit(1);
                }
            })
            .map(drop)
    }
}

fn perform(operation: Operation) -> io::Result<Outcome> {
    match operation {
        Operation::Hello => Ok(Outcome::Written),
        Operation::Exec { argv, timeout_ms } => {
            execute(&argv, Duration::from_millis(timeout_ms)).map(Outcome::Exec)
        }
        Operation::Read { path } => Ok(Outcome::Content(to_hex(&fs::read(path)?))),
        Operation::Write {
            path,
            mode,
            content,
        } => {
            let content =
                from_hex(&content).ok_or_else(|| io::Error::other("content is not hexadecimal"))?;
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(mode)
                .open(&path)?;
            file.write_all(&content)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
            Ok(Outcome::Written)
        }
        Operation::Ask { request } => Ok(Outcome::Answers(ask(request))),
    }
}

/// Whatever the agent answered. Nothing, if there is none or it hung up: to the rig that is one and the same.
fn ask(request: control::Request) -> Vec<control::Answer> {
    let mut answers = Vec::new();
    if let Ok(mut client) = Client::connect(Path::new(control::SOCKET_PATH)) {
        let many = matches!(request, control::Request::Events { .. });
        let complete = client.events(request, |answer| {
            answers.push(answer);
            match many {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        });
        if complete.is_err() {
            answers.clear();
        }
    }
    answers
}

fn execute(argv: &[String], timeout: Duration) -> io::Result<Execution> {
    let [program, arguments @ ..] = argv else {
        return Err(io::Error::other("no program named"));
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // A group of its own: when its time is up, its children go too.
    let mut child = command.process_group(0).spawn().map_err(|error| {
        io::Error::new(error.kind(), format!("cannot start {program}: {error}"))
    })?;
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let status = wait(&mut child, timeout)?;
    // Something that outlives the command may hold its output open; what it says later is not ours.
    let done = |collector: Collector| {
        let until = Instant::now() + Duration::from_secs(1);
        while !collector.1.is_finished() && Instant::now() < until {
            std::thread::sleep(POLL);
        }
        String::from_utf8_lossy(&collector.0.lock().unwrap_or_else(PoisonError::into_inner))
            .into_owned()
    };
    Ok(Execution {
        status,
        stdout: done(stdout),
        stderr: done(stderr),
    })
}

fn wait(child: &mut Child, timeout: Duration) -> io::Result<Option<i32>> {
    let until = Instant::now() + timeout;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status
                .code()
                .or_else(|| status.signal().map(|signal| 128 + signal)));
        }
        if Instant::now() >= until {
            let group = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
            let _ = killpg(group, Signal::SIGKILL);
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(POLL);
    }
}

type Collector = (Arc<Mutex<Vec<u8>>>, std::thread::JoinHandle<()>);

/// Keeps the first of a stream and reads on, so that the command never blocks on a full pipe.
fn collect(stream: Option<impl Read + Send + 'static>) -> Collector {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let theirs = Arc::clone(&kept);
    let thread = std::thread::spawn(move || {
        let Some(mut stream) = stream else { return };
        let mut part = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut part) {
            let mut kept = theirs.lock().unwrap_or_else(PoisonError::into_inner);
            if (kept.len() as u64) < OUTPUT_MAX {
                kept.extend_from_slice(&part[..length]);
            }
        }
    });
    (kept, thread)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str, timeout_ms: u64) -> Execution {
        let argv = ["sh", "-c", script].map(str::to_owned);
        execute(&argv, Duration::from_millis(timeout_ms)).unwrap()
    }

    #[test]
    fn output_and_status_come_back() {
        let done = run("echo out; echo err >&2; exit 3", 60_000);
        assert_eq!(
            (done.status, done.stdout.as_str(), done.stderr.as_str()),
            (Some(3), "out\n", "err\n")
        );
        assert_eq!(run("kill -9 $$", 60_000).status, Some(137));
    }

    #[test]
    fn time_up_ends_the_whole_group() {
        let done = run("echo before; sleep 1000 & sleep 1000", 300);
        assert_eq!((done.status, done.stdout.as_str()), (None, "before\n"));
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = execute(&["/no/such".to_owned()], Duration::from_secs(1)).unwrap_err();
        assert!(error.to_string().contains("/no/such"), "{error}");
    }
}
