//! The procedure against a board of memory whose wiring can be wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::*;
use crate::board::catalogue;
use crate::board::controller::{
    ArmProof, Armed, Evidence, Identity, Latch, Reading, SegmentReading, SegmentSettings, Ticket,
};
use crate::commissioning::{Missing, RECORD_FILE, Record, load, save};
use crate::config::Config;
use crate::diagnose::Source;

const RELINK: Duration = Duration::from_millis(1_500);
const PATIENCE: Duration = Duration::from_secs(15);

fn site(ports: [[&str; 2]; 2]) -> Site {
    let text = format!(
        "board = \"reference\"\n\
         [[segment]]\nname = \"lan\"\nports = {:?}\n\
         [[segment]]\nname = \"wan\"\nports = {:?}\nfail = \"disconnect\"\n",
        ports[0], ports[1]
    );
    let config = Config::parse(&Source::new("test", text)).unwrap();
    Site::new(config, &catalogue::load(&[], "reference").unwrap()).unwrap()
}

fn as_wired() -> Site {
    site([["eth0", "eth1"], ["eth2", "eth3"]])
}

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// Orders to one segment move the other's relay, and it reads so.
    Swapped,
    NoCable,
    /// The relay keeps its place, and says so.
    Stuck,
    /// The relay keeps its place and claims to have moved.
    ReadBackLies,
    NeverFires,
    FiresLate,
    FiresIntoTheWrongState,
    /// Both relays are tied together; joined ports in Bypass let it be seen.
    MovesAlong,
    /// Not wrong: what can be read is the coil's drive, which knows nothing of the timer behind it.
    OnlyDriveReadable,
    /// Not wrong: the host's two ports are joined with each other in Bypass.
    PortsJoinedInBypass,
}

struct World {
    wrong: Wrong,
    now: Instant,
    relays: [RelayState; 2],
    claimed: [RelayState; 2],
    moved_at: [Instant; 2],
    losses: BTreeMap<String, u64>,
    expires: Option<Instant>,
    settings: Vec<SegmentSettings>,
    interrupt_at: Option<Instant>,
}

impl World {
    fn pass(&mut self, span: Duration) {
        self.now += span;
        let late = if self.wrong == Wrong::FiresLate {
            Duration::from_secs(2)
        } else {
            Duration::ZERO
        };
        if self.expires.is_some_and(|at| self.now >= at + late) && self.wrong != Wrong::NeverFires {
            self.expires = None;
            for relay in 0..2 {
                let set = self.settings[relay].expiry.unwrap();
                let to = match (self.wrong, set) {
                    (Wrong::FiresIntoTheWrongState, CutState::Disconnect) => RelayState::Bypass,
                    _ => set.into(),
                };
                let claimed = self.claimed[relay];
                self.go(relay, to);
                if self.wrong == Wrong::OnlyDriveReadable {
                    self.claimed[relay] = claimed;
                }
            }
        }
    }

    fn evidence(&self) -> Evidence {
        if self.wrong == Wrong::OnlyDriveReadable {
            Evidence::Drive
        } else {
            Evidence::Contacts
        }
    }

    fn go(&mut self, relay: usize, to: RelayState) {
        self.claimed[relay] = to;
        if self.relays[relay] == to || matches!(self.wrong, Wrong::Stuck | Wrong::ReadBackLies) {
            return;
        }
        for port in [2 * relay, 2 * relay + 1].map(|port| format!("eth{port}")) {
            if self.carrier(&port) {
                *self.losses.entry(port).or_default() += 1;
            }
        }
        self.relays[relay] = to;
        self.moved_at[relay] = self.now;
        if self.wrong == Wrong::MovesAlong {
            self.go(1 - relay, to);
        }
    }

    fn carrier(&self, port: &str) -> bool {
        let number: usize = port.trim_start_matches("eth").parse().unwrap();
        let relay = number / 2;
        let joined = match self.relays[relay] {
            RelayState::Normal => self.wrong != Wrong::NoCable || port != "eth1",
            RelayState::Bypass => {
                matches!(self.wrong, Wrong::PortsJoinedInBypass | Wrong::MovesAlong)
            }
            _ => false,
        };
        joined && self.now >= self.moved_at[relay] + RELINK
    }
}

#[derive(Clone)]
struct View(Arc<Mutex<World>>);

impl View {
    fn new(wrong: Wrong) -> Self {
        Self(Arc::new(Mutex::new(World {
            wrong,
            now: Instant::from_millis(1_000_000),
            relays: [RelayState::Bypass; 2],
            claimed: [RelayState::Bypass; 2],
            moved_at: [Instant::ZERO; 2],
            losses: BTreeMap::new(),
            expires: None,
            settings: vec![SegmentSettings::default(); 2],
            interrupt_at: None,
        })))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    fn order(&self, segment: usize, to: RelayState) -> Result<Moved, Fault> {
        let mut world = self.world();
        world.pass(Duration::from_millis(10));
        let before = world.claimed[segment];
        let relay = if world.wrong == Wrong::Swapped {
            1 - segment
        } else {
            segment
        };
        world.go(relay, to);
        world.claimed[segment] = to;
        let read = if world.wrong == Wrong::Stuck {
            before
        } else {
            to
        };
        if read != to {
            return Err(Fault::NotMoved {
                segment,
                wanted: to,
                read,
            });
        }
        let after = SegmentReading {
            state: read,
            evidence: world.evidence(),
        };
        Ok(Moved {
            before,
            after,
            commanded: true,
        })
    }
}

impl Controller for View {
    fn identify(&mut self) -> Result<Identity, Fault> {
        Ok(Identity::default())
    }

    fn read(&mut self) -> Result<Reading, Fault> {
        let world = self.world();
        let segments = world.claimed.map(|state| SegmentReading {
            state,
            evidence: world.evidence(),
        });
        Ok(Reading {
            segments: segments.to_vec(),
            dead_man: DeadManReading::Unknown,
            latch: Latch::Absent,
            generation: 0,
        })
    }

    fn configure(&mut self, settings: &[SegmentSettings]) -> Result<(), Fault> {
        self.world().settings = settings.to_vec();
        Ok(())
    }

    fn arm(&mut self, period: Duration) -> Result<Armed, Fault> {
        let mut world = self.world();
        world.expires = Some(world.now + period);
        Ok(Armed {
            effective: period,
            proof: ArmProof::ReadBack,
        })
    }

    fn kick(&mut self, alive_until: Instant) -> Result<(), Fault> {
        let mut world = self.world();
        // As the real one: a kick after the expiry changes nothing.
        if world.expires.is_some() {
            world.expires = Some(alive_until);
        }
        Ok(())
    }

    fn disarm(&mut self) -> Result<(), Fault> {
        self.world().expires = None;
        Ok(())
    }

    fn take_ticket(&mut self) -> Result<Ticket, Fault> {
        Ok(Ticket(1))
    }

    fn close(&mut self, segment: usize, _ticket: Ticket) -> Result<Moved, Fault> {
        if self.world().expires.is_none() {
            let (what, reason) = ("close".to_owned(), "the dead-man does not run".to_owned());
            return Err(Fault::Refused { what, reason });
        }
        self.order(segment, RelayState::Normal)
    }

    fn cut(&mut self, segment: usize, state: CutState) -> Result<Moved, Fault> {
        self.order(segment, state.into())
    }
}

impl Bench for View {
    fn now(&self) -> Instant {
        self.world().now
    }

    fn pause(&mut self, span: Duration) {
        self.world().pass(span);
    }

    fn link(&mut self, port: &PortRef) -> Result<Link, String> {
        let world = self.world();
        let name = port_name(port);
        let losses = world.losses.get(&name).copied().unwrap_or(0);
        Ok(Link {
            carrier: world.carrier(&name),
            losses,
        })
    }

    fn tell(&mut self, _text: &str) {}

    fn interrupted(&mut self) -> bool {
        let world = self.world();
        world.interrupt_at.is_some_and(|at| world.now >= at)
    }
}

fn run(site: &Site, view: &View) -> Result<Vec<SegmentProof>, Stopped> {
    prove(site, &mut view.clone(), &mut view.clone(), PATIENCE)
}

fn disproved(site: &Site, wrong: Wrong) -> String {
    match run(site, &View::new(wrong)) {
        Err(stopped @ Stopped::Disproved { .. }) => stopped.to_string(),
        other => panic!("{wrong:?}: {other:?}"),
    }
}

#[test]
fn a_board_wired_as_described_is_proven_and_left_safe() {
    let view = View::new(Wrong::Nothing);
    let proofs = run(&as_wired(), &view).unwrap();
    let states: Vec<RelayState> = proofs[1].steps.iter().map(|step| step.state).collect();
    // The fail state is the last cut, and the dead-man is let fire from Normal.
    use RelayState::{Bypass, Disconnect, Normal};
    assert_eq!(states, [Normal, Bypass, Normal, Disconnect, Normal]);
    let period = as_wired().timing.period.as_millis();
    for proof in &proofs {
        let measured = u128::from(proof.dead_man_ms.unwrap());
        assert!((period..period + 50).contains(&measured), "{measured} ms");
        assert!(proof.steps[0].carrier_ms >= 1_500, "{proof:?}");
    }
    let world = view.world();
    assert_eq!(world.relays, [Bypass, Disconnect]);
    assert_eq!(world.expires, None);
}

#[test]
fn ports_joined_in_bypass_are_no_fault() {
    run(&as_wired(), &View::new(Wrong::PortsJoinedInBypass)).unwrap();
}

#[test]
fn a_dead_man_behind_the_coil_drive_is_seen_at_the_ports() {
    let view = View::new(Wrong::OnlyDriveReadable);
    let proofs = run(&as_wired(), &view).unwrap();
    assert!(proofs[0].dead_man_ms.is_some());
    assert_eq!(
        view.world().relays,
        [RelayState::Bypass, RelayState::Disconnect]
    );
}

#[test]
fn whatever_is_wrong_is_found_and_told() {
    let table = [
        (Wrong::Swapped, "no carrier"),
        (Wrong::NoCable, "eth1 got no carrier"),
        (Wrong::Stuck, "should be"),
        (Wrong::ReadBackLies, "no carrier"),
        (Wrong::NeverFires, "did not fire"),
        (Wrong::FiresLate, "its period is"),
        (Wrong::FiresIntoTheWrongState, "should be Disconnect"),
    ];
    for (wrong, words) in table {
        let told = disproved(&as_wired(), wrong);
        assert!(told.contains(words), "{wrong:?}: {told}");
    }
}

#[test]
fn cabling_other_than_configured_is_found() {
    let told = disproved(&site([["eth2", "eth3"], ["eth0", "eth1"]]), Wrong::Nothing);
    assert!(
        told.contains("segment lan") && told.contains("no carrier"),
        "{told}"
    );
    let told = disproved(&site([["eth0", "eth2"], ["eth1", "eth3"]]), Wrong::Nothing);
    assert!(told.contains("eth2 got no carrier"), "{told}");
}

#[test]
fn a_neighbour_that_moves_along_is_found() {
    let told = disproved(&as_wired(), Wrong::MovesAlong);
    assert!(told.contains("segment wan lost carrier"), "{told}");
}

#[test]
fn an_interrupt_ends_with_every_segment_cut() {
    let view = View::new(Wrong::Nothing);
    view.world().interrupt_at = Some(Instant::from_millis(1_001_000));
    assert_eq!(
        run(&as_wired(), &view),
        Err(Stopped::Unfinished("interrupted".to_owned()))
    );
    let world = view.world();
    assert_eq!(world.relays, [RelayState::Bypass, RelayState::Disconnect]);
    assert_eq!(world.expires, None);
}

fn record() -> Record {
    let proofs = run(&as_wired(), &View::new(Wrong::Nothing)).unwrap();
    Record::new(&as_wired(), "anna".to_owned(), Identity::default(), proofs)
}

#[test]
fn a_record_counts_for_its_own_wiring_only() {
    let directory = tempfile::tempdir().unwrap();
    let missing = load(directory.path(), &as_wired()).unwrap_err();
    assert!(matches!(missing, Missing::NoRecord { .. }), "{missing}");
    save(directory.path(), record()).unwrap();
    assert_eq!(
        load(directory.path(), &as_wired()).unwrap().operator,
        "anna"
    );

    let moved = site([["eth0", "eth1"], ["eth2", "eth4"]]);
    let told = load(directory.path(), &moved).unwrap_err().to_string();
    assert!(
        told.contains("segment wan had ports eth2 and eth3 and has eth2 and eth4"),
        "{told}"
    );
}

#[test]
fn policy_may_change_without_a_new_commissioning() {
    let directory = tempfile::tempdir().unwrap();
    save(directory.path(), record()).unwrap();
    let mut other = as_wired();
    other.config.segments[0].dwell = Duration::from_secs(60);
    other.board.title = "corrected".to_owned();
    load(directory.path(), &other).unwrap();
}

#[test]
fn an_edited_or_damaged_record_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = save(directory.path(), record()).unwrap();
    assert!(path.ends_with(RECORD_FILE));
    let text = std::fs::read_to_string(&path).unwrap();
    let damaged = [
        text.replace("anna", "otto"),
        text[..text.len() / 2].to_owned(),
        String::new(),
    ];
    for text in damaged {
        std::fs::write(&path, text).unwrap();
        let missing = load(directory.path(), &as_wired()).unwrap_err();
        assert!(matches!(missing, Missing::Unreadable { .. }), "{missing}");
    }
}
