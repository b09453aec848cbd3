//! What the agent is started with: the site, reduced to what each part needs.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::board::open::{Wiring, open};
use crate::config::pair::{How, KeyFileError, Pair, PairLink, PairVip, load_keys};
use crate::config::{Check, Site, WatchdogMode};
use crate::control::{VIPS_SHOWN_MAX, Vips};
use crate::io::control;
use crate::io::controller_thread::Opener;
use crate::io::fence::external::ExternalSpec;
use crate::io::hooks::HookSpec;
use crate::io::links::LinkSpec;
use crate::io::netlink::Vip;
use crate::io::realtime::Priority;
use crate::io::services::ServicesSpec;
use crate::io::tracking::Tracker;
use crate::io::watchdog::WatchdogSpec;
use crate::node::Policy;
use crate::node::policy::Commissioning;
use crate::wire::{KeyRing, Side};

/// Everything the agent needs to know, reduced from configuration, board and command line.
pub struct Setup {
    /// Board id, for people.
    pub board: String,
    /// What the node is told to want.
    pub policy: Policy,
    /// Opens the controller.
    pub opener: Opener,
    /// In the order of the policy's checks.
    pub checks: Vec<Check>,
    /// The watchdog; there if and only if the policy has one.
    pub watchdog: Option<WatchdogSpec>,
    /// Where to be asked, and by whom.
    pub socket: control::Spec,
    /// For the ledger and the event history.
    pub state_directory: PathBuf,
    /// For the lock and the note of where segments are left; memory, cleared by a reboot.
    pub run_directory: PathBuf,
    /// Of the control thread.
    pub control_priority: Priority,
    /// Of the threads that wait for hardware.
    pub bus_priority: Priority,
    /// Whether to lock memory.
    pub memory: Memory,
    /// Where to record everything the node is told.
    pub record: Option<PathBuf>,
    /// The pair, if this is half of one; there if and only if the policy has one.
    pub pair: Option<PairSpec>,
}

/// What the pair's adapters need.
#[derive(Debug, Clone)]
pub struct PairSpec {
    /// Which of the two.
    pub side: Side,
    /// The keys.
    pub keys: KeyRing,
    /// Heartbeat links, in the policy's order.
    pub links: Vec<LinkSpec>,
    /// Addresses.
    pub vips: Vec<Vip>,
    /// The program told of changes of role.
    pub hook: Option<HookSpec>,
    /// Programs that take the peer's power, by the index of their means in the policy.
    pub externals: Vec<(usize, ExternalSpec)>,
    /// Of each address in the kernel.
    pub vip_lifetime: Duration,
    /// conntrackd, if it is used.
    pub tracker: Option<Tracker>,
    /// Units bound to the role.
    pub services: Option<ServicesSpec>,
    /// Where the sync service is asked, if there shall be one.
    pub sync_socket: Option<PathBuf>,
}

/// Priorities as keepalived's documentation has them.
const PREFERRED: u8 = 150;
const ORDINARY: u8 = 100;

/// Whether the process's memory is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// It is; the agent's place.
    Locked,
    /// It is not; for tests.
    Pageable,
}

impl Setup {
    /// For this site, with the controller behind this wiring.
    ///
    /// # Errors
    /// The pair's keys cannot be had.
    pub fn new<W: Wiring + Send + 'static>(
        site: &Site,
        commissioning: Commissioning,
        wiring: W,
    ) -> Result<Self, KeyFileError> {
        let config = &site.config;
        let policy = site.policy(commissioning);
        let pair = match (&config.pair, &policy.pair) {
            (Some(pair), Some(_)) => Some(PairSpec {
                sync_socket: config.sync.as_ref().map(|sync| sync.socket.clone()),
                ..PairSpec::new(pair)?
            }),
            _ => None,
        };
        Ok(Self {
            board: site.board.id.clone(),
            policy,
            opener: opener(site, wiring),
            checks: config.checks.clone(),
            watchdog: watchdog(site),
            socket: control::Spec {
                path: config.control.socket.clone(),
                readers: config.control.readers_group.clone(),
                operators: config.control.operators_group.clone(),
                board: site.board.id.clone(),
                vips: config.pair.as_ref().map(vips),
            },
            state_directory: config.state.dir.clone(),
            run_directory: config.state.runtime_dir.clone(),
            control_priority: Priority::CONTROL,
            bus_priority: Priority::BUS,
            memory: Memory::Locked,
            record: config.record.clone(),
            pair,
        })
    }
}

impl PairSpec {
    fn new(pair: &Pair) -> Result<Self, KeyFileError> {
        let link = |link: &PairLink| LinkSpec {
            name: link.name.clone(),
            local: link.local,
            peer: link.peer,
            interface: link.interface.clone(),
        };
        let vip = |vip: &PairVip| Vip {
            interface: vip.interface.clone(),
            address: vip.address,
            prefix: vip.prefix,
        };
        Ok(Self {
            side: pair.node,
            keys: load_keys(&pair.key_file)?,
            links: pair.links.iter().map(link).collect(),
            vips: pair.vips.iter().map(vip).collect(),
            hook: pair.notify.as_ref().map(|notify| HookSpec {
                argv: notify.argv.clone(),
                limit: notify.limit,
                priority: match pair.node {
                    Side::Preferred => PREFERRED,
                    Side::Other => ORDINARY,
                },
            }),
            externals: externals(pair),
            vip_lifetime: pair.vip_lifetime,
            tracker: pair.conntrackd.map(Tracker::new),
            services: pair.services.as_ref().map(|services| ServicesSpec {
                units: services.units.clone(),
                limit: services.limit,
            }),
            sync_socket: None,
        })
    }
}

fn vips(pair: &Pair) -> Vips {
    let shown = pair.vips.iter().take(VIPS_SHOWN_MAX);
    let name = |vip: &PairVip| format!("{}/{} on {}", vip.address, vip.prefix, vip.interface);
    Vips {
        count: pair.vips.len(),
        first: shown.map(name).collect(),
    }
}

fn externals(pair: &Pair) -> Vec<(usize, ExternalSpec)> {
    let means = pair.means.iter().flatten().enumerate();
    means
        .filter_map(|(index, means)| {
            let How::External(external) = &means.how else {
                return None;
            };
            let spec = ExternalSpec {
                program: external.program.clone(),
                options: external.options.clone(),
                secrets: external.secrets.clone(),
                limit: means.limit(),
            };
            Some((index, spec))
        })
        .collect()
}

fn opener<W: Wiring + Send + 'static>(site: &Site, mut wiring: W) -> Opener {
    let board = site.board.clone();
    // The site's board holds the segments in use and no others.
    let used: BTreeSet<usize> = (0..board.segments.len()).collect();
    Box::new(move || open(&board, &used, &mut wiring))
}

fn watchdog(site: &Site) -> Option<WatchdogSpec> {
    let wanted = &site.config.watchdog;
    match wanted.mode {
        WatchdogMode::Off => None,
        WatchdogMode::Systemd => Some(WatchdogSpec::Systemd),
        WatchdogMode::Device => Some(WatchdogSpec::Device {
            path: wanted.device.clone(),
            timeout: wanted.timeout,
            pretimeout: wanted.pretimeout,
        }),
    }
}
