use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::config::{Config, Topology};
use crate::diagnose::{Mistakes, Source};
use crate::node::pair::policy::ServicesFailed;

const HEAD: &str =
    "board = \"reference\"\n[[segment]]\nname = \"wan\"\nports = [\"lan0\", \"lan1\"]\n";

fn read(topology: &str, rest: &str) -> Result<Config, Mistakes> {
    let text = format!("topology = \"{topology}\"\n{HEAD}{rest}");
    Config::parse(&Source::new("fencepost.toml", text))
}

fn good(rest: &str) -> Pair {
    let config = read("parallel", rest).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    config.pair.unwrap()
}

fn mistakes(topology: &str, rest: &str) -> String {
    let mistakes = read(topology, rest).expect_err("a mistake");
    let head = HEAD.lines().count() + 1;
    let mut text = String::new();
    for (line, column, what) in mistakes.places() {
        writeln!(text, "{}:{column} {what}", line.saturating_sub(head)).unwrap();
    }
    text
}

const LINKS: &str = r#"
[[link]]
name = "lan"
interface = "lan0"
primary = "2001:db8::1"
secondary = "2001:db8::2"
port = 7000
[[link]]
name = "ha"
primary = "10.0.0.1"
secondary = "10.0.0.2"
"#;

fn file(node: &str, rest: &str) -> String {
    format!("[pair]\nnode = \"{node}\"\n{LINKS}{rest}")
}

#[test]
fn one_file_serves_both_nodes() {
    let vips = r#"
[[vip]]
interface = "lan0"
primary = "192.0.2.1/24"
secondary = "192.0.2.2/24"
virtual = ["192.0.2.11", "192.0.2.10/24"]
[[vip]]
interface = "lan0"
virtual = ["2001:db8::10", "198.51.100.9/25"]
"#;
    let primary = good(&file("primary", vips));
    let secondary = good(&file("secondary", vips));
    assert_eq!(
        (primary.node, secondary.node),
        (Side::Preferred, Side::Other)
    );
    // By name, whatever the order in the file.
    let names: Vec<&str> = primary
        .links
        .iter()
        .map(|link| link.name.as_str())
        .collect();
    assert_eq!(names, ["ha", "lan"]);
    for (one, other) in primary.links.iter().zip(&secondary.links) {
        assert_eq!((one.local, one.peer), (other.peer, other.local));
    }
    assert_eq!(primary.links[0].local.to_string(), "10.0.0.1:7694");
    assert_eq!(primary.links[1].local.to_string(), "[2001:db8::1]:7000");

    let found: Vec<String> = primary
        .vips
        .iter()
        .map(|vip| {
            format!(
                "{}/{} {:?}",
                vip.address,
                vip.prefix,
                vip.own.map(|own| own.to_string())
            )
        })
        .collect();
    let expected = [
        "192.0.2.10/32 Some(\"192.0.2.1\")",
        "192.0.2.11/32 Some(\"192.0.2.1\")",
        "198.51.100.9/25 None",
        "2001:db8::10/128 None",
    ];
    assert_eq!(found, expected);
    assert_eq!(secondary.vips[0].own, primary.vips[0].peers);
}

#[test]
fn defaults_are_the_documented_ones() {
    let pair = good(&file("primary", ""));
    assert_eq!(pair.standby, Standby::Hot);
    assert_eq!(pair.key_file.to_str(), Some(STANDARD_KEY_FILE));
    assert_eq!(pair.timing.profile, TimingProfile::Default);
    assert_eq!((pair.preempt_after, pair.handovers_per_hour_max), (None, 6));
    assert_eq!(pair.vip_lifetime, Duration::from_secs(6));
    let series = read("series", &file("primary", "")).unwrap();
    assert_eq!(series.topology, Topology::Series);
    assert_eq!(series.pair.map(|pair| pair.standby), Some(Standby::Cold));
    let one = Config::parse(&Source::new("fencepost.toml", HEAD)).unwrap();
    assert_eq!((one.topology, one.pair), (Topology::Inline, None));
}

#[test]
fn a_pair_and_its_topology_go_together() {
    assert_eq!(
        mistakes("inline", &file("primary", "")),
        "0:12 a pair needs to be told how its two nodes are cabled\n"
    );
    assert_eq!(
        mistakes("parallel", ""),
        "0:12 this topology needs a pair, and this file has no [pair]\n"
    );
    assert_eq!(
        mistakes("inline", LINKS),
        "3:8 a [[link]] is a part of a pair, and this file has no [pair]\n"
    );
    assert_eq!(
        mistakes("chained", "[pair]\nnode = \"primary\"\nstandby = \"hot\"\n"),
        "2:8 a pair without a link: the two can never hear each other\n\
         3:11 a hot standby needs a path of its own\n"
    );
}

#[test]
fn unknown_words_are_refused_with_what_is_allowed() {
    let text = |rest: &str| read("parallel", rest).unwrap_err().to_string();
    let unknown = text("[pair]\nnode = \"primary\"\nheartbeet_ms = 10\n");
    assert!(unknown.contains("fencepost.toml:8:1"), "{unknown}");
    assert!(
        unknown.contains("did you mean `heartbeat_ms`? allowed: node, standby, key_file"),
        "{unknown}"
    );
    let unknown = text("[pair]\nnode = \"left\"\n");
    assert!(unknown.contains("allowed: primary, secondary"), "{unknown}");
}

#[test]
fn bad_links_are_named() {
    let links = r#"[pair]
node = "primary"
[[link]]
name = "ha"
primary = "10.0.0.1/30"
secondary = "10.0.0.2"
[[link]]
name = "ha"
interface = "0000:03:00.0"
primary = "10.0.0.1"
secondary = "fe80::1"
port = 0
[[link]]
name = "six"
primary = "fe80::1"
secondary = "fe80::1"
[[link]]
name = "far"
primary = "node-a.example"
secondary = "224.0.0.18"
"#;
    let expected = "\
5:11 an address without prefix is meant here
8:8 link `ha` is named twice
9:13 an interface is meant here, not a PCI path
11:13 the two ends are of different families
12:8 port = 0 is out of range
15:11 fe80::1 exists on every interface
16:13 fe80::1 is at both ends
19:11 `node-a.example` is no address
20:13 224.0.0.18 cannot be an address of a host
";
    assert_eq!(mistakes("parallel", links), expected);
}

#[test]
fn bad_vips_are_named() {
    let vips = r#"[[vip]]
interface = "lan0"
primary = "192.0.2.1/24"
secondary = "192.0.3.2/24"
virtual = []
[[vip]]
interface = "lan/0"
primary = "192.0.2.1"
virtual = ["192.0.2.9", "192.0.2.9", "10.0.0.2", "10.1.1.1/33"]
[[vip]]
interface = "lan1"
primary = "198.51.100.1/24"
secondary = "198.51.100.2/24"
virtual = ["198.51.101.9", "198.51.100.9/25", "198.51.100.255", "198.51.100.2", "2001:db8::9"]
"#;
    let expected = "\
17:13 192.0.3.2/24 is not in the subnet of 192.0.2.1/24
18:11 no virtual address
20:13 `lan/0` is no port
21:11 the other node's own address is missing
22:25 192.0.2.9 is somebody's already
22:38 10.0.0.2 is somebody's already
22:50 `/33` is no prefix of 10.1.1.1
27:12 198.51.101.9 is not in the subnet of 198.51.100.1/24
27:28 198.51.100.9/25 is not in the subnet of 198.51.100.1/24
27:47 198.51.100.255 cannot be an address of a host
27:65 198.51.100.2 is somebody's already
27:81 2001:db8::9 is not in the subnet of 198.51.100.1/24
";
    let text = file("primary", vips);
    let offset = text.lines().count() - vips.lines().count();
    let found: String = mistakes("parallel", &text)
        .lines()
        .map(|line| {
            let (number, rest) = line.split_once(':').unwrap();
            let number = number.parse::<usize>().unwrap() - offset + 13;
            format!("{number}:{rest}\n")
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn limits_hold() {
    let many: Vec<String> = (0..=VIPS_MAX)
        .map(|n| format!("\"10.9.{}.{}\"", n / 256, n % 256))
        .collect();
    let vips = format!(
        "[[vip]]\ninterface = \"lan0\"\nvirtual = [{}]\n",
        many.join(",")
    );
    let told = mistakes("parallel", &file("primary", &vips));
    assert!(
        told.ends_with("more than 4096 virtual addresses\n"),
        "{told}"
    );
    let mut links = "[pair]\nnode = \"primary\"\n".to_owned();
    for n in 1..=9 {
        writeln!(
            links,
            "[[link]]\nname = \"l{n}\"\nprimary = \"10.0.{n}.1\"\nsecondary = \"10.0.{n}.2\""
        )
        .unwrap();
    }
    assert_eq!(mistakes("parallel", &links), "36:8 more than 8 links\n");
    let hasty = "[pair]\nnode = \"primary\"\nheartbeat_ms = 100\nsuspect_after_ms = 299\n";
    let told = mistakes("parallel", &format!("{hasty}{LINKS}"));
    assert_eq!(
        told,
        "4:20 two lost heartbeats would already start a fence\n"
    );
}

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

#[test]
fn keys_are_read_oldest_first() {
    let next = KEY.replace("00", "AA");
    let ring = parse_keys(
        "pair.key",
        &format!("# remark\n{KEY}\n\n  {next}  # the next\n"),
    )
    .unwrap();
    assert_eq!(ring.ids().len(), 2);
    let only = parse_keys("pair.key", &next).unwrap();
    assert_eq!(ring.newest(), only.newest());
}

#[test]
fn bad_keys_are_placed_and_never_repeated() {
    let told = |text: &str| parse_keys("pair.key", text).unwrap_err().to_string();
    let bad = [
        ("", "key file pair.key: no key"),
        (
            &KEY[1..],
            "key file pair.key:1:64: not a key; a key is 64 hex digits, one per line",
        ),
        (
            &format!("\n  {KEY}0"),
            "key file pair.key:2:67: not a key; a key is 64 hex digits, one per line",
        ),
        (
            &KEY.replace("1f", "1g"),
            "key file pair.key:1:64: not a key; a key is 64 hex digits, one per line",
        ),
        (
            &format!("{KEY}\n{KEY}"),
            "key file pair.key: the same key twice",
        ),
    ];
    for (text, expected) in bad {
        assert_eq!(told(text), expected);
    }
}

#[test]
fn a_key_file_that_others_can_open_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pair.key");
    std::fs::write(&path, KEY).unwrap();
    let mode = |mode| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        load_keys(&path)
    };
    for open in [0o640, 0o604, 0o620, 0o602, 0o610] {
        let refused = mode(open).unwrap_err();
        assert!(
            matches!(refused, KeyFileError::Open { mode, .. } if mode == open),
            "{refused}"
        );
    }
    let closed = mode(0o600);
    if nix::unistd::geteuid().is_root() {
        assert!(closed.is_ok());
        std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
        assert!(matches!(
            load_keys(&path),
            Err(KeyFileError::Owner { owner: 65_534, .. })
        ));
    } else {
        assert!(matches!(closed, Err(KeyFileError::Owner { .. })));
    }
    let directory = load_keys(folder.path()).unwrap_err();
    assert!(
        matches!(directory, KeyFileError::NoFile { .. }),
        "{directory}"
    );
    let missing = load_keys(&folder.path().join("none"))
        .unwrap_err()
        .to_string();
    assert!(missing.contains("none: No such file"), "{missing}");
}

#[test]
fn units_are_bound_to_the_role_in_order() {
    let pair = "[pair]\nnode = \"primary\"\nservices_active = [\"squid.service\", \"dhcp@lan.service\"]\n\
        services_timeout_ms = 3000\nservices_failed = \"hand-over\"\n";
    let services = good(&format!("{pair}{LINKS}")).services.unwrap();
    assert_eq!(services.units, ["squid.service", "dhcp@lan.service"]);
    assert_eq!(services.limit, Duration::from_secs(3));
    assert_eq!(services.failed, ServicesFailed::HandOver);
    assert_eq!(good(&file("primary", "")).services, None);
}

#[test]
fn bad_units_are_named() {
    let pair = r#"[pair]
node = "primary"
services_active = ["squid", "a.service", "a.service", "fencepost.service", "-b.service"]
services_timeout_ms = 1
"#;
    let expected = "\
3:20 `squid` is no unit name
3:42 unit `a.service` is named twice
3:55 `fencepost.service` is Fencepost's own
3:76 `-b.service` is no unit name
4:23 services_timeout_ms = 1 is out of range
";
    let told = mistakes("parallel", &format!("{pair}{LINKS}"));
    assert_eq!(told, expected);
    let orphan = "[pair]\nnode = \"primary\"\nservices_failed = \"tell\"\n";
    let told = mistakes("parallel", &format!("{orphan}{LINKS}"));
    assert_eq!(told, "3:19 no unit is bound to the role\n");
}

#[test]
fn conntrackd_is_used_if_asked_for_and_never_waited_for_long() {
    let with = |keys: &str| format!("[pair]\nnode = \"primary\"\n{keys}\n{LINKS}");
    let limit = |keys: &str| good(&with(keys)).conntrackd;
    assert_eq!(limit(""), None);
    assert_eq!(limit("conntrackd = false"), None);
    assert_eq!(limit("conntrackd = true"), Some(Duration::from_millis(100)));
    let told = mistakes("parallel", &with("conntrackd_timeout_ms = 3000"));
    assert_eq!(
        told,
        "3:25 conntrackd_timeout_ms = 3000 is out of range\n3:25 a limit for what is not used\n"
    );
}

/// A pair without relays, from its first line.
fn apart(top: &str, pair: &str) -> Result<Config, Mistakes> {
    let text = format!("{top}\n[pair]\nnode = \"primary\"\n{pair}\n{LINKS}");
    Config::parse(&Source::new("fencepost.toml", text))
}

#[test]
fn a_pair_without_relays_is_said_twice_and_has_no_segment() {
    let both = "board = \"none\"\ntopology = \"apart\"";
    let config = apart(both, "standby = \"hot\"").unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(config.topology, Topology::Apart);
    assert!(config.segments.is_empty());
    for (top, pair, told) in [
        (
            "board = \"none\"",
            "",
            "board \"none\" has no relay that could lie in a wire",
        ),
        (
            "board = \"none\"\ntopology = \"parallel\"",
            "",
            "board \"none\" has no relay that could lie in a wire",
        ),
        (
            "board = \"reference\"\ntopology = \"apart\"",
            "",
            "topology \"apart\" is a pair without relays",
        ),
        (
            both,
            "standby = \"cold\"",
            "a cold standby is a relay that is open",
        ),
    ] {
        let mistakes = apart(top, pair).expect_err(top).to_string();
        assert!(mistakes.contains(told), "{top} {pair}: {mistakes}");
    }
    // What there is none of cannot be used.
    let config = apart(both, "\n[[segment]]\nname = \"wan\"").unwrap_or_else(|it| panic!("{it}"));
    let board = crate::board::Board::without_relays();
    let told = crate::config::Site::new(config, &board)
        .unwrap_err()
        .to_string();
    assert!(told.contains("board none has no segments"), "{told}");
}

#[test]
fn without_segments_carrier_is_watched_where_the_vips_are() {
    let vips = "[[vip]]\ninterface = \"lan0\"\nvirtual = [\"192.0.2.1\", \"192.0.2.7\"]";
    let config = apart("board = \"none\"\ntopology = \"apart\"", vips);
    let config = config.unwrap_or_else(|it| panic!("{it}"));
    let site = crate::config::Site::new(config, &crate::board::Board::without_relays());
    let names: Vec<String> = (site
        .unwrap_or_else(|it| panic!("{it}"))
        .config
        .checks
        .iter())
    .map(|check| check.name.clone())
    .collect();
    assert_eq!(names, ["carrier-lan0"]);
}
