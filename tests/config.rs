//! Configuration and plan: the sample parses, mistakes are placed, and what `check` proves is as recorded.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use fencepost::board::catalogue;
use fencepost::board::controller::{CutState, SegmentSettings};
use fencepost::config::{Config, PeriodKnown, Site};
use fencepost::diagnose::{Mistakes, Source};
use fencepost::node::pair::preflight::PARTS;
use fencepost::node::policy::{Arming, Commissioning, ReadBackPolicy};
use fencepost::plan::{Plan, Verdict};

#[path = "support/golden.rs"]
mod golden;
#[path = "support/mistakes.rs"]
mod mistakes;

use golden::golden;
use mistakes::MISTAKES;

fn site(text: &str) -> Result<Site, Mistakes> {
    let config = Config::parse(&Source::new("fencepost.toml", text))?;
    let board = catalogue::load(&[], &config.board).unwrap();
    Site::new(config, &board)
}

fn good(text: &str) -> Site {
    site(text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

const REFERENCE: &str =
    "board = \"reference\"\n[[segment]]\nname = \"wan\"\nports = [\"lan0\", \"lan1\"]\n";

#[test]
fn the_sample_parses_fits_its_board_and_holds() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/fencepost.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let site = good(&text);
    let plan = Plan::draw(&site);
    assert_eq!(plan.refusals, Vec::<String>::new());
    golden("check-sample.txt", &plan.render());
    let policy = site.policy(Commissioning::Missing);
    golden(
        "policy-sample.json",
        &serde_json::to_string_pretty(&policy).unwrap(),
    );
}

/// What the sample shows as commented-out defaults is what the code does.
#[test]
fn the_samples_commented_defaults_are_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/fencepost.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let keys = [
        "topology",
        "read_every_ms",
        "dwell_ms",
        "closes_per_hour_max",
        "power_up",
        "expiry",
        "period_ms",
        "kick_every_ms",
        "mode",
        "device",
        "timeout_s",
        "interval_ms",
        "timeout_ms",
        "rise",
        "fall",
        "status",
        "socket",
        "operators_group",
        "readers_group",
        "dir",
        "runtime_dir",
    ];
    let mut uncommented = String::new();
    let mut opened = 0;
    for line in text.lines() {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        let key = bare.split(" = ").next().unwrap();
        if bare != line && bare.contains(" = ") && keys.contains(&key) {
            opened += 1;
            uncommented.push_str(bare);
        } else {
            uncommented.push_str(line);
        }
        uncommented.push('\n');
    }
    assert_eq!(opened, keys.len());
    let (plain, explicit) = (good(&text), good(&uncommented));
    let policy = |site: &Site| site.policy(Commissioning::Done);
    assert_eq!(policy(&plain), policy(&explicit));
    assert_eq!(plain.config.control, explicit.config.control);
    assert_eq!(plain.config.state, explicit.config.state);
    assert_eq!(plain.config.watchdog, explicit.config.watchdog);
    assert_eq!(plain.config.topology, explicit.config.topology);
}

/// One site per shipped board, with what its segments are called there.
const SITES: [(&str, &str, &str); 7] = [
    ("reference", "reference", ""),
    (
        "lanner-gen3",
        "lanner-gen3/mb-8771",
        "at = \"slot1.pair1\"\n",
    ),
    ("caswell-gen2", "caswell-gen2/car-3000", ""),
    ("technexion-tek-imx8mp", "technexion-tek-imx8mp", ""),
    ("gpio-monostable", "gpio-monostable", ""),
    ("gpio-latching", "gpio-latching", ""),
    ("riverbed", "riverbed", ""),
];

#[test]
fn what_check_proves_for_every_shipped_board_is_as_recorded() {
    let shipped: Vec<String> = catalogue::list(&[])
        .into_iter()
        .map(|entry| entry.id)
        .collect();
    let mut here: Vec<&str> = SITES.iter().map(|(id, _, _)| *id).collect();
    here.sort_unstable();
    assert_eq!(shipped, here, "every shipped board has its plan recorded");
    for (id, board, at) in SITES {
        let site = good(&format!(
            "board = \"{board}\"\n[[segment]]\nname = \"wan\"\nports = [\"lan0\", \"lan1\"]\n{at}\
             [[check]]\nname = \"filter\"\nkind = \"unit\"\nunit = \"filter.service\"\n"
        ));
        let plan = Plan::draw(&site);
        assert_eq!(plan.refusals, Vec::<String>::new(), "{id}");
        golden(&format!("check-{id}.txt"), &plan.render());
        serde_json::to_string(&plan).unwrap();
    }
}

/// The worked example of docs/pair.md, with what differs between its nodes and topologies.
fn pair_example() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pair.md");
    let text = std::fs::read_to_string(path).unwrap();
    let block = text.split("```toml\n").nth(1).unwrap();
    block.split("```").next().unwrap().to_owned()
}

/// A worked example, whole.
fn worked(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/examples/{name}.toml"));
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn what_check_proves_for_a_pair_is_as_recorded() {
    let hot = pair_example();
    let cold = hot.replace("standby = \"hot\"", "standby = \"cold\"");
    let fast = hot.replace("profile = \"default\"", "profile = \"fast\"");
    let series = cold
        .replace("\"parallel\"", "\"series\"")
        .replace("fail = \"disconnect\"", "fail = \"bypass\"");
    let loops = hot.replace("fail = \"disconnect\"", "fail = \"bypass\"");
    let apart = worked("pair-apart");
    let gate = worked("pair-chained");
    let behind = gate.replace("node = \"primary\"", "node = \"secondary\"");
    // Whoever is silent is never proven gone: not by its word, and nothing ends its right.
    let unproven = apart
        .split("[[means]]\nkind = \"external\"")
        .next()
        .unwrap()
        .to_owned();
    for (name, text, refused) in [
        ("parallel-hot", &hot, 0),
        ("parallel-cold", &cold, 0),
        ("parallel-fast", &fast, 0),
        ("series", &series, 0),
        ("refused-loops", &loops, 3),
        ("apart", &apart, 0),
        ("chained-gate", &gate, 0),
        ("chained-behind", &behind, 0),
        ("refused-apart", &unproven, 1),
    ] {
        let plan = Plan::draw(&good(text));
        assert_eq!(plan.refusals.len(), refused, "{name}: {:?}", plan.refusals);
        golden(&format!("check-pair-{name}.txt"), &plan.render());
        serde_json::to_string(&plan).unwrap();
    }
}

/// Each file of docs/examples, as either node: understood, fits its board, and everything about it holds.
#[test]
fn the_worked_examples_of_pairs_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples");
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let primary = std::fs::read_to_string(&path).unwrap();
        let secondary = primary.replace("node = \"primary\"", "node = \"secondary\"");
        assert_ne!(primary, secondary, "{name}: no `node`");
        let agreements = [&primary, &secondary].map(|text| {
            let site = good(text);
            let plan = Plan::draw(&site);
            assert_eq!(plan.refusals, Vec::<String>::new(), "{name}");
            assert!(plan.pair.is_some(), "{name}: nothing is proven of the pair");
            let policy = site.policy(Commissioning::Done);
            policy.pair.unwrap().agreement
        });
        assert_eq!(agreements[0], agreements[1], "{name}: the nodes disagree");
        seen.push(name);
    }
    seen.sort();
    let expected = [
        "pair-apart",
        "pair-chained",
        "pair-parallel-cold",
        "pair-parallel-hot",
        "pair-segments",
        "pair-series",
    ];
    assert_eq!(seen, expected);
}

/// Equal in time all together, and not the same means: each node would count on another one first.
#[test]
fn lists_of_means_that_differ_are_noticed_whatever_time_they_take() {
    let agreement = |means: &str| {
        let site = good(&format!("{}\n{means}", pair_example()));
        site.policy(Commissioning::Done).pair.unwrap().agreement
    };
    let [wire, agent] =
        ["fence-wire", "peer-agent"].map(|kind| format!("[[means]]\nkind = \"{kind}\"\n"));
    let power = |name: &str| {
        format!(
            "[[means]]\nkind = \"external\"\nname = \"{name}\"\nprogram = \"/bin/fence\"\n\
             primary = {{ plug = \"1\" }}\nsecondary = {{ plug = \"2\" }}\n"
        )
    };
    let first = agreement(&format!("{wire}{agent}"));
    assert_eq!(first, agreement(&format!("{wire}{agent}")));
    assert_ne!(first, agreement(&format!("{agent}{wire}")));
    assert_ne!(agreement(&power("bmc")), agreement(&power("outlet")));
}

/// Agents of different patch versions compare these bytes: a change here keeps them from taking over from each other
/// during an update, and is a new version of the pair's protocol.
#[test]
fn what_two_nodes_compare_is_as_recorded_and_names_what_differs() {
    let primary = pair_example();
    let agreement = |text: &str| {
        let policy = good(text).policy(Commissioning::Done).pair.unwrap();
        let parts: Vec<[u8; 3]> = policy
            .agreement
            .chunks_exact(3)
            .map(|it| it.try_into().unwrap())
            .collect();
        assert_eq!(parts.len(), PARTS.len());
        parts
    };
    let here = agreement(&primary);
    let mut recorded = String::new();
    for (part, name) in here.iter().zip(PARTS) {
        writeln!(
            recorded,
            "{:02x}{:02x}{:02x} {name}",
            part[0], part[1], part[2]
        )
        .unwrap();
    }
    golden("pair-agreement.txt", &recorded);
    let secondary = primary.replace("node = \"primary\"", "node = \"secondary\"");
    assert_eq!(agreement(&secondary), here, "one file serves both nodes");
    for (from, to, part) in [
        ("standby = \"hot\"", "standby = \"cold\"", 0),
        ("fail = \"disconnect\"", "fail = \"bypass\"", 0),
        ("profile = \"default\"", "profile = \"fast\"", 1),
        ("name = \"lan\"", "name = \"other\"", 2),
        ("198.51.100.2", "198.51.100.9", 2),
        ("192.0.2.1\"", "192.0.2.9\"", 3),
        ("\"wan0\"", "\"wan1\"", 4),
        ("\"ha0\"", "\"ha1\"", 4),
    ] {
        assert!(secondary.contains(from), "{from}");
        let there = agreement(&secondary.replace(from, to));
        let differ: Vec<usize> = (0..PARTS.len())
            .filter(|at| there[*at] != here[*at])
            .collect();
        assert_eq!(differ, [part], "{from} -> {to}");
    }
}

#[test]
fn policy_is_reduced_from_config_and_board() {
    let site = good(&format!(
        "{REFERENCE}fail = \"disconnect\"\n[dead_man]\nperiod_ms = 200\n"
    ));
    let policy = site.policy(Commissioning::Done);
    assert_eq!(policy.segments[0].fail, CutState::Disconnect);
    let expected = SegmentSettings {
        power_up: Some(CutState::Disconnect),
        power_off: None,
        expiry: Some(CutState::Disconnect),
    };
    assert_eq!(
        policy.segments[0].settings, expected,
        "power-off is wired and left alone"
    );
    assert_eq!(policy.segments[0].read_back, ReadBackPolicy::Required);
    assert_eq!(policy.dead_man.arming, Arming::Required);
    assert_eq!(policy.dead_man.period, Duration::from_millis(200));
    assert_eq!(policy.dead_man.kick_every, Duration::from_millis(50));
    let names: Vec<&str> = policy
        .checks
        .iter()
        .map(|check| check.name.as_str())
        .collect();
    assert_eq!(names, ["carrier-lan0", "carrier-lan1"]);
}

#[test]
fn the_effective_period_is_never_longer_than_asked() {
    let lanner = "board = \"lanner-gen3/fw-8771\"\n[[segment]]\nname = \"wan\"\nat = \"onboard.pair2\"\nports = [\"a\", \"b\"]\n";
    let site = good(&format!("{lanner}[dead_man]\nperiod_ms = 2900\n"));
    assert_eq!(site.timing.period, Duration::from_millis(2_000));
    let error = site_error(&format!("{lanner}[dead_man]\nperiod_ms = 900\n"));
    assert!(error.contains("its shortest period is 1000 ms"), "{error}");
}

fn site_error(text: &str) -> String {
    site(text).unwrap_err().to_string()
}

#[test]
fn a_measured_period_replaces_an_assumed_one_only() {
    let technexion =
        "board = \"technexion-tek-imx8mp\"\n[[segment]]\nname = \"wan\"\nports = [\"a\", \"b\"]\n";
    assert_eq!(good(technexion).timing.known, PeriodKnown::Assumed);
    let site = good(&format!("{technexion}[dead_man]\nmeasured_ms = 1430\n"));
    assert_eq!(site.timing.known, PeriodKnown::Measured);
    assert_eq!(site.timing.period, Duration::from_millis(1_430));
    let error = site_error(&format!("{REFERENCE}[dead_man]\nmeasured_ms = 1430\n"));
    assert!(error.contains("stated by its profile"), "{error}");
}

#[test]
fn segments_are_taken_in_board_order_whatever_the_files_order() {
    let site = good(
        "board = \"reference\"\n[[segment]]\nname = \"b\"\nat = \"segment2\"\nports = [\"p2\", \"p3\"]\n\
         [[segment]]\nname = \"a\"\nat = \"segment1\"\nports = [\"p0\", \"p1\"]\n\
         [[check]]\nname = \"only-b\"\nkind = \"memory\"\nmin_available_percent = 1\nsegments = [\"b\"]\n",
    );
    let policy = site.policy(Commissioning::Done);
    let names: Vec<&str> = policy.segments.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(policy.checks.last().unwrap().segments, [1]);
}

#[test]
fn a_plan_that_cannot_hold_is_refused_with_both_sides() {
    let site = good(&format!("{REFERENCE}[dead_man]\nperiod_ms = 20000\n"));
    let plan = Plan::draw(&site);
    assert_eq!(plan.refusals.len(), 1, "{:?}", plan.refusals);
    assert!(
        plan.chain
            .iter()
            .any(|inequality| inequality.verdict == Verdict::Fails)
    );
    golden("check-refused-watchdog.txt", &plan.render());

    let site = good(&format!("{REFERENCE}[dead_man]\nperiod_ms = 50\n"));
    let plan = Plan::draw(&site);
    assert!(
        plan.refusals[0].contains("an ordinary busy turn"),
        "{:?}",
        plan.refusals
    );
}

#[test]
fn a_board_without_dead_man_needs_the_watchdog() {
    let latching =
        "board = \"gpio-latching\"\n[[segment]]\nname = \"wan\"\nports = [\"a\", \"b\"]\n";
    let plan = Plan::draw(&good(&format!("{latching}[watchdog]\nmode = \"off\"\n")));
    assert_eq!(plan.refusals.len(), 1, "{:?}", plan.refusals);
    assert!(plan.refusals[0].contains("a hung host would hold the wire for ever"));
}

#[test]
fn mistakes_in_configurations_are_reported_as_recorded() {
    let mut text = String::new();
    for (what, file) in MISTAKES {
        let error = site_error(file);
        writeln!(text, "=== {what}\n{error}\n").unwrap();
    }
    golden("mistakes-config.txt", &text);
}

#[test]
fn the_empty_file_is_refused_in_words() {
    let error = site_error("");
    assert!(error.contains("missing key `board`"), "{error}");
}

proptest::proptest! {
    /// Whatever is cut out of or written into the sample, it is understood or refused in words.
    #[test]
    fn a_damaged_configuration_never_panics(from in 0usize..4000, length in 0usize..40, with in "[ -~\\n\u{e9}\u{2192}]{0,12}") {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/fencepost.toml");
        let mut text: Vec<char> = std::fs::read_to_string(path).unwrap().chars().collect();
        let from = from % text.len();
        let to = (from + length).min(text.len());
        text.splice(from..to, with.chars());
        let text: String = text.into_iter().collect();
        let source = Source::new("damaged.toml", text);
        match Config::parse(&source) {
            Err(mistakes) => assert!(mistakes.to_string().contains("error: ")),
            Ok(config) => {
                if let Ok(board) = catalogue::load(&[], &config.board)
                    && let Ok(site) = Site::new(config, &board)
                {
                    Plan::draw(&site).render();
                }
            }
        }
    }
}
