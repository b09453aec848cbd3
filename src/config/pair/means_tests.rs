use std::fmt::Write as _;

use super::*;
use crate::config::Config;
use crate::diagnose::{Mistakes, Source};

const HEAD: &str = r#"topology = "parallel"
board = "reference"
[[segment]]
name = "wan"
ports = ["lan0", "lan1"]
[[link]]
name = "ha"
primary = "10.0.0.1"
secondary = "10.0.0.2"
"#;

fn read(node: &str, means: &str) -> Result<Config, Mistakes> {
    let text = format!("{HEAD}[pair]\nnode = \"{node}\"\n{means}");
    Config::parse(&Source::new("fencepost.toml", text))
}

fn good(node: &str, means: &str) -> Vec<PairMeans> {
    let config = read(node, means).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    config.pair.unwrap().means.unwrap()
}

/// Lines counted from the first of `means`.
fn mistakes(means: &str) -> String {
    let head = HEAD.lines().count() + 2;
    let mut text = String::new();
    for (line, column, what) in read("primary", means).unwrap_err().places() {
        writeln!(text, "{}:{column} {what}", line.saturating_sub(head)).unwrap();
    }
    text
}

const ALL: &str = r#"
[[means]]
kind = "fence-wire"
timeout_ms = 90
[[means]]
kind = "peer-agent"
[[means]]
kind = "external"
name = "bmc"
program = "/usr/sbin/fence_ipmilan"
options = { lanplus = "1", ip = "198.51.100.1" }
primary = { ip = "198.51.100.11" }
secondary = { ip = "198.51.100.12" }
secrets_file = "/etc/fencepost/bmc.secrets"
hold_back_ms = 0
"#;

#[test]
fn the_order_is_the_files_and_each_node_is_told_of_the_other() {
    let means = good("primary", ALL);
    let names: Vec<&str> = means.iter().map(|means| means.name.as_str()).collect();
    assert_eq!(names, ["fence-wire", "peer-agent", "bmc"]);
    assert_eq!(means[0].timeout, Some(Duration::from_millis(90)));
    assert_eq!(means[1].timeout, None);
    let How::External(external) = &means[2].how else {
        panic!("{means:?}");
    };
    assert_eq!(external.options["ip"], "198.51.100.12");
    assert_eq!(external.options["lanplus"], "1");
    assert_eq!(external.probe_every, Duration::from_secs(5));
    assert_eq!(external.hold_back, Duration::ZERO);
    let How::External(external) = &good("secondary", ALL)[2].how else {
        panic!("not a program");
    };
    assert_eq!(external.options["ip"], "198.51.100.11");
}

#[test]
fn absent_is_the_boards_own() {
    let config = read("primary", "").unwrap();
    assert_eq!(config.pair.unwrap().means, None);
}

#[test]
fn what_belongs_to_a_program_belongs_to_nothing_else() {
    let means = r#"[[means]]
kind = "fence-wire"
name = "cable"
program = "/bin/true"
probe_every_ms = 5000
[[means]]
kind = "peer-agent"
primary = { ip = "198.51.100.11" }
[[means]]
kind = "peer-agent"
"#;
    let expected = "\
3:8 a fence-wire has no other name
4:11 `program` is for a means that is a program
5:18 `probe_every_ms` is for a means that is a program
8:11 `primary` is for a means that is a program
10:8 means `peer-agent` is there twice
";
    assert_eq!(mistakes(means), expected);
}

#[test]
fn a_program_needs_to_know_whose_power_it_takes() {
    let external = "[[means]]\nkind = \"external\"\n";
    assert_eq!(
        mistakes(external),
        "2:8 an external means needs its program\n2:8 each node's own power has to be named\n"
    );
    let program = format!("{external}program = \"/bin/fence\"\n");
    let one = format!("{program}primary = {{ plug = \"1\" }}\n");
    assert_eq!(
        mistakes(&one),
        "4:11 each node's own power has to be named\n"
    );
    let same = format!("{one}secondary = {{ plug = \"1\" }}\n");
    assert_eq!(mistakes(&same), "5:13 the same power for both nodes\n");
}

#[test]
fn options_that_cannot_be_told_are_refused() {
    let means = r#"[[means]]
kind = "external"
program = "fence_pdu"
timeout_ms = 5
primary = { plug = "1" }
secondary = { plug = "2" }
[means.options]
"pl ug" = "1"
action = "reboot"
passwd = "hunter2"
login = "a\nb"
"#;
    let expected = "\
3:11 `fence_pdu` is not an absolute path
4:14 timeout_ms = 5 is out of range
8:11 `pl ug` is no name of an option
9:10 the action is said by the agent
10:10 a password in a file that many may read
11:9 `login` has more than one line
";
    assert_eq!(mistakes(means), expected);
}

#[test]
fn unknown_kinds_are_refused_with_what_is_allowed() {
    let text = read("primary", "[[means]]\nkind = \"lease\"\n").unwrap_err();
    let text = text.to_string();
    assert!(
        text.contains("allowed: fence-wire, peer-agent, external"),
        "{text}"
    );
}

#[test]
fn means_are_a_part_of_a_pair_and_few() {
    let alone = HEAD.replace("parallel", "inline");
    let (alone, _) = alone.split_once("[[link]]").unwrap();
    let text = format!("{alone}[[means]]\nkind = \"peer-agent\"\n");
    let error = Config::parse(&Source::new("fencepost.toml", text)).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("a [[means]] is a part of a pair"), "{error}");
    let many: String = (0..=MEANS_MAX)
        .map(|number| {
            format!(
                "[[means]]\nkind = \"external\"\nname = \"m{number}\"\nprogram = \"/bin/fence\"\n\
                 primary = {{ plug = \"1\" }}\nsecondary = {{ plug = \"2\" }}\n"
            )
        })
        .collect();
    assert_eq!(mistakes(&many), "50:8 more than 8 means\n");
}
