#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use super::*;

fn files(roots: &[&str], include: &[&str], exclude: &[&str]) -> Files {
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
    Files {
        roots: roots.iter().map(PathBuf::from).collect(),
        filter: FilterSpec {
            include: words(include),
            exclude: words(exclude),
            node_local: Vec::new(),
        },
    }
}

fn category(contents: Contents) -> Category {
    Category {
        id: CategoryId::new("firewall").unwrap(),
        contents,
        policy: Policy::default(),
        priority: 100,
        hooks: Hooks::default(),
    }
}

fn hook(program: &str) -> Hook {
    Hook {
        argv: vec![program.to_owned()],
        limit: Duration::from_secs(1),
    }
}

#[test]
fn the_policy_hash_is_of_what_both_nodes_must_agree_on() {
    let plain = category(Contents::Files(files(&["/etc/nftables"], &[], &["*.bak"])));
    let hash = plain.policy_hash();
    let same = [
        Category {
            priority: 1,
            ..plain.clone()
        },
        Category {
            hooks: Hooks {
                validate: Some(hook("/usr/sbin/nft")),
                reload: None,
            },
            ..plain.clone()
        },
    ];
    for category in same {
        assert_eq!(category.policy_hash(), hash);
    }
    let mut differing = vec![
        plain.clone(),
        category(Contents::Files(files(&["/etc/nft"], &[], &["*.bak"]))),
        category(Contents::Files(files(&["/etc/nftables"], &["*.bak"], &[]))),
    ];
    let mut other = plain.clone();
    other.id = CategoryId::new("nft").unwrap();
    differing.push(other);
    let mut other = plain.clone();
    other.policy.setuid = true;
    differing.push(other);
    // Left out by both, and yet not the same: one of them says it is the node's own.
    let mut other = plain;
    if let Contents::Files(files) = &mut other.contents {
        files.filter.node_local = std::mem::take(&mut files.filter.exclude);
    }
    differing.push(other);
    let hashes: std::collections::BTreeSet<Digest> =
        differing.iter().map(Category::policy_hash).collect();
    assert_eq!(hashes.len(), differing.len());
}

#[test]
fn an_exporters_programs_are_each_nodes_own_and_its_kind_is_not() {
    let command = |export: &str, every| {
        category(Contents::Export(Exporter {
            source: Source::Command {
                export: hook(export),
                import: hook("/usr/bin/psql"),
            },
            every: Duration::from_secs(every),
        }))
        .policy_hash()
    };
    let sqlite = |database: &str| {
        category(Contents::Export(Exporter {
            source: Source::Sqlite {
                database: database.into(),
            },
            every: Duration::from_secs(5),
        }))
        .policy_hash()
    };
    assert_eq!(command("/usr/bin/pg_dump", 5), command("/opt/dump", 60));
    assert_ne!(command("/usr/bin/pg_dump", 5), sqlite("/var/lib/a.db"));
    assert_ne!(sqlite("/var/lib/b.db"), sqlite("/var/lib/a.db"));
}

#[test]
fn a_tree_is_named_by_its_root_and_an_export_has_one_of_ours() {
    let state = Path::new("/var/lib/fencepost/sync");
    let trees = category(Contents::Files(files(&["/etc/network", "/srv"], &[], &[]))).trees(state);
    let names: Vec<String> = trees
        .unwrap()
        .iter()
        .map(|tree| tree.name().to_string())
        .collect();
    assert_eq!(names, ["etc-network", "srv"]);
    let export = category(Contents::Export(Exporter {
        source: Source::Sqlite {
            database: "/var/lib/a.db".into(),
        },
        every: Duration::from_secs(5),
    }));
    let directory = PathBuf::from("/var/lib/fencepost/sync/export/firewall");
    assert_eq!(export_directory(state, &export.id), directory);
    assert_eq!(export.trees(state).unwrap().len(), 1);
}

#[test]
fn categories_that_could_hold_the_same_file_overlap() {
    let overlap = |one: &Files, other: &Files| {
        let found = overlap(&one.claims(), &other.claims());
        assert_eq!(found, super::overlap(&other.claims(), &one.claims()));
        found.map(|path| path.display().to_string())
    };
    let network = files(&["/etc/network"], &[], &[]);
    assert_eq!(
        overlap(&network, &files(&["/etc/network/if-up.d"], &[], &[])).as_deref(),
        Some("/etc/network/if-up.d")
    );
    assert_eq!(
        overlap(&network, &files(&["/etc/networks"], &[], &[])),
        None
    );
    // Two parts of one directory.
    let users = files(&["/etc"], &["/passwd", "/group"], &[]);
    assert_eq!(overlap(&users, &files(&["/etc"], &["/hosts"], &[])), None);
    assert_eq!(overlap(&users, &network), None);
    assert_eq!(
        overlap(&users, &files(&["/etc"], &["/passwd*"], &[])).as_deref(),
        Some("/etc/passwd"),
    );
    // A pattern without a slash matches anywhere below.
    assert!(overlap(&network, &files(&["/etc"], &["*.conf"], &[])).is_some());
    // Left out by the outer one; a wildcard is not counted on.
    let spared = files(&["/etc"], &[], &["/network/"]);
    assert_eq!(overlap(&network, &spared), None);
    assert!(overlap(&network, &files(&["/etc"], &[], &["/net*"])).is_some());
    assert!(overlap(&network, &files(&["/etc"], &[], &["network"])).is_some());
    let taken_back = files(&["/etc"], &[], &["/network/", "!/network/if-up.d"]);
    assert!(overlap(&network, &taken_back).is_some());
}
