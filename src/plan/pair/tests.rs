use super::super::{Plan, Verdict};
use super::*;
use crate::board::catalogue;
use crate::config::Config;
use crate::diagnose::Source;

const MS: Duration = Duration::from_millis(1);

/// A pair on this board; each of the texts goes into its table.
fn site(board: &str, top: &str, segment: &str, pair: &str, rest: &str) -> Site {
    let text = format!(
        "board = \"{board}\"\n{top}\n[[segment]]\nname = \"office\"\nports = [\"lan0\", \"wan0\"]\n{segment}\n\
         [pair]\nnode = \"primary\"\n{pair}\n\
         [[link]]\nname = \"cable\"\ninterface = \"ha0\"\nprimary = \"198.51.100.1\"\nsecondary = \"198.51.100.2\"\n\
         [[vip]]\ninterface = \"lan0\"\nvirtual = [\"192.0.2.1\"]\n{rest}\n"
    );
    let config = Config::parse(&Source::new("fencepost.toml", text));
    let config = config.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let board = catalogue::load(&[], &config.board).unwrap();
    Site::new(config, &board).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

const PARALLEL: &str = "topology = \"parallel\"";
const SERIES: &str = "topology = \"series\"";
const OPEN: &str = "fail = \"disconnect\"";

fn parallel(pair: &str, rest: &str) -> Plan {
    Plan::draw(&site("reference", PARALLEL, OPEN, pair, rest))
}

#[test]
fn every_profile_holds_on_the_reference_board_in_every_topology() {
    for profile in ["fast", "default", "conservative"] {
        for (top, segment, standby) in [
            (PARALLEL, OPEN, "standby = \"hot\""),
            (PARALLEL, OPEN, "standby = \"cold\""),
            (SERIES, "", ""),
        ] {
            let pair = format!("profile = \"{profile}\"\n{standby}");
            let plan = Plan::draw(&site("reference", top, segment, &pair, ""));
            assert_eq!(
                plan.refusals,
                Vec::<String>::new(),
                "{profile} {top} {standby}"
            );
            let pair = plan.pair.unwrap();
            assert!(matches!(pair.lease, LeasePlan::Used { .. }));
            for inequality in &pair.chain {
                assert_eq!(
                    inequality.verdict,
                    Verdict::Holds,
                    "{profile} {inequality:?}"
                );
            }
        }
    }
}

/// What is written in `[pair]`, what elsewhere, and the one sentence that refuses it.
const REFUSED: [(&str, &str, &str); 4] = [
    (
        "heartbeat_ms = 5",
        "",
        "one lost heartbeat on a busy machine",
    ),
    (
        "heartbeat_ms = 5\nsuspect_after_ms = 100",
        "",
        "the winner must relink",
    ),
    ("boot_hold_ms = 0", "", "a peer it had no time to hear"),
    (
        "profile = \"fast\"",
        "[dead_man]\nperiod_ms = 4000",
        "between two kicks",
    ),
];

#[test]
fn times_that_cannot_hold_are_refused_each_for_its_own_reason() {
    for (pair, rest, reason) in REFUSED {
        let plan = parallel(pair, rest);
        let found: Vec<&String> = plan
            .refusals
            .iter()
            .filter(|it| it.contains(reason))
            .collect();
        assert_eq!(found.len(), 1, "{pair} {rest}: {:?}", plan.refusals);
        assert!(!parallel("", "").refusals.contains(found[0]));
    }
}

/// Worse service, but safe.
const WARNED: [(&str, &str, &str); 3] = [
    ("suspect_after_ms = 150", "", "three lost heartbeats"),
    ("restart_grace_ms = 100", "", "taken for its death"),
    (
        "profile = \"conservative\"\nvip_lifetime_s = 6",
        "",
        "while the Backup still waits for it",
    ),
];

#[test]
fn times_that_only_cost_service_are_said_and_not_refused() {
    for (pair, rest, reason) in WARNED {
        let plan = parallel(pair, rest);
        let count = plan
            .warnings
            .iter()
            .filter(|it| it.contains(reason))
            .count();
        assert_eq!(
            (count, plan.refusals.len()),
            (1, 0),
            "{pair}: {:?}",
            plan.warnings
        );
    }
    let many: Vec<String> = (0..1_000)
        .map(|at| format!("\"10.1.{}.{}\"", at / 250, at % 250 + 1))
        .collect();
    let many = format!(
        "[[vip]]\ninterface = \"lan0\"\nvirtual = [{}]",
        many.join(", ")
    );
    let plan = parallel("profile = \"fast\"", &many);
    assert!(
        plan.warnings
            .iter()
            .any(|it| it.contains("addresses are still there")),
        "{:?}",
        plan.warnings
    );
}

#[test]
fn relay_settings_must_fit_the_cabling() {
    let refusals =
        |top: &str, segment: &str| Plan::draw(&site("reference", top, segment, "", "")).refusals;
    let cases = [
        (
            PARALLEL,
            "fail = \"bypass\"\npower_up = \"disconnect\"\nexpiry = \"disconnect\"",
            "fail is Bypass, but in topology parallel only Disconnect takes a host off the wire; set fail = \"disconnect\"",
        ),
        (
            PARALLEL,
            "fail = \"disconnect\"\npower_up = \"bypass\"",
            "power-up is Bypass; in topology parallel",
        ),
        (
            PARALLEL,
            "fail = \"disconnect\"\nexpiry = \"bypass\"",
            "expiry is Bypass; in topology parallel",
        ),
        (
            SERIES,
            "fail = \"disconnect\"",
            "fail is Disconnect, but in topology series only Bypass",
        ),
    ];
    for (top, segment, reason) in cases {
        let found = refusals(top, segment);
        assert_eq!(found.len(), 1, "{segment}: {found:?}");
        assert!(found[0].contains(reason), "{found:?}");
    }
}

#[test]
fn a_board_that_may_not_use_the_lease_says_which_fact_forbids_it() {
    let cases = [
        ("gpio-monostable", "expiry is not sticky"),
        (
            "caswell-gen2/car-3000",
            "no public source says whether its dead-man's expiry is sticky",
        ),
        ("gpio-latching", "it has no dead-man"),
    ];
    for (board, reason) in cases {
        let plan = Plan::draw(&site(board, SERIES, "", "", ""));
        let Some(PairPlan {
            lease: LeasePlan::Refused { why },
            ..
        }) = &plan.pair
        else {
            panic!("{board} may use the lease");
        };
        assert!(why.contains(reason), "{board}: {why}");
        assert!(
            plan.refusals
                .iter()
                .any(|it| it.contains("nothing could ever prove") && it.contains(reason)),
            "{board}: {:?}",
            plan.refusals
        );
    }
    // Nor does an agent's word help that a silent peer cannot give; a program's does.
    let agent = "[[means]]\nkind = \"peer-agent\"";
    let refusals = |means: &str| {
        let plan = Plan::draw(&site("gpio-monostable", SERIES, "", "", means));
        plan.refusals.join("\n")
    };
    let told = refusals(agent);
    assert!(
        told.contains("off the wire: a silent peer's agent answers no order, and"),
        "{told}"
    );
    let program = format!(
        "{agent}\n[[means]]\nkind = \"external\"\nprogram = \"/bin/fence\"\n\
         primary = {{ plug = \"1\" }}\nsecondary = {{ plug = \"2\" }}"
    );
    let told = refusals(&program);
    assert!(!told.contains("nothing could ever prove"), "{told}");
    // A sticky expiry alone is not enough.
    let mut bare = site("reference", PARALLEL, OPEN, "", "");
    bare.board.dead_man.kind = DeadManKind::Kick;
    let plan = draw(&bare).unwrap();
    let LeasePlan::Refused { why } = plan.lease else {
        panic!("a bare kick may use the lease")
    };
    assert!(why.contains("its kick names no deadline"), "{why}");
}

#[test]
fn what_no_source_states_may_be_a_loop() {
    let mut unknown = site("reference", PARALLEL, OPEN, "", "");
    unknown.board.segments[0].power_off = crate::board::profile::SettingSpec {
        possible: Vec::new(),
        kept: crate::board::profile::Kept::Unknown,
    };
    unknown.settings[0].power_off = None;
    let plan = Plan::draw(&unknown);
    assert!(plan.refusals[0].contains("power-off is in no public source, so it may be Bypass"));
}

#[test]
fn only_a_cold_standby_pays_for_relinking() {
    let [hot, cold] =
        ["hot", "cold"].map(|standby| parallel(&format!("standby = \"{standby}\""), "").render());
    assert!(!hot.contains("of renegotiation are added"), "{hot}");
    assert!(
        cold.contains("1 to 6 s of renegotiation are added"),
        "{cold}"
    );
    assert!(cold.contains("close, read back"), "{cold}");
}

type Change = fn(&mut Given, Duration);

fn lease(given: &mut Given) -> &mut LeasePolicy {
    given.lease.as_mut().unwrap()
}

/// Each inequality by its consequence, how its left side grows and how its right side shrinks.
fn mutants() -> Vec<(&'static str, Verdict, Change, Change)> {
    use Verdict::{Fails, Warns};
    vec![
        (
            "one lost heartbeat",
            Fails,
            |g, d| g.timing.heartbeat_every += d,
            |g, d| g.timing.suspect_after -= d,
        ),
        (
            "three lost",
            Warns,
            |g, d| g.timing.heartbeat_every += d,
            |g, d| g.timing.suspect_after -= d,
        ),
        (
            "must relink",
            Fails,
            |g, d| g.command += d,
            |g, d| g.timing.active_lead -= d,
        ),
        (
            "no time to hear",
            Fails,
            |g, d| g.timing.active_lead += d,
            |g, d| g.timing.boot_hold -= d,
        ),
        (
            "counts as failed",
            Fails,
            |g, d| g.timing.probe_every += d,
            |g, d| g.timing.probe_stale_after -= d,
        ),
        (
            "takes both down",
            Fails,
            |g, d| g.means += d,
            |g, d| lease(g).right -= d,
        ),
        (
            "still there; safe",
            Warns,
            |g, d| g.vips += d,
            |g, d| lease(g).drop_lead -= d,
        ),
        (
            "by the lease while",
            Fails,
            |g, d| g.settle += d,
            |g, d| lease(g).wait -= d * 1_001 / 1_000,
        ),
        (
            "relay that sticks",
            Fails,
            |g, d| g.vip_lifetime += d,
            |g, d| lease(g).doubt -= d,
        ),
        (
            "between two kicks",
            Fails,
            |g, d| g.kick_every += d,
            |g, d| lease(g).right -= d,
        ),
        (
            "lets its right end",
            Warns,
            |g, d| g.kick_every += d,
            |g, d| lease(g).right -= d,
        ),
        (
            "taken for its death",
            Warns,
            |g, d| g.timing.restart_grace -= d,
            |g, d| g.timing.restart_grace -= d,
        ),
        (
            "only restarting",
            Fails,
            |g, d| g.timing.refresh_every += d,
            |g, d| g.vip_lifetime -= d,
        ),
        (
            "still waits",
            Warns,
            |g, d| g.timing.refresh_every += d,
            |g, d| g.vip_lifetime -= d,
        ),
    ]
}

/// Up to its bound each inequality holds, a millisecond past it not, from either side.
#[test]
fn each_side_of_each_inequality_matters() {
    let site = site("reference", PARALLEL, OPEN, "", "");
    let policy = site.policy(Commissioning::Done).pair.unwrap();
    let given = Given::new(&site, &policy).unwrap();
    let whole = chain::chain(&given);
    assert_eq!(
        whole.len(),
        mutants().len(),
        "an inequality without its mutant"
    );
    for (about, verdict, grow, shrink) in mutants() {
        let of = |given: &Given| {
            let chain = chain::chain(given);
            let mut found = chain.into_iter().filter(|it| it.otherwise.contains(about));
            let one = found
                .next()
                .unwrap_or_else(|| panic!("none about: {about}"));
            assert!(found.next().is_none(), "two about: {about}");
            one
        };
        let slack = of(&given).right.time - of(&given).left.time;
        for change in [grow, shrink] {
            let mut past = given.clone();
            change(&mut past, slack + MS);
            assert_eq!(of(&past).verdict, verdict, "{about}");
        }
        let mut at_it = given.clone();
        shrink(&mut at_it, slack);
        assert_eq!(of(&at_it).verdict, Verdict::Holds, "{about}");
    }
}

#[test]
fn a_chained_pair_has_its_gates_relay_as_a_means_one_segment_and_no_lease() {
    const CHAINED: &str = "topology = \"chained\"";
    for profile in ["fast", "default", "conservative"] {
        let pair = format!("profile = \"{profile}\"");
        let gate = Plan::draw(&site("reference", CHAINED, "", &pair, ""));
        assert_eq!(gate.refusals, Vec::<String>::new(), "{profile}");
        let pair = gate.pair.unwrap();
        assert_eq!(pair.means, ["fence-wire", "own-relay"]);
        let LeasePlan::Refused { why } = &pair.lease else {
            panic!("a lease that a node behind a relay could claim by")
        };
        assert!(why.contains("does not know it"), "{why}");
        for inequality in &pair.chain {
            assert_eq!(inequality.verdict, Verdict::Holds, "{inequality:?}");
        }
    }
    let second = "[[segment]]\nname = \"guests\"\nports = [\"lan1\", \"wan1\"]";
    let plan = Plan::draw(&site("reference", CHAINED, "", "", second));
    let told = "segment guests: a chained pair has one segment";
    assert!(
        plan.refusals.len() == 1 && plan.refusals[0].contains(told),
        "{:?}",
        plan.refusals
    );
    // The relay that would join the two networks in parallel is what connects the other one here.
    let plan = Plan::draw(&site("reference", CHAINED, OPEN, "", ""));
    assert!(
        plan.refusals
            .iter()
            .any(|it| it.contains("only Bypass takes a host off")),
        "{:?}",
        plan.refusals
    );
    // Without a fence output only the gate could prove anything.
    let boards = site("gpio-monostable", CHAINED, "", "", "");
    let told = Plan::draw(&boards).refusals.join("\n");
    assert!(told.contains("nothing could ever prove"), "{told}");
}
