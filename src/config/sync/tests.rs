#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use core::fmt::Write as _;
use core::time::Duration;
use std::path::{Path, PathBuf};

use fencepost_sync::activation::On;
use fencepost_sync::category::{Category, Contents, Files, Source, overlap};
use fencepost_sync::filter::{Filter, Verdict};
use fencepost_sync::policy::{Owners, Policy};
use fencepost_sync::settings::Settings;

use super::*;
use crate::config::Config;
use crate::diagnose::{Mistakes, Source as Text};

const HEAD: &str = r#"topology = "parallel"
board = "reference"
[[segment]]
name = "wan"
ports = ["lan0", "lan1"]
[pair]
node = "primary"
[[link]]
name = "cable"
primary = "10.0.0.1"
secondary = "10.0.0.2"
interface = "ha0"
"#;

fn read(rest: &str) -> Result<Config, Mistakes> {
    Config::parse(&Text::new("fencepost.toml", format!("{HEAD}{rest}")))
}

fn good(rest: &str) -> Settings {
    let config = read(rest).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    config.sync.unwrap()
}

fn mistakes(rest: &str) -> String {
    let mistakes = read(rest).expect_err("a mistake");
    let head = HEAD.lines().count();
    let mut text = String::new();
    for (line, column, what) in mistakes.places() {
        writeln!(text, "{}:{column} {what}", line - head).unwrap();
    }
    text
}

fn files(category: &Category) -> &Files {
    match &category.contents {
        Contents::Files(files) => files,
        Contents::Export(_) => panic!("{} is exported", category.id),
    }
}

/// What is done with a path of this host.
fn verdict(category: &Category, path: &str) -> Verdict {
    let files = files(category);
    let filter = Filter::new(&files.filter).unwrap();
    let below = files
        .roots
        .iter()
        .find_map(|root| Path::new(path).strip_prefix(root).ok());
    below.map_or(Verdict::Skip, |below| {
        filter.judge(below.as_os_str().as_encoded_bytes(), false)
    })
}

#[test]
fn defaults_are_the_documented_ones() {
    let settings = good("[sync]\n[[category]]\npreset = \"firewall\"\n");
    let way = &settings.ways[0];
    assert_eq!(
        (way.local.to_string(), way.peer.to_string()),
        ("10.0.0.1:7695".to_owned(), "10.0.0.2:7695".to_owned())
    );
    assert_eq!(way.interface.as_deref(), Some("ha0"));
    let times = [settings.quiet, settings.hold];
    assert_eq!(times, [10, 100].map(Duration::from_millis));
    assert_eq!(settings.scrub_every, Duration::from_secs(900));
    assert_eq!(settings.history, 10);
    let category = &settings.categories[0];
    assert_eq!(category.id.as_str(), "firewall");
    assert_eq!(
        (category.priority, &category.policy),
        (100, &Policy::default())
    );
    assert_eq!(files(category).roots, [PathBuf::from("/etc")]);
}

#[test]
fn a_takeover_waits_for_what_says_so() {
    let required = |pair: &str, rest: &str| -> Vec<String> {
        let text = format!(
            "{}\n{rest}",
            HEAD.replace("[pair]", &format!("[pair]\n{pair}"))
        );
        let config = Config::parse(&Text::new("fencepost.toml", text));
        let config = config.unwrap_or_else(|mistakes| panic!("{mistakes}"));
        config.pair.unwrap().sync_required.into_iter().collect()
    };
    let two = |one: &str, other: &str| {
        format!(
            "[sync]\nsocket = \"/run/x/sync.sock\"\n[[category]]\npreset = \"firewall\"\n{one}\n[[category]]\nname = \"app\"\nroots = [\"/srv/app\"]\n{other}\n"
        )
    };
    assert_eq!(required("", &two("", "")), Vec::<String>::new());
    assert_eq!(required("", &two("", "required = true")), ["app"]);
    let all = "takeover_requires_sync = true";
    assert_eq!(required(all, &two("", "")), ["app", "firewall"]);
    assert_eq!(required(all, &two("", "required = false")), ["firewall"]);
    let text = HEAD.replace("[pair]", &format!("[pair]\n{all}"));
    let mistakes = Config::parse(&Text::new("fencepost.toml", text)).unwrap_err();
    assert!(
        mistakes
            .to_string()
            .contains("a takeover would wait for state in sync, and this file has no [sync]"),
        "{mistakes}"
    );
    assert_eq!(good(&two("", "")).socket, PathBuf::from("/run/x/sync.sock"));
}

#[test]
fn activations_have_names_programs_and_limits() {
    let head = "[[category]]\npreset = \"vpn\"\n";
    let rest = |activations: &str| format!("[sync]\n{activations}\n{head}");
    let settings = good(&rest(
        "[[sync.activation]]\nname = \"reload-all\"\ncommand = [\"/usr/bin/systemctl\", \"reload\", \"a b\"]\n\
         timeout_ms = 3000\non = \"both\"\n[[sync.activation]]\nname = \"x\"\ncommand = [\"/bin/true\"]",
    ));
    let [one, other] = &settings.activations[..] else {
        panic!("{:?}", settings.activations);
    };
    assert_eq!((one.name.as_str(), one.on), ("reload-all", On::Both));
    assert_eq!(one.hook.argv[2], "a b");
    assert_eq!(one.hook.limit, Duration::from_secs(3));
    assert_eq!(other.on, On::Backup);
    assert_eq!(other.hook.limit, Duration::from_secs(10));
    let wrong = "[[sync.activation]]\nname = \"Bad\"\ncommand = [\"true\"]\n\
                 [[sync.activation]]\nname = \"x\"\ncommand = [\"/bin/true\"]\n\
                 [[sync.activation]]\nname = \"x\"\ncommand = [\"/bin/true\"]";
    let said = mistakes(&rest(wrong));
    for part in [
        "is no name of an activation",
        "a program is meant here, by its whole path",
        "activation `x` is there twice",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn all_keys_are_understood() {
    let settings = good(
        r#"[sync]
port = 7000
history = 3
quiet_ms = 5
hold_ms = 50
scrub_every_s = 60
hooks_read = ["/srv/keys"]
hooks_write = ["/run/app"]
[[category]]
name = "rules"
roots = ["/srv/rules", "/opt/rules"]
include = ["*.rule"]
exclude = ["/old/", "!/old/keep.rule"]
node_local = ["/node.rule"]
node_own = ["*.bak"]
priority = 7
validate = ["/usr/sbin/nft", "-c", "-f", "{staged}/srv/rules/all"]
validate_timeout_ms = 3000
reload = ["/usr/bin/systemctl", "reload", "rules"]
uids = [0, 33]
gids = [0]
setuid = true
xattrs = ["security.capability"]
deletions_percent_max = 50
deletions_max = 10
deletions_always = 0
entries_max = 100
file_bytes_max = 1000
total_bytes_max = 2000
[[category]]
name = "policy"
sqlite = "/var/lib/app/policy.db"
export_every_ms = 200
[[category]]
name = "sets"
export = ["/usr/local/bin/sets", "save"]
import = ["/usr/local/bin/sets", "load", "{staged}"]
owner = [0, 0]
"#,
    );
    let ids: Vec<&str> = settings
        .categories
        .iter()
        .map(|it| it.id.as_str())
        .collect();
    assert_eq!(ids, ["rules", "policy", "sets"]);
    let rules = &settings.categories[0];
    assert_eq!(
        files(rules).roots,
        ["/opt/rules", "/srv/rules"].map(PathBuf::from)
    );
    assert_eq!(verdict(rules, "/srv/rules/a/b.rule"), Verdict::Take);
    for left in [
        "/srv/rules/a.txt",
        "/opt/rules/node.rule",
        "/srv/rules/old/x.rule",
    ] {
        assert_eq!(verdict(rules, left), Verdict::Skip, "{left}");
    }
    let limits = rules.policy.limits;
    assert_eq!(
        (
            limits.entries_max,
            limits.file_bytes_max,
            limits.total_bytes_max
        ),
        (100, 1000, 2000)
    );
    let guard = rules.policy.deletions;
    assert_eq!(
        (guard.percent_max, guard.entries_max, guard.always_allowed),
        (50, 10, 0)
    );
    assert!(matches!(&rules.policy.owners, Owners::Listed { uids, .. } if uids.contains(&33)));
    assert!(rules.policy.setuid && rules.policy.xattrs.contains("security.capability"));
    let validate = rules.hooks.validate.as_ref().unwrap();
    assert_eq!(
        (validate.argv.len(), validate.limit),
        (4, Duration::from_secs(3))
    );
    assert!(matches!(
        &settings.categories[1].contents,
        Contents::Export(it) if matches!(&it.source, Source::Sqlite { database } if database.ends_with("policy.db"))
            && it.every == Duration::from_millis(200)
    ));
    assert_eq!(
        settings.categories[2].policy.owners,
        Owners::Fixed { uid: 0, gid: 0 }
    );
    assert_eq!(settings.hook_paths.write, [PathBuf::from("/run/app")]);
}

#[test]
fn both_nodes_come_to_the_same_policy() {
    let text = "[sync]\n[[category]]\npreset = \"vpn\"\n[[category]]\nname = \"a\"\nroots = [\"/srv/b\", \"/srv/a\"]\n";
    let one = good(text);
    let other = Config::parse(&Text::new(
        "fencepost.toml",
        format!("{HEAD}{text}")
            .replace("\"primary\"\n[[link]]", "\"secondary\"\n[[link]]")
            .replace("\"/srv/b\", \"/srv/a\"", "\"/srv/a\", \"/srv/b\""),
    ))
    .unwrap()
    .sync
    .unwrap();
    assert_eq!(one.ways[0].local, other.ways[0].peer);
    let hashes = |settings: &Settings| -> Vec<_> {
        settings
            .categories
            .iter()
            .map(Category::policy_hash)
            .collect()
    };
    assert_eq!(hashes(&one), hashes(&other));
}

#[test]
fn parts_of_sync_go_together() {
    assert_eq!(
        mistakes("[[category]]\npreset = \"vpn\"\n"),
        "1:1 a [[category]] is a part of sync, and this file has no [sync]\n"
    );
    assert_eq!(mistakes("[sync]\n"), "1:1 nothing is to be kept alike\n");
    let alone = "board = \"reference\"\n[[segment]]\nname = \"wan\"\nports = [\"lan0\", \"lan1\"]\n[sync]\n";
    let error = Config::parse(&Text::new("fencepost.toml", alone)).unwrap_err();
    assert!(error.to_string().contains("nobody to sync with"), "{error}");
}

#[test]
fn mistakes_in_a_category_are_placed() {
    let one = |keys: &str| mistakes(&format!("[sync]\n[[category]]\n{keys}\n"));
    assert_eq!(one("name = \"a\""), "3:8 a category is of one kind\n");
    assert_eq!(
        one("roots = [\"/srv/a\"]"),
        "2:1 a category without a name\n"
    );
    assert_eq!(one("preset = \"firewal\""), "3:10 no preset `firewal`\n");
    let named = |keys: &str| one(&format!("name = \"a\"\n{keys}"));
    assert_eq!(
        named("preset = \"vpn\"\nroots = [\"/srv\"]"),
        "3:8 a category is of one kind\n"
    );
    for (root, what) in [
        ("/", "/ is everything"),
        ("/proc/sys", "/proc/sys is the kernel's own"),
        (
            "/etc/fencepost",
            "/etc/fencepost is what a node keeps to itself",
        ),
        (
            "/var/lib/dpkg/info",
            "/var/lib/dpkg/info is what a node keeps to itself",
        ),
        ("srv", "`srv` is not an absolute path"),
        ("/srv/", "`/srv/` can be written shorter"),
        ("/srv/../etc", "`/srv/../etc` can be written shorter"),
    ] {
        let said = named(&format!("roots = [\"{root}\"]"));
        assert!(
            said.starts_with(&format!("4:10 {what}\n")),
            "{root}: {said}"
        );
    }
    assert_eq!(
        named("roots = [\"/srv\", \"/srv/a\"]"),
        "4:18 /srv/a is within another root\n"
    );
    assert_eq!(
        named("roots = [\"/srv\"]\nexclude = [\"a/../b\"]")
            .lines()
            .count(),
        1
    );
    assert!(named("roots = [\"/srv\"]\nexclude = [\"a/../b\"]").starts_with("5:12 pattern"));
    assert_eq!(
        named("sqlite = \"/srv/a.db\"\nexclude = [\"x\"]"),
        "5:12 `exclude` is no key of an exported category\n"
    );
    assert_eq!(
        named("export = [\"/bin/a\"]"),
        "3:8 export and import go together\n"
    );
    assert_eq!(
        named("roots = [\"/srv\"]\nreload = [\"systemctl\"]"),
        "5:10 a program is meant here, by its whole path\n"
    );
    assert_eq!(
        named("roots = [\"/srv\"]\nuids = [0]"),
        "5:8 whose files are meant is not clear\n"
    );
    assert_eq!(
        named("roots = [\"/srv\"]\nnode_own = [\"/etc/fencepost/\"]"),
        "5:13 `/etc/fencepost/` is nothing that may be taken in\n"
    );
    let said = read("[sync]\n[[category]]\nname = \"a\"\nrots = [\"/srv\"]\n").unwrap_err();
    assert!(said.to_string().contains("did you mean `roots`?"), "{said}");
}

#[test]
fn categories_do_not_overlap() {
    let two = |one: &str, other: &str| {
        read(&format!(
            "[sync]\n[[category]]\n{one}\n[[category]]\n{other}\n"
        ))
        .err()
        .map(|mistakes| mistakes.places()[0].2.to_owned())
    };
    let etc = "name = \"etc\"\nroots = [\"/etc\"]";
    assert_eq!(
        two("preset = \"vpn\"", etc).as_deref(),
        Some("categories `vpn` and `etc` could both hold /etc/wireguard")
    );
    assert_eq!(
        two("preset = \"vpn\"", "preset = \"vpn\"").as_deref(),
        Some("category `vpn` is there twice")
    );
    assert_eq!(
        two(
            "name = \"app\"\nroots = [\"/srv/app\"]",
            "name = \"db\"\nsqlite = \"/srv/app/app.db\""
        )
        .as_deref(),
        Some("categories `app` and `db` could both hold /srv/app/app.db")
    );
    let spared = "name = \"app\"\nroots = [\"/srv/app\"]\nexclude = [\"/app.db\", \"/app.db-wal\", \"/app.db-shm\", \"/app.db-journal\"]";
    assert_eq!(
        two(spared, "name = \"db\"\nsqlite = \"/srv/app/app.db\""),
        None
    );
}

/// Wherever the site keeps them.
#[test]
fn fencepost_itself_is_never_kept_alike() {
    let text = "[sync]\n[[category]]\nname = \"a\"\nroots = [\"/srv\"]\n[state]\ndir = \"/srv/fencepost\"\n";
    assert_eq!(
        mistakes(text),
        "3:8 /srv/fencepost is Fencepost's own and never kept alike\n"
    );
    let spared = text.replace("[state]", "exclude = [\"/fencepost/\"]\n[state]");
    good(&spared);
}

/// One path for each thing that no preset may carry.
const NODE_OWN: [&str; 31] = [
    "/etc/systemd/network/10-lan.link",
    "/etc/udev/rules.d/70-persistent-net.rules",
    "/etc/network/interfaces",
    "/etc/network/interfaces.d/gateway-node-local",
    "/etc/netplan/50-cloud-init.yaml",
    "/etc/netplan/90-node-local.yaml",
    "/etc/systemd/network/lan.network.d/node-local.conf",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/mailname",
    "/etc/machine-id",
    "/etc/postfix/main.cf",
    "/etc/nullmailer/me",
    "/etc/ssh/ssh_host_ed25519_key",
    "/etc/dropbear/dropbear_ed25519_host_key",
    "/etc/ssl/private/ssl-cert-snakeoil.key",
    "/etc/crowdsec/local_api_credentials.yaml",
    "/etc/suricata/oinkmaster-api-key",
    "/etc/squid/vendor.lic",
    "/etc/rspamd/engine.license",
    "/var/lib/suricata/activation.key",
    "/var/lib/dpkg/status",
    "/var/lib/apt/lists/x",
    "/etc/apt/sources.list",
    "/var/backups/passwd.bak",
    "/etc/nftables/rules.bak",
    "/boot/vmlinuz",
    "/etc/fstab",
    "/etc/fencepost/pair.key",
    "/var/lib/fencepost/state.json",
    "/run/fencepost/agent.lock",
];

#[test]
fn no_preset_and_no_whole_directory_carries_what_is_the_nodes_own() {
    let shipped = shipped().unwrap();
    let mut all: Vec<Category> = Vec::new();
    for preset in &shipped.presets {
        let text = format!("[sync]\n[[category]]\npreset = \"{}\"\n", preset.name);
        all.extend(good(&text).categories);
    }
    assert_eq!(all.len(), 12);
    for root in ["/etc", "/var", "/var/lib", "/run"] {
        let text = format!("[sync]\n[[category]]\nname = \"a\"\nroots = [\"{root}\"]\n");
        all.extend(good(&text).categories);
    }
    for path in NODE_OWN {
        for category in &all {
            let verdict = verdict(category, path);
            assert_eq!(verdict, Verdict::Skip, "{} takes {path}", category.id);
        }
        assert!(shipped.is_left_out(Path::new(path), &[]).unwrap(), "{path}");
    }
    // The test looks: what they are for, they take.
    let takes = |path: &str| all.iter().any(|it| verdict(it, path) == Verdict::Take);
    for path in [
        "/etc/nftables.conf",
        "/etc/wireguard/wg0.conf",
        "/var/lib/kea/kea-leases4.csv",
    ] {
        assert!(takes(path), "{path}");
    }
}

#[test]
fn every_reason_to_leave_something_out_is_tried() {
    let shipped = shipped().unwrap();
    for never in &shipped.nevers {
        let filter = Filter::new(&fencepost_sync::filter::FilterSpec {
            node_local: never.patterns.clone(),
            ..Default::default()
        })
        .unwrap();
        let tried = NODE_OWN
            .iter()
            .any(|path| filter.judge(&path.as_bytes()[1..], false) == Verdict::Skip);
        assert!(tried, "{}: no path in the list", never.about);
    }
}

#[test]
fn presets_do_not_get_in_each_others_way_and_are_documented() {
    let shipped = shipped().unwrap();
    let text: String = shipped
        .names()
        .iter()
        .map(|name| format!("[[category]]\npreset = \"{name}\"\n"))
        .collect();
    let all = good(&format!("[sync]\n{text}")).categories;
    for (at, one) in all.iter().enumerate() {
        for other in &all[..at] {
            assert_eq!(overlap(&files(one).claims(), &files(other).claims()), None);
        }
    }
}
