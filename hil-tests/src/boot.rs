//! `hil boot`: one appliance on the bench board, and proof that its kernel devices are real.

use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fencepost_hil::bench::Bench;
use fencepost_hil::board::{Board, Clock};
use fencepost_hil::channel::Guest;
use fencepost_hil::guest::{Image, disk};
use fencepost_hil::qemu::{Config, Node};
use fencepost_hil::wire::SharedPort;
use fencepost_hil::wire::cable::to_machine;
use fencepost_hil::wire::traffic::Traffic;

/// Generous: the machine may share its processors with a compiler.
const READY_TIMEOUT: Duration = Duration::from_secs(120);
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// What is asked in the guest, and what its answer must contain.
const PROOFS: [(&str, &str); 8] = [
    (
        "ls -l /dev/gpiochip0 /dev/i2c-0 /dev/watchdog0",
        "/dev/watchdog0",
    ),
    ("gpioinfo gpiochip0 | head -4", "bench-0"),
    (
        "gpioset --mode=time --sec=5 gpiochip0 3=1 & sleep 2; gpioget gpiochip0 11; wait",
        "1",
    ),
    ("gpioget gpiochip0 11", "0"),
    ("i2cdetect -y 0 0x40 0x47", "42"),
    (
        "i2cset -y 0 0x42 0x10 0xa5 && i2cget -y 0 0x42 0x10",
        "0xa5",
    ),
    (
        "cat /sys/class/watchdog/watchdog0/identity /sys/class/watchdog/watchdog0/state",
        "inactive",
    ),
    (
        "systemctl is-system-running; systemctl --version | head -1; ip -br link",
        "br0",
    ),
];

/// Boots, proves, and with `shell` reads commands for the guest from standard input.
pub(crate) fn run(shell: bool) -> Result<()> {
    let image = Image::prepare(&mut |what| println!("hil: {what}"))?;
    let folder = tempfile::Builder::new()
        .prefix("hil-")
        .tempdir()
        .context("cannot make a folder for the node")?;
    let config = Config::new(0, folder.path());
    disk::create(&image, &config.disk(), &[])?;

    let clock = Clock::start();
    let board = Board::new(Arc::new(Mutex::new(Bench::default())), clock);
    let ports = [0, 1].map(|port| config.cable(port));
    let mut node = Node::new(config, image, board)?;
    let [left, right] = ports.map(|(theirs, ours)| to_machine((&theirs, &ours)));
    let (left, right) = (left?, right?);
    node.power_on()?;
    let (_, boot_time) = node
        .wait_ready(READY_TIMEOUT)
        .inspect_err(|_| show_console(&node.config().console()))?;
    println!(
        "hil: power-on to command channel {:.1} s; QEMU used {:.1} s of processor time",
        boot_time.as_secs_f64(),
        processor_time(node.pid().unwrap_or_default())
            .unwrap_or_default()
            .as_secs_f64()
    );

    let guest = node.guest()?;
    for (script, expected) in PROOFS {
        let done = guest.exec(&["/bin/sh", "-c", script], COMMAND_TIMEOUT)?;
        print!("# {script}\n{}{}", done.stdout, done.stderr);
        ensure!(
            done.stdout.contains(expected),
            "`{script}` in the guest: expected `{expected}` in its output"
        );
    }
    prove_data_path(clock, &left, &right)?;
    if shell {
        println!(
            "hil: console log {}; commands for the guest, end with Ctrl-D",
            node.config().console().display()
        );
        read_commands(guest)?;
    }
    Ok(())
}

/// What a process has used so far: unlike elapsed time, it does not grow with what else the host does.
fn processor_time(pid: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name in brackets: state, ten fields, then user and system time in ticks of 10 ms.
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

/// Frames from port to port, through the guest's bridge.
fn prove_data_path(clock: Clock, left: &SharedPort, right: &SharedPort) -> Result<()> {
    let traffic = Traffic::start(clock, left, right);
    let start = clock.now();
    ensure!(
        traffic.wait_flowing(start, COMMAND_TIMEOUT),
        "no frame crossed br0"
    );
    std::thread::sleep(Duration::from_secs(2));
    let until = clock.now();
    std::thread::sleep(Duration::from_millis(500));
    let seen = traffic.report(start, until);
    for (name, way) in [("eth0 to eth1", seen.a_to_b), ("eth1 to eth0", seen.b_to_a)] {
        println!(
            "hil: {name} through br0: {} of {} frames, longest loss {:.0} ms, longest gap {:.0} ms, longest delay {:.1} ms",
            way.came, way.sent, way.longest_loss_ms, way.longest_gap_ms, way.longest_delay_ms
        );
    }
    Ok(())
}

fn read_commands(guest: &Guest) -> Result<()> {
    for line in std::io::stdin().lock().lines() {
        let done = guest.exec(&["/bin/bash", "-c", &line?], Duration::from_secs(600))?;
        print!(
            "{}{}[{}]\n# ",
            done.stdout,
            done.stderr,
            done.status
                .map_or("time up".to_owned(), |status| status.to_string())
        );
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn show_console(path: &Path) {
    eprintln!("{}", std::fs::read_to_string(path).unwrap_or_default());
}
