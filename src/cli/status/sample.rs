//! Two fixed statuses for the tests of everything that shows one.

use std::time::Duration;

use fencepost::agent::stats::LoopStats;
use fencepost::board::controller::{CutState, DeadManReading, Evidence, Identity, RelayState};
use fencepost::control::{AgentStatus, HistoryHealth, Vips};
use fencepost::io::realtime::Grant;
use fencepost::node::event::{Standing, Verdict, WatchdogFacts};
use fencepost::node::pair::policy::MeansKind;
use fencepost::node::pair::preflight::{Finding, Fit};
use fencepost::node::pair::status::{LinkStatus, MeansStatus, PeerStatus, ServicesStatus};
use fencepost::node::pair::{LinkMeasure, PairStatus, Refusal, ServicesWanted};
use fencepost::node::policy::{Arming, CheckSeverity, Commissioning};
use fencepost::node::status::{
    CheckHealth, CheckStatus, DeadManStatus, SegmentMode, SegmentStatus, Status, Summary,
    WatchdogStatus,
};
use fencepost::node::{Cause, Fact, Instant, Level, Record};
use fencepost::wire::{Flags, HealthSummary, Introduction, Role, Text, Versions};

pub(in crate::cli) const AT: Instant = Instant::from_millis(600_000);

fn segment(name: &str, moves: u64) -> SegmentStatus {
    SegmentStatus {
        name: name.to_owned(),
        state: RelayState::Normal,
        evidence: Evidence::Contacts,
        wanted: RelayState::Normal,
        cause: Cause::PathProven,
        fail: CutState::Bypass,
        mode: SegmentMode::Auto,
        dwell_left: None,
        closes_last_hour: 1,
        moves,
        read_at: Some(AT),
    }
}

fn check(name: &str, severity: CheckSeverity, output: &str) -> CheckStatus {
    CheckStatus {
        name: name.to_owned(),
        severity,
        health: CheckHealth::Passing,
        verdict: Some(Verdict::Ok),
        output: output.to_owned(),
        reported_at: Some(AT - Duration::from_millis(400)),
    }
}

/// A Backup beside an Active.
const VERSIONS: Versions = Versions {
    protocol: 1,
    software: [0, 1, 0],
    firmware: [1, 0, 0],
};

pub(in crate::cli) fn backup() -> PairStatus {
    let heard = |ms| Some(AT - Duration::from_millis(ms));
    let link = |name: &str, ms, refused| LinkStatus {
        name: name.to_owned(),
        heard_at: heard(ms),
        refused,
        measure: LinkMeasure {
            missing: u32::try_from(refused).unwrap_or(0) * 3,
            of: 128,
            heard: 5_990,
            lost: refused * 5,
            round_trip: Some(Duration::from_micros(180 + 40 * refused)),
            round_trip_max: Some(Duration::from_millis(2)),
            fault: None,
        },
    };
    PairStatus {
        role: Role::Backup,
        epoch: 7,
        proof: None,
        active_since: None,
        quiet: true,
        quarantined: false,
        bound: false,
        right_until: None,
        pinned: false,
        peer_off: false,
        claim: None,
        peer: Some(PeerStatus {
            role: Role::Active,
            flags: Flags::default(),
            epoch: 7,
            health: HealthSummary::default(),
            heard_at: heard(4),
            versions: VERSIONS,
            introduction: Some(introduction("gate-a")),
            clock_ahead_ms: Some(-12),
        }),
        talking: true,
        links: vec![link("cable", 4, 0), link("lan", 9, 2)],
        means: vec![MeansStatus {
            name: "fence-wire".to_owned(),
            kind: MeansKind::FenceWire,
            proven_at: heard(120),
            fault: None,
        }],
        fence_test: None,
        services: Some(ServicesStatus {
            wanted: ServicesWanted::Stopped,
            done: true,
            fault: None,
        }),
        sync: None,
        stale_messages: 0,
        fence_orders_refused: 0,
        refusals: vec![Refusal::PeerServes],
        if_peer_died: Vec::new(),
        health: HealthSummary::default(),
        flags: Flags {
            ready: true,
            ..Flags::default()
        },
        preflight: vec![Finding {
            fit: Fit::Good,
            sentence: "both run fencepost 0.1.0".to_owned(),
        }],
        versions: VERSIONS,
        introduction: Some(introduction("gate-b")),
    }
}

fn introduction(host: &str) -> Introduction {
    Introduction {
        // Neither is empty.
        host: Text::of(host).unwrap(),
        model: Text::of("Fencepost reference controller"),
        firmware: Text::of("1.0.0"),
        commissioning: Commissioning::Done,
        wall_clock_ms: None,
    }
}

pub(in crate::cli) fn healthy() -> AgentStatus {
    let mut control_loop = LoopStats::new(Grant::Granted, Grant::Granted);
    control_loop.turns = 20_000;
    control_loop.deadlines = 12_345;
    control_loop.worst_late_us = 1_300;
    control_loop.late_counts = [12_000, 340, 5, 0, 0, 0, 0];
    let node = Status {
        pair: None,
        at: AT,
        summary: Summary::Green,
        reasons: Vec::new(),
        identity: Some(Identity {
            model: "Fencepost reference controller".to_owned(),
            firmware: Some("1.0".to_owned()),
            unique_id: Some("00c0ffee".to_owned()),
        }),
        controller_fault: None,
        segments: vec![segment("lan", 2), segment("wan", 1)],
        dead_man: DeadManStatus {
            arming: Arming::Required,
            period: Duration::from_secs(1),
            reading: DeadManReading::Running {
                period: Duration::from_secs(1),
                remaining: Some(Duration::from_millis(850)),
            },
            verified: true,
            kicked_at: Some(AT - Duration::from_millis(130)),
        },
        watchdog: Some(WatchdogStatus {
            facts: Some(WatchdogFacts {
                identity: "i6300ESB timer".to_owned(),
                timeout: Duration::from_secs(10),
                pretimeout: None,
                reset_by_watchdog: Some(false),
            }),
            fault: None,
            kept_at: Some(AT - Duration::from_millis(1_480)),
        }),
        checks: vec![
            check(
                "carrier-lan",
                CheckSeverity::Failover,
                "eth1 and eth2 have carrier",
            ),
            check("web", CheckSeverity::Notify, "HTTP 200"),
        ],
        maintenance: None,
        disarmed: None,
        commissioning: Commissioning::Done,
        ledger_fault: None,
        alarms: Vec::new(),
    };
    AgentStatus {
        version: "0.1.0".to_owned(),
        pid: 812,
        board: "reference".to_owned(),
        node,
        control_loop,
        history: HistoryHealth::Writing,
        vips: None,
    }
}

/// A whole node beside an Active.
pub(super) fn half_of_a_pair() -> AgentStatus {
    let mut status = healthy();
    status.node.pair = Some(backup());
    status.vips = Some(Vips {
        count: 3,
        first: ["192.0.2.1/24", "192.0.2.9/24", "2001:db8::1/64"]
            .map(|vip| format!("{vip} on lan0"))
            .to_vec(),
    });
    status
}

pub(super) fn pair_in_trouble() -> AgentStatus {
    let mut status = half_of_a_pair();
    status.node.summary = Summary::Red;
    status.node.reasons = vec![
        "nobody serves that this node hears of; it does not itself: this node was fenced or \
         crashed and has not joined since; it does not take over alone"
            .to_owned(),
        "the peer is not heard".to_owned(),
        "link lan cannot be used: No such device (os error 19)".to_owned(),
    ];
    let pair = backup();
    let silent = Some(AT - Duration::from_secs(75));
    status.node.pair = Some(PairStatus {
        quarantined: true,
        talking: false,
        peer: pair.peer.map(|peer| PeerStatus {
            heard_at: silent,
            introduction: peer.introduction.map(|told| Introduction {
                host: Text::of("the-gateway-with-the-longest-name-in-the-house").unwrap(),
                firmware: None,
                commissioning: Commissioning::Missing,
                ..told
            }),
            clock_ahead_ms: Some(95_000),
            health: HealthSummary {
                failing: 2,
                warning: 0,
            },
            ..peer
        }),
        links: pair
            .links
            .into_iter()
            .map(|link| LinkStatus {
                heard_at: silent,
                measure: LinkMeasure {
                    missing: 128,
                    fault: (link.name == "lan").then(|| "No such device (os error 19)".to_owned()),
                    ..link.measure
                },
                ..link
            })
            .collect(),
        means: pair
            .means
            .into_iter()
            .map(|means| MeansStatus {
                proven_at: None,
                fault: Some(
                    "the acknowledge line reads active although nothing is held".to_owned(),
                ),
                ..means
            })
            .collect(),
        refusals: vec![Refusal::Quarantined],
        if_peer_died: vec![Refusal::Quarantined],
        preflight: vec![Finding {
            fit: Fit::Refused,
            sentence: "the peer is not heard both ways: nothing can be compared".to_owned(),
        }],
        ..backup()
    });
    status
}

pub(super) fn in_trouble() -> AgentStatus {
    let mut status = healthy();
    status.control_loop.realtime =
        Grant::Refused("the control thread cannot run at SCHED_FIFO 20 (EPERM)".to_owned());
    status.history = HistoryHealth::Failing {
        error: "No space left on device".to_owned(),
        held: 3,
        lost: 0,
    };
    let node = &mut status.node;
    node.summary = Summary::Red;
    let fault = "no acknowledge from 0x42 on /dev/fencepost/smbus (block read)".to_owned();
    node.reasons = vec![
        format!("controller lost: {fault}"),
        "segment wan is Bypass: check carrier-lan fails".to_owned(),
        "check ids said: drop | alert".to_owned(),
    ];
    node.controller_fault = Some(fault.clone());
    node.segments[0].state = RelayState::Unknown;
    node.segments[0].evidence = Evidence::Nothing;
    node.segments[0].mode = SegmentMode::Forced {
        by: "anna".to_owned(),
    };
    node.segments[0].cause = Cause::Operator("anna".to_owned());
    node.segments[1].state = RelayState::Bypass;
    node.segments[1].wanted = RelayState::Bypass;
    node.segments[1].cause = Cause::Dwelling;
    node.segments[1].dwell_left = Some(Duration::from_millis(3_200));
    node.dead_man.verified = false;
    node.dead_man.reading = DeadManReading::Expired;
    if let Some(watchdog) = &mut node.watchdog {
        watchdog.facts = None;
        watchdog.fault = Some("/dev/watchdog0 is busy: held by wd_keepalive (pid 77)".to_owned());
    }
    node.checks[0].health = CheckHealth::Failing;
    node.checks[0].verdict = Some(Verdict::Critical);
    node.checks[0].output =
        "eth2 has no carrier; the switch at the other end was last seen two hours ago by LLDP"
            .to_owned();
    node.maintenance = Some(Standing {
        by: "root".to_owned(),
        reason: "replacing the fan".to_owned(),
    });
    node.commissioning = Commissioning::Missing;
    node.ledger_fault = Some("No space left on device".to_owned());
    node.alarms = vec![Record {
        sequence: 17,
        at: AT - Duration::from_secs(75),
        level: Level::Alarm,
        fact: Fact::ControllerLost { fault },
    }];
    status
}
