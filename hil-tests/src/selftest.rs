//! `hil selftest`: the rig proves its own faults before anybody relies on them.
//!
//! One appliance on the bench board, through pause, reset, panic, watchdog and power cut. Each step states what must be so afterwards;
//! the first that is not ends the run with an error.

mod pair;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fencepost_hil::bench::Bench;
use fencepost_hil::board::{Board, Clock};
use fencepost_hil::channel::{Guest, Hello};
use fencepost_hil::error::RigError;
use fencepost_hil::guest::{Image, disk};
use fencepost_hil::pair::Namespace;
use fencepost_hil::qemu::{Config, Node};
use fencepost_hil::wire::SharedPort;
use fencepost_hil::wire::traffic::Traffic;
use fencepost_hil::wire::veth::Veth;

/// Generous: the machine may share its processors with a compiler.
const LONG: Duration = Duration::from_secs(120);
const COMMAND: Duration = Duration::from_secs(30);
/// A guest's line and the bench's other end of its wire.
const DRIVEN: usize = 5;
const SEEN: usize = 13;

struct Bed {
    node: Node,
    board: Board,
}

/// Runs every step.
pub(crate) fn run() -> Result<()> {
    native_data_path().context("step: frames cross a namespace's bridge")?;
    pair::run().context("step: the pair's bed")?;
    let image = Image::prepare(&mut |what| println!("hil: {what}"))?;
    let folder = tempfile::Builder::new()
        .prefix("hil-")
        .tempdir()
        .context("cannot make a folder for the node")?;
    let mut config = Config::new(0, folder.path());
    // A machine that resets itself one second after a panic, as appliances are set up.
    config.command_line = "panic=1".to_owned();
    disk::create(&image, &config.disk(), &[])?;
    let board = Board::new(Arc::new(Mutex::new(Bench::default())), Clock::start());
    let node = Node::new(config, image, board.clone())?;
    let mut bed = Bed { node, board };

    bed.node.power_on()?;
    let hello = bed.ready(None)?;
    bed.step("a killed process lets go of its line", Bed::killed_process)?;
    bed.step(
        "a paused machine keeps its lines, and wakes with its board",
        Bed::paused,
    )?;
    bed.step(
        "SMBus calls report a missing chip; I2C_RDWR counts",
        Bed::missing_chip,
    )?;
    bed.step("files go in and out", Bed::files)?;
    let hello = bed.restarts(
        "reset button: lines float, a new boot answers",
        &hello,
        "RESET",
        Bed::press_reset,
    )?;
    let hello = bed.restarts(
        "panic: lines float when it resets",
        &hello,
        "RESET",
        Bed::panic,
    )?;
    let hello = bed.restarts(
        "watchdog not fed: the machine resets",
        &hello,
        "WATCHDOG",
        Bed::starve_watchdog,
    )?;
    bed.step(
        "power cut: lines float, what was synced is there afterwards",
        |bed| bed.power_cut(&hello),
    )?;
    println!("hil: all steps passed");
    Ok(())
}

/// The native tier's data path: a namespace with two ports and a bridge, and carrier that follows us.
fn native_data_path() -> Result<()> {
    let name = format!("hil{}", std::process::id());
    let namespace = Namespace::add(&name)?;
    let left = Veth::create(&format!("{name}a"), &name, "eth0")?;
    let right = Veth::create(&format!("{name}b"), &name, "eth1")?;
    let bridge = "ip link add br0 type bridge && ip link set eth0 master br0 && ip link set eth1 master br0 && ip link set br0 up";
    namespace.shell(bridge)?;
    let clock = Clock::start();
    let (a, b): (SharedPort, SharedPort) = (left.clone(), right.clone());
    let traffic = Traffic::start(clock, &a, &b);
    ensure!(
        traffic.wait_flowing(clock.now(), LONG),
        "no frame crossed the namespace's bridge"
    );

    left.set_link(false)?;
    ensure!(
        namespace.shell("cat /sys/class/net/eth0/carrier")?.trim() == "0",
        "eth0 kept its carrier"
    );
    let dark = clock.now();
    std::thread::sleep(Duration::from_millis(200));
    let seen = traffic.report(dark, clock.now());
    ensure!(
        seen.a_to_b.sent > 0 && seen.a_to_b.came == 0,
        "frames crossed a cable without carrier: {seen:?}"
    );
    left.set_link(true)?;
    ensure!(
        traffic.wait_flowing(clock.now(), LONG),
        "no frame crossed after carrier came back"
    );
    println!("hil: ok  frames cross a namespace's bridge, and carrier follows");
    Ok(())
}

impl Bed {
    fn step(&mut self, name: &str, step: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let start = Instant::now();
        step(self).with_context(|| format!("step: {name}"))?;
        println!("hil: ok  {name} ({:.1} s)", start.elapsed().as_secs_f64());
        Ok(())
    }

    /// A step that ends with another boot of the guest.
    fn restarts(
        &mut self,
        name: &str,
        before: &Hello,
        event: &str,
        cause: fn(&mut Self) -> Result<()>,
    ) -> Result<Hello> {
        let mut after = before.clone();
        self.step(name, |bed| {
            bed.drive_line()?;
            let since = Instant::now();
            cause(bed)?;
            bed.node
                .qmp()?
                .wait_event(event, since, LONG)
                .with_context(|| format!("QEMU reported no {event}"))?;
            bed.wait_line(false)?;
            after = bed.ready(Some(before))?;
            ensure!(after.boot != before.boot, "the same boot answers");
            Ok(())
        })?;
        Ok(after)
    }

    fn guest(&self) -> Result<&Guest> {
        Ok(self.node.guest()?)
    }

    fn ready(&self, after: Option<&Hello>) -> Result<Hello> {
        let hello = self.guest()?.wait_ready(after, LONG)?;
        println!(
            "hil:     guest up, its own clock {:.1} s",
            Duration::from_millis(hello.uptime_ms).as_secs_f64()
        );
        Ok(hello)
    }

    /// Starts a process in the guest that holds a line high.
    fn drive_line(&self) -> Result<()> {
        let script = format!(
            "systemd-run --quiet --unit=holder --collect gpioset --mode=signal gpiochip0 {DRIVEN}=1"
        );
        self.guest()?.shell(&script, COMMAND)?;
        self.wait_line(true)
    }

    fn line(&self) -> bool {
        self.board.with(|port, now| port.line_get(now, SEEN))
    }

    fn wait_line(&self, level: bool) -> Result<()> {
        let until = Instant::now() + LONG;
        while self.line() != level {
            ensure!(
                Instant::now() < until,
                "the board never saw line {DRIVEN} go {}",
                if level { "high" } else { "low" }
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    fn killed_process(&mut self) -> Result<()> {
        self.drive_line()?;
        self.guest()?
            .shell("systemctl kill -s KILL holder", COMMAND)?;
        self.wait_line(false)
    }

    fn paused(&mut self) -> Result<()> {
        self.drive_line()?;
        self.node.pause()?;
        std::thread::sleep(Duration::from_secs(2));
        ensure!(
            self.line(),
            "the line floated although its host only sleeps"
        );
        self.node.resume()?;
        let read = self.guest()?.shell(&format!("gpioget gpiochip0 {SEEN}; i2cdetect -y 0 0x42 0x42 | tail -1; systemctl stop holder"), COMMAND)?;
        ensure!(read.starts_with('1'), "after waking the guest reads {read}");
        self.wait_line(false)
    }

    fn missing_chip(&mut self) -> Result<()> {
        let smbus = self
            .guest()?
            .exec(&["i2cget", "-y", "0", "0x43", "0x00"], COMMAND)?;
        ensure!(!smbus.success(), "i2cget found a chip that is not there");
        let plain = self.guest()?.exec(
            &["i2ctransfer", "-y", "0", "w1@0x43", "0x00", "r1"],
            COMMAND,
        )?;
        // virtio-i2c reports fewer messages than asked, and no error: whoever does not count takes this for success.
        let said = plain.stdout + &plain.stderr;
        ensure!(
            said.contains("only 0/2 messages"),
            "i2ctransfer to a missing chip said {said}"
        );
        let repeated = self.guest()?.shell(
            "i2ctransfer -y 0 w3@0x42 0x20 0x11 0x22 && i2ctransfer -y 0 w1@0x42 0x20 r2",
            COMMAND,
        )?;
        ensure!(
            repeated.trim() == "0x11 0x22",
            "a write and a read with a repeated START gave {repeated}"
        );
        Ok(())
    }

    fn files(&mut self) -> Result<()> {
        let content: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        self.guest()?.write("/root/file", 0o600, &content)?;
        ensure!(
            self.guest()?.read("/root/file")? == content,
            "another content came back"
        );
        let missing = self.guest()?.read("/root/none");
        ensure!(
            matches!(missing, Err(RigError::Guest { .. })),
            "reading a missing file gave {missing:?}"
        );
        Ok(())
    }

    fn press_reset(&mut self) -> Result<()> {
        Ok(self.node.reset()?)
    }

    fn panic(&mut self) -> Result<()> {
        let ended = self.guest()?.shell("echo c > /proc/sysrq-trigger", LONG);
        ensure!(
            matches!(ended, Err(RigError::Restarted { .. })),
            "a call during a panic gave {ended:?}"
        );
        Ok(())
    }

    fn starve_watchdog(&mut self) -> Result<()> {
        // Opened, set to its shortest useful time by the module's default, never fed and never closed with the magic letter.
        let script = "systemd-run --quiet --unit=dog --collect sh -c 'exec 3>/dev/watchdog0; echo -n . >&3; sleep 1000'";
        self.guest()?.shell(
            &format!("rmmod i6300esb; modprobe i6300esb heartbeat=4; {script}"),
            COMMAND,
        )?;
        Ok(())
    }

    fn power_cut(&mut self, before: &Hello) -> Result<()> {
        self.guest()?
            .shell("echo kept > /root/ledger && sync", COMMAND)?;
        self.drive_line()?;
        self.node.power_off();
        self.wait_line(false)?;
        ensure!(!self.node.is_powered(), "QEMU still runs");
        self.node.power_on()?;
        self.ready(Some(before))?;
        ensure!(
            self.guest()?.read("/root/ledger")? == b"kept\n",
            "the ledger is not on the disk"
        );
        self.drive_line()
    }
}
