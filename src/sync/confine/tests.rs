#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use core::time::Duration;

use super::*;
use crate::category::{Category, Exporter, Files, Hooks};
use crate::category_id::CategoryId;
use crate::filter::FilterSpec;
use crate::policy::Policy;
use crate::settings::HookPaths;

fn hook(program: &str) -> Hook {
    Hook {
        argv: vec![program.to_owned(), "/etc/shadow".to_owned()],
        limit: Duration::from_secs(1),
    }
}

fn category(id: &str, contents: Contents) -> Category {
    Category {
        id: CategoryId::new(id).unwrap(),
        contents,
        policy: Policy::default(),
        priority: 100,
        hooks: Hooks {
            validate: Some(hook(&format!("/opt/{id}/validate"))),
            reload: None,
        },
    }
}

fn files(root: &Path) -> Contents {
    Contents::Files(Files {
        roots: vec![root.to_owned()],
        filter: FilterSpec::default(),
    })
}

fn settings(categories: Vec<Category>) -> Settings {
    let second = Duration::from_secs(1);
    Settings {
        socket: PathBuf::new(),
        activations: Vec::new(),
        ways: Vec::new(),
        quiet: second,
        hold: second,
        scrub_every: second,
        history: 1,
        categories,
        hook_paths: HookPaths {
            read: vec!["/srv/keys".into()],
            write: vec!["/run/app".into()],
        },
    }
}

#[test]
fn the_reach_is_what_is_configured_and_nothing_that_an_argument_names() {
    let database = Contents::Export(Exporter {
        source: Source::Sqlite {
            database: "/var/lib/app/a.db".into(),
        },
        every: Duration::from_secs(1),
    });
    let reach = Reach::of(
        &settings(vec![
            category("firewall", files(Path::new("/etc/nftables"))),
            category("app", database),
        ]),
        Path::new("/var/lib/fencepost/sync"),
        Path::new("/run/fencepost"),
    );
    let write: Vec<&str> = reach.write.iter().filter_map(|it| it.to_str()).collect();
    assert_eq!(
        write,
        [
            "/dev/null",
            "/etc/nftables",
            "/run/app",
            "/run/fencepost",
            "/var/lib/app",
            "/var/lib/fencepost/sync",
        ]
    );
    for program in ["/opt/firewall/validate", "/opt/app/validate", "/srv/keys"] {
        assert!(reach.read.contains(Path::new(program)), "{program}");
    }
    for never in ["/", "/etc", "/etc/shadow", "/var/lib", "/var/lib/fencepost"] {
        let never = Path::new(never);
        assert!(!reach.read.contains(never) && !reach.write.contains(never));
    }
}

#[test]
fn a_confined_thread_reaches_its_roots_and_nothing_else() {
    let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(outside.path().join("secret"), "x").unwrap();
    let gone = inside.path().join("gone");
    let reach = Reach::of(
        &settings(vec![
            category("a", files(inside.path())),
            category("b", files(&gone)),
        ]),
        inside.path(),
        inside.path(),
    );
    let confined = std::thread::scope(|scope| {
        let confined = scope.spawn(|| {
            let confined = reach.confine_this_thread().unwrap();
            let held = matches!(confined.held, Held::Fully | Held::Partly);
            std::fs::write(inside.path().join("file"), "x").unwrap();
            std::fs::rename(inside.path().join("file"), inside.path().join("renamed")).unwrap();
            let secret = outside.path().join("secret");
            assert_eq!(std::fs::read(&secret).is_err(), held);
            assert_eq!(
                std::fs::write(outside.path().join("new"), "x").is_err(),
                held
            );
            // What it starts is shut in with it, and can start.
            let cat = |path: &Path| {
                let cat = std::process::Command::new("/bin/cat").arg(path).output();
                cat.unwrap().status.success()
            };
            assert!(cat(&inside.path().join("renamed")));
            assert_eq!(cat(&secret), !held);
            confined
        });
        confined.join().unwrap()
    });
    assert!(confined.missing.contains(&gone));
    assert!(!confined.missing.contains(&inside.path().to_owned()));
    println!("{}", confined.held);
    // Threads that ran before are not: so it is refused with more than one.
    assert!(std::fs::read(outside.path().join("secret")).is_ok());
    assert!(matches!(reach.confine(), Err(ConfineError::Threads(2..))));
}
