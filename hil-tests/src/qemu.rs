//! One appliance as a QEMU machine: started, paused, reset, cut from power, and always ended.
//!
//! Contract: the machine lives at most as long as its [`Node`], and never longer than the rig's process. The board is served by sockets
//! that the rig keeps open, so the board outlives the machine. A guest reset or the end of QEMU resets the host's GPIO controller: all
//! lines float. A pause does not: a node that sleeps keeps its lines, like a hung one.
//!
//! PCI addresses are fixed, so that paths under `/sys` are stable:
//!
//! | slot | device | in the guest |
//! |---|---|---|
//! | `00:04.0` | `i6300esb` watchdog, action *reset* | `/dev/watchdog0` |
//! | `00:05.0` | virtio GPIO | `/dev/gpiochip0` |
//! | `00:06.0` | virtio I2C | `/dev/i2c-0` |
//! | `00:07.0` | virtio disk | `/dev/vda`, `/` |
//! | `00:08.0` | virtio serial | command channel |
//! | `00:10.0`, `00:11.0` | data ports, `52:54:00:fe:0N:00`, `…:01` | `eth0`, `eth1`, joined by `br0` |
//! | `00:12.0` | optional HA port, `…:02` | `eth2` |
//!
//! `N` is the node's number.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::board::Board;
use crate::channel::{Guest, Hello};
use crate::error::{AtPath, Result, RigError};
use crate::guest::Image;
use crate::message::PORT;
use crate::qmp::{Event, Qmp};
use crate::vhost::{self, gpio::Gpio, i2c::I2c, i2c::Shape};

/// Added to our own niceness for a machine: the wires and boards it hangs on must not wait for it.
const MACHINE_NICE: &str = "5";
/// How long QEMU may take to open its sockets.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Kernel command line of every guest. No tracing, no self-tests, no mitigations: none is under test, all cost time under emulation.
const COMMAND_LINE: &str = "console=ttyS0 quiet net.ifnames=0 mitigations=off audit=0 apparmor=0 selinux=0 nokaslr \
    cryptomgr.notests no_timer_check rcupdate.rcu_expedited=1 random.trust_cpu=on systemd.show_status=0";

/// What a machine is made of.
#[derive(Debug, Clone)]
pub struct Config {
    /// Number of the node: 0 or 1. Part of its addresses.
    pub number: u8,
    /// Folder for sockets, disk and console log. Short: a Unix socket's path has at most 107 bytes.
    pub directory: PathBuf,
    /// Guest memory, mebibytes.
    pub memory_mib: u32,
    /// Virtual processors. One boots with a third less of the host's processor time than two, and a pair fits two cores.
    pub processors: u8,
    /// A third port for heartbeats beside the data ports.
    pub ha_port: bool,
    /// Which I2C transactions the adapter accepts.
    pub i2c_shape: Shape,
    /// More kernel command line, as `panic=1`.
    pub command_line: String,
}

impl Config {
    /// The usual appliance.
    pub fn new(number: u8, directory: impl Into<PathBuf>) -> Self {
        Self {
            number,
            directory: directory.into(),
            memory_mib: 384,
            processors: 1,
            ha_port: false,
            i2c_shape: Shape::Plain,
            command_line: String::new(),
        }
    }

    /// The node's disk; made by [`crate::guest::disk::create`] before the first start.
    pub fn disk(&self) -> PathBuf {
        self.directory.join("disk.img")
    }

    /// Serial console of all boots.
    pub fn console(&self) -> PathBuf {
        self.directory.join("console.log")
    }

    /// Ethernet address of a port of the host.
    pub fn mac(&self, port: usize) -> [u8; 6] {
        [
            0x52,
            0x54,
            0x00,
            0xfe,
            self.number,
            u8::try_from(port).unwrap_or(u8::MAX),
        ]
    }

    /// Sockets of a port's cable: QEMU's end, and the rig's.
    pub fn cable(&self, port: usize) -> (PathBuf, PathBuf) {
        (
            self.directory.join(format!("port{port}.qemu")),
            self.directory.join(format!("port{port}.rig")),
        )
    }

    fn ports(&self) -> usize {
        if self.ha_port { 3 } else { 2 }
    }
}

/// A machine and the board in it.
pub struct Node {
    config: Config,
    image: Image,
    board: Board,
    _devices: [vhost::Server; 2],
    machine: Option<Machine>,
}

/// A running QEMU.
struct Machine {
    child: Child,
    qmp: Qmp,
    guest: Guest,
    started: Instant,
}

impl Node {
    /// A machine without power, with `board` in it.
    pub fn new(config: Config, image: Image, board: Board) -> Result<Self> {
        let gpio = vhost::serve(&config.directory.join("gpio"), Gpio::new(board.clone()))?;
        let i2c = vhost::serve(
            &config.directory.join("i2c"),
            I2c::new(board.clone(), config.i2c_shape),
        )?;
        Ok(Self {
            config,
            image,
            board,
            _devices: [gpio, i2c],
            machine: None,
        })
    }

    /// Its configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Power on. Returns when QEMU runs; the guest is then [`Guest::wait_ready`]'s matter.
    pub fn power_on(&mut self) -> Result<()> {
        if self.machine.is_some() {
            return Ok(());
        }
        let (control, port) = (
            self.config.directory.join("qmp"),
            self.config.directory.join("rig"),
        );
        for socket in [&control, &port] {
            let _ = std::fs::remove_file(socket);
        }
        let started = Instant::now();
        let mut child = Reaped(Some(spawn(
            "qemu-system-x86_64",
            self.arguments(),
            &self.config.directory.join("qemu.log"),
        )?));
        for socket in [&control, &port] {
            wait_for(socket, &mut child, &self.config.directory.join("qemu.log"))?;
        }

        let board = self.board.clone();
        let hook = move |event: &Event| {
            if event.name == "RESET" {
                board.release_lines();
            }
        };
        let qmp = Qmp::connect(&control, Box::new(hook))?;
        let guest = Guest::connect(&port, &self.config.console())?;
        // The machine was made stopped, so that nothing it reports or says is missed.
        qmp.execute("cont", json!({}))?;
        if let Some(child) = child.0.take() {
            self.machine = Some(Machine {
                child,
                qmp,
                guest,
                started,
            });
        }
        Ok(())
    }

    /// Power cut, as fast as a process can end. The disk stays as it is at this instant.
    pub fn power_off(&mut self) {
        if let Some(mut machine) = self.machine.take() {
            let _ = machine.child.kill();
            let _ = machine.child.wait();
        }
    }

    /// Whether QEMU runs (the guest may be paused or have panicked).
    pub fn is_powered(&mut self) -> bool {
        self.machine
            .as_mut()
            .is_some_and(|machine| matches!(machine.child.try_wait(), Ok(None)))
    }

    /// Process id of QEMU.
    pub fn pid(&self) -> Option<u32> {
        self.machine.as_ref().map(|machine| machine.child.id())
    }

    /// The machine sleeps: no instruction runs, its watchdog stands still, its lines keep their levels.
    pub fn pause(&self) -> Result<()> {
        self.qmp()?.execute("stop", json!({})).map(drop)
    }

    /// The machine wakes, and does not know that it slept.
    pub fn resume(&self) -> Result<()> {
        self.qmp()?.execute("cont", json!({})).map(drop)
    }

    /// The reset button.
    pub fn reset(&self) -> Result<()> {
        self.qmp()?.execute("system_reset", json!({})).map(drop)
    }

    /// Carrier of a port, as the host's driver sees it.
    pub fn set_link(&self, port: usize, up: bool) -> Result<()> {
        self.qmp()?
            .execute(
                "set_link",
                json!({ "name": format!("port{port}"), "up": up }),
            )
            .map(drop)
    }

    /// QEMU's control socket.
    pub fn qmp(&self) -> Result<&Qmp> {
        Ok(&self.machine()?.qmp)
    }

    /// The command channel.
    pub fn guest(&self) -> Result<&Guest> {
        Ok(&self.machine()?.guest)
    }

    /// Waits until the guest answers; from power-on to its hello.
    pub fn wait_ready(&self, timeout: Duration) -> Result<(Hello, Duration)> {
        let machine = self.machine()?;
        let hello = machine.guest.wait_ready(None, timeout)?;
        let at = machine
            .guest
            .hello()
            .map_or_else(Instant::now, |(_, at)| at);
        Ok((hello, at.saturating_duration_since(machine.started)))
    }

    fn machine(&self) -> Result<&Machine> {
        self.machine.as_ref().ok_or_else(|| RigError::Gone {
            what: format!("node {}", self.config.number),
            reason: "it has no power: power_on first".to_owned(),
        })
    }

    fn arguments(&self) -> Vec<OsString> {
        let config = &self.config;
        let path = |name: &str| config.directory.join(name).display().to_string();
        let mut words: Vec<String> = Vec::new();
        let mut add = |option: &str, value: String| words.extend([option.to_owned(), value]);
        add("-name", format!("node{}", config.number));
        add("-accel", "tcg,thread=multi".into());
        add("-cpu", "max".into());
        add("-smp", config.processors.to_string());
        add("-m", format!("{}M", config.memory_mib));
        // Shared: the board's process reads the rings in it.
        add(
            "-object",
            format!(
                "memory-backend-memfd,id=mem,size={}M,share=on",
                config.memory_mib
            ),
        );
        add("-M", "q35,memory-backend=mem".into());
        add("-kernel", self.image.kernel.display().to_string());
        add("-initrd", self.image.initramfs.display().to_string());
        add("-append", format!("{COMMAND_LINE} {}", config.command_line));
        add("-display", "none".into());
        add("-qmp", format!("unix:{},server=on,wait=off", path("qmp")));
        add(
            "-chardev",
            format!(
                "file,id=console,path={},append=on",
                config.console().display()
            ),
        );
        add("-serial", "chardev:console".into());
        add("-device", "i6300esb,addr=04.0".into());
        add("-action", "watchdog=reset".into());
        for (name, slot) in [("gpio", 5), ("i2c", 6)] {
            add("-chardev", format!("socket,id={name},path={}", path(name)));
            add(
                "-device",
                format!("vhost-user-{name}-pci,chardev={name},addr={slot:02x}.0"),
            );
        }
        // No barriers on the host: a power cut of the machine is not one of the host.
        add(
            "-drive",
            format!(
                "file={},format=raw,if=none,id=disk,cache=unsafe",
                config.disk().display()
            ),
        );
        add("-device", "virtio-blk-pci,drive=disk,addr=07.0".into());
        add(
            "-chardev",
            format!("socket,id=rig,path={},server=on,wait=off", path("rig")),
        );
        add("-device", "virtio-serial-pci,addr=08.0".into());
        add("-device", format!("virtserialport,chardev=rig,name={PORT}"));
        for port in 0..config.ports() {
            let (ours, theirs) = config.cable(port);
            let [a, b, c, d, e, f] = config.mac(port);
            add(
                "-netdev",
                format!(
                    "dgram,id=port{port},local.type=unix,local.path={},remote.type=unix,remote.path={}",
                    ours.display(),
                    theirs.display()
                ),
            );
            add(
                "-device",
                format!(
                    "virtio-net-pci,netdev=port{port},mac={a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x},romfile=,addr={:02x}.0",
                    0x10 + port
                ),
            );
        }
        words.extend(["-nodefaults", "-no-user-config", "-S"].map(str::to_owned));
        words.into_iter().map(OsString::from).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.power_off();
    }
}

/// Ends a child unless it is taken out.
struct Reaped(Option<Child>);

impl Drop for Reaped {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits for the last socket that QEMU makes.
fn wait_for(socket: &Path, child: &mut Reaped, log: &Path) -> Result<()> {
    let until = Instant::now() + START_TIMEOUT;
    while !socket.exists() {
        let ended = child
            .0
            .as_mut()
            .and_then(|child| child.try_wait().ok().flatten());
        if let Some(status) = ended {
            let reason = std::fs::read_to_string(log).unwrap_or_default();
            return Err(RigError::Gone {
                what: "QEMU".to_owned(),
                reason: format!("{status} at its start:\n{reason}"),
            });
        }
        if Instant::now() > until {
            return Err(RigError::Timeout {
                what: format!("QEMU's socket {}", socket.display()),
                waited: START_TIMEOUT,
                log: log.to_path_buf(),
            });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// A request to the thread that starts programs, and where the child goes.
type Spawn = (Command, SyncSender<std::io::Result<Child>>);

/// Starts a program that dies with the rig, even if the rig is killed.
///
/// The kernel ends it when the *thread* that started it ends; so one thread starts all of them, and lives as long as the rig.
fn spawn(program: &str, arguments: Vec<OsString>, log: &Path) -> Result<Child> {
    static SPAWNER: OnceLock<SyncSender<Spawn>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (requests, inbox) = sync_channel::<Spawn>(1);
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                let _ = answer.send(command.spawn());
            }
        });
        requests
    });
    let log_file = std::fs::File::create(log).at("cannot write", log)?;
    let errors = log_file.try_clone().at("cannot write", log)?;
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "nice", "-n", MACHINE_NICE, program])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log_file)
        .stderr(errors);
    let gone = |reason: &str| RigError::Gone {
        what: "the thread that starts machines".to_owned(),
        reason: reason.to_owned(),
    };
    let (answer, child) = sync_channel(1);
    spawner
        .send((command, answer))
        .map_err(|_| gone("it ended"))?;
    child
        .recv()
        .map_err(|_| gone("it ended"))?
        .at("cannot start", program)
}
