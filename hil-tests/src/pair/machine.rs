//! The bed of machines: each host is a QEMU machine with a stock kernel, real devices, and the agent as its package installs it, under
//! systemd.
//!
//! Emulation is slow, and two machines share the processors of one host: the pair's times here are seconds, and so are all bounds.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use fencepost::control::{Answer, Request};

use super::boards::{self, SharedBoard};
use super::host::Host;
use super::site::{self, Part, Wishes};
use super::{Bed, Cabling, Port, Ports};
use crate::appliance::COMMAND;
use crate::appliance::files::{PROGRAM, SITE, product};
use crate::board::{Board, Clock};
use crate::error::{AtPath, Result, RigError};
use crate::guest::disk::{Content, Inject};
use crate::guest::{Image, disk};
use crate::qemu::{Config, Node};
use crate::wire::cable::to_machine;

/// Between questions of the neighbour: each costs both machines an interrupt.
const QUESTION_EVERY: Duration = Duration::from_millis(10);
/// Replacing an agent means starting three programs, which an emulated machine on a busy host does in five seconds.
const DEAD_MAN: Duration = Duration::from_secs(10);
/// QEMU shows carrier late.
const RELINK: Duration = Duration::from_secs(2);
/// In heartbeats of 200 ms: a machine that stands still for two seconds is busy, not dead. A supervised agent is back within the
/// grace, and the kernel keeps the vips for longer than that.
const TIMES: &str = "heartbeat_ms = 200\nsuspect_after_ms = 3000\nrestart_grace_ms = 8000\nboot_hold_ms = 4000\nvip_lifetime_s = 12\n";
/// As in [`TIMES`].
const BOOT_HOLD: Duration = Duration::from_secs(4);
/// Nobody starts the agent again, and nobody puts the relays into their fail state for it.
const UNSUPERVISED: &str = "mkdir -p /run/systemd/system/fencepost.service.d && \
    printf '[Service]\\nRestart=no\\n' > /run/systemd/system/fencepost.service.d/90-unsupervised.conf && \
    ln -sf /dev/null /run/systemd/system/fencepost-failsafe.service && systemctl daemon-reload";
/// The opposite, and a start.
const SUPERVISED: &str = "rm -f /run/systemd/system/fencepost.service.d/90-unsupervised.conf \
    /run/systemd/system/fencepost-failsafe.service; systemctl daemon-reload; systemctl reset-failed fencepost; \
    systemctl start --no-block fencepost";
/// Where the pair's key is in the guest.
const KEY_FILE: &str = "/etc/fencepost/pair.key";

/// What a node's times are in emulation.
pub fn wishes() -> Wishes {
    Wishes {
        profile: "conservative",
        pair: TIMES.to_owned(),
        tables: String::new(),
        boot_hold: Some(BOOT_HOLD),
        cabling: Cabling::Hot,
    }
}

/// A machine, and what its ports were last shown.
pub struct Machine {
    node: Arc<RwLock<Node>>,
    shown: Shown,
}

/// Carrier of lan, wan and ha.
type Shown = Arc<Mutex<[bool; 3]>>;

/// A bed and two machines without power, with the same image and the same program.
///
/// # Errors
/// The guest's image cannot be built, or a disk cannot be made.
pub fn build(program: &Path, key: &str, wishes: &Wishes) -> Result<(Bed, [Machine; 2])> {
    let image = image()?;
    let folder = tempfile::Builder::new()
        .prefix("hil-pair-")
        .tempdir()
        .at("cannot make", "a folder for the pair")?;
    let clock = Clock::start();
    let boards = boards::both(wishes.cabling)?;
    let parts = [Part::Primary, Part::Secondary];
    // Each takes a second of copying.
    let made = std::thread::scope(|scope| {
        let make = |index: usize| {
            let (image, board, folder) = (&image, &boards[index], folder.path());
            let files = move |disk: &Path| {
                let mut files = product(program, disk, |_, shipped| shipped.to_owned())?;
                files.extend(site_of(parts[index], key, wishes));
                Ok(files)
            };
            scope.spawn(move || Machine::new(index, image, board, folder, clock, files))
        };
        [0, 1].map(make).map(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err(RigError::Input("a machine was not made".to_owned())))
        })
    });
    let [a, b] = made;
    let ((a, ports_of_a), (b, ports_of_b)) = (a?, b?);
    let ports = [ports_of_a, ports_of_b];
    let bed = Bed::wire(clock, wishes.cabling, boards, ports, QUESTION_EVERY, folder);
    Ok((bed, [a, b]))
}

/// Asked for once: apt takes seconds to say that nothing has changed.
fn image() -> Result<Image> {
    static FOUND: Mutex<Option<Image>> = Mutex::new(None);
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(image) = &*found {
        return Ok(image.clone());
    }
    let image = Image::prepare(&mut |what| eprintln!("hil: {what}"))?;
    Ok(found.insert(image).clone())
}

/// What makes one of the two of its disk.
fn site_of(part: Part, key: &str, wishes: &Wishes) -> Vec<Inject> {
    let place = site::Place {
        ports: ["eth0", "eth1", "eth2"],
        dead_man: DEAD_MAN,
        relink: RELINK,
        watchdog: "timeout_s = 30",
        key_file: KEY_FILE,
        tables: "",
    };
    let number = match part {
        Part::Primary => 1,
        Part::Secondary => 2,
    };
    let addresses = format!(
        "address add 192.0.2.{}/24 dev eth0\naddress add 198.51.100.{number}/30 dev eth2\n\
         link set eth0 up\nlink set eth1 up\nlink set eth2 up\n",
        number + 1
    );
    vec![
        Inject::text(SITE, site::toml(&place, part, wishes)),
        Inject {
            path: KEY_FILE.to_owned(),
            content: Content::Bytes(key.as_bytes().to_vec(), 0o600),
        },
        Inject::file(
            "/etc/systemd/system/fencepost.service.d/pair.conf",
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/systemd/pair.conf"),
            0o644,
        ),
        // No bridge: a hot Backup must not forward.
        Inject::text("/usr/lib/rig/bridge.ip", addresses),
        Inject::text("/etc/hostname", format!("{}\n", part.word())),
        Inject::text(
            "/etc/machine-id",
            format!("0f0e0d0c0b0a0908070605040302010{number}\n"),
        ),
    ]
}

impl Machine {
    fn new(
        index: usize,
        image: &Image,
        board: &SharedBoard,
        folder: &Path,
        clock: Clock,
        files: impl Fn(&Path) -> Result<Vec<Inject>>,
    ) -> Result<(Self, Ports)> {
        let folder = folder.join(index.to_string());
        std::fs::create_dir(&folder).at("cannot make", &folder)?;
        let config = Config {
            ha_port: true,
            command_line: "panic=1".to_owned(),
            ..Config::new(u8::from(index == 1), folder)
        };
        disk::create(image, &config.disk(), &files(&config.disk())?)?;
        let end = |port| {
            let (theirs, ours) = config.cable(port);
            to_machine((&theirs, &ours))
        };
        let (lan, wan, ha) = (end(0)?, end(1)?, end(2)?);
        let mac = config.mac(0);
        let board = Board::new(board.clone(), clock);
        let node = Arc::new(RwLock::new(Node::new(config, image.clone(), board)?));
        let shown: Shown = Arc::new(Mutex::new([false, false, true]));
        let machine = Self {
            node: Arc::clone(&node),
            shown: Arc::clone(&shown),
        };
        let carrier = move |port: Port, up: bool| {
            let place = port as usize;
            shown.lock().unwrap_or_else(PoisonError::into_inner)[place] = up;
            let node = node.read().unwrap_or_else(PoisonError::into_inner);
            // Without power there is nobody to show it to; the next one is told at its start.
            match node.qmp() {
                Ok(_) => node.set_link(place, up),
                Err(_) => Ok(()),
            }
        };
        let ports = Ports {
            lan,
            wan,
            ha,
            mac,
            carrier: Arc::new(carrier),
        };
        Ok((machine, ports))
    }

    fn look(&self) -> RwLockReadGuard<'_, Node> {
        self.node.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&self) -> RwLockWriteGuard<'_, Node> {
        self.node.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether its command channel has answered since it has power.
    fn is_up(&self) -> bool {
        let node = self.look();
        node.guest().is_ok_and(|guest| guest.hello().is_some())
    }

    fn shell(&self, script: &str) -> Result<String> {
        self.look().guest()?.shell(script, COMMAND)
    }

    fn signal(&self, name: &str) -> Result<()> {
        self.shell(&format!(
            "systemctl kill --kill-who=main -s {name} fencepost"
        ))
        .map(drop)
    }

    fn console(&self) -> PathBuf {
        self.look().config().console()
    }
}

impl Host for Machine {
    fn start(&mut self) -> Result<()> {
        let powered = self.hold().is_powered();
        match (powered, self.is_up()) {
            (false, _) => self.power_on(),
            // It boots, and starts its agent by itself.
            (true, false) => Ok(()),
            (true, true) => self.shell(SUPERVISED).map(drop),
        }
    }

    fn kill(&mut self) -> Result<()> {
        self.shell(UNSUPERVISED)?;
        self.signal("KILL")
    }

    fn crash(&mut self) -> Result<()> {
        self.signal("KILL")
    }

    fn freeze(&mut self) -> Result<()> {
        self.signal("STOP")
    }

    fn thaw(&mut self) -> Result<()> {
        // Its supervisor may have replaced it meanwhile, and a living one does not mind.
        self.signal("CONT")
    }

    fn terminate(&mut self) -> Result<()> {
        self.shell("systemctl stop --no-block fencepost").map(drop)
    }

    fn wait_ended(&mut self, timeout: Duration) -> bool {
        let until = std::time::Instant::now() + timeout;
        loop {
            let state = self.shell("systemctl is-active fencepost || true");
            if state.is_ok_and(|state| state.trim() == "inactive") {
                return true;
            }
            if std::time::Instant::now() > until {
                return false;
            }
        }
    }

    fn upgrade(&mut self) -> Result<()> {
        let script = format!(
            "cp {PROGRAM} {PROGRAM}.new && mv {PROGRAM}.new {PROGRAM} && systemctl restart fencepost"
        );
        self.shell(&script).map(drop)
    }

    fn pause(&mut self) -> Result<()> {
        self.look().pause()
    }

    fn resume(&mut self) -> Result<()> {
        self.look().resume()
    }

    fn panic(&mut self) -> Result<()> {
        // The answer dies with the kernel: nobody waits for it.
        let script = "(sleep 0.2; echo c > /proc/sysrq-trigger) > /dev/null 2>&1 &";
        self.shell(script).map(drop)
    }

    fn power_off(&mut self) -> Result<()> {
        self.hold().power_off();
        Ok(())
    }

    fn power_on(&mut self) -> Result<()> {
        let mut node = self.hold();
        node.power_on()?;
        // QEMU starts with every link up; the relay knows better.
        let shown = *self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for (place, up) in shown.into_iter().enumerate() {
            node.set_link(place, up)?;
        }
        Ok(())
    }

    fn ask(&self, request: Request) -> Result<Answer> {
        let answers = self.look().guest()?.ask(request)?;
        answers.into_iter().next().ok_or_else(|| {
            RigError::Input("no agent answers in the machine, or it refuses".to_owned())
        })
    }

    fn said(&self) -> String {
        let journal = self.shell(
            "journalctl -b --no-pager -o short-monotonic -n 150; systemctl status --no-pager -n 0 fencepost; ip address",
        );
        let console = std::fs::read_to_string(self.console()).unwrap_or_default();
        let tail: Vec<&str> = console.lines().rev().take(40).collect();
        let console: Vec<&str> = tail.into_iter().rev().collect();
        format!(
            "{}\n--- console ---\n{}",
            journal.unwrap_or_else(|error| error.to_string()),
            console.join("\n")
        )
    }
}
