#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::*;

/// No test waits for it; it is only what must never be reached.
const LONG: Duration = Duration::from_secs(600);

fn script(text: &str) -> (tempfile::TempDir, Hook) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hook");
    crate::stand_in::write(&path, &format!("#!/bin/sh\n{text}\n"));
    let hook = Hook {
        argv: vec![path.to_str().unwrap().to_owned()],
        limit: LONG,
    };
    (folder, hook)
}

fn call(staged: Option<&Path>) -> Call<'_> {
    Call {
        moment: Moment::Validate,
        category: None,
        staged,
        generation: None,
    }
}

#[test]
fn a_program_gets_its_arguments_and_a_fixed_environment() {
    let (_folder, mut hook) = script("echo \"$0|$1|$2|$#\"; env | sort; pwd");
    hook.argv.extend([
        "-f{staged}/a; rm -rf $HOME".to_owned(),
        "two words".to_owned(),
    ]);
    let id = CategoryId::new("firewall").unwrap();
    let said = hook
        .run(&Call {
            category: Some(&id),
            generation: Some(7),
            ..call(Some(Path::new("/stage/x")))
        })
        .unwrap();
    let (first, environment) = said.output.split_once('\n').unwrap();
    let program = &hook.argv[0];
    assert_eq!(
        first,
        format!("{program}|-f/stage/x/a; rm -rf $HOME|two words|2")
    );
    let ours: Vec<&str> = environment
        .lines()
        .filter(|line| !line.starts_with("PWD=") && !line.starts_with("_="))
        .collect();
    assert_eq!(
        ours,
        [
            "FENCEPOST_CATEGORY=firewall",
            "FENCEPOST_GENERATION=7",
            "FENCEPOST_HOOK=validate",
            "FENCEPOST_STAGED=/stage/x",
            "LANG=C.UTF-8",
            &format!("PATH={SEARCH_PATH}"),
            "/",
        ]
    );
}

#[test]
fn a_path_may_hold_any_bytes() {
    let (_folder, mut hook) = script("[ -d \"$1\" ] && [ -d \"$FENCEPOST_STAGED\" ]");
    hook.argv.push(STAGED.to_owned());
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join(OsStr::from_bytes(b"a \xff\n"));
    std::fs::create_dir(&odd).unwrap();
    hook.run(&call(Some(&odd))).unwrap();
}

#[test]
fn a_no_carries_what_was_said() {
    let (_folder, hook) = script("echo out; printf 'line 3: \\033[31mno such set' >&2; exit 3");
    let error = hook.run(&call(None)).unwrap_err();
    let HookError::Refused { status, output, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(status.code(), Some(3));
    assert_eq!(output, "out\nline 3: \u{fffd}[31mno such set");
}

#[test]
fn what_is_kept_of_the_output_is_bounded_and_the_program_is_not_held_up() {
    let (_folder, hook) = script("head -c 3000000 /dev/zero | tr '\\0' x");
    let said = hook.run(&call(None)).unwrap();
    assert_eq!(said.output, "x".repeat(OUTPUT_BYTES_MAX));
}

#[test]
fn a_slow_program_is_ended_with_all_it_started() {
    let (folder, mut hook) =
        script("trap '' TERM; echo begun; sleep 1000 & echo $! >\"$0.child\"; wait; wait");
    hook.limit = Duration::from_secs(1);
    let error = hook.run(&call(None)).unwrap_err();
    assert!(
        matches!(&error, HookError::TooSlow { output, .. } if output == "begun"),
        "{error}"
    );
    assert!(is_gone(&folder.path().join("hook.child")));
}

#[test]
fn what_is_left_behind_is_ended_and_not_waited_for() {
    let (folder, hook) = script("sleep 1000 & echo $! >\"$0.child\"");
    hook.run(&call(None)).unwrap();
    assert!(is_gone(&folder.path().join("hook.child")));
}

/// Dead, or dead and not yet waited for by whoever inherited it.
fn is_gone(pid_file: &Path) -> bool {
    let pid = std::fs::read_to_string(pid_file).unwrap();
    let stat = format!("/proc/{}/stat", pid.trim());
    for _ in 0..1000 {
        match std::fs::read_to_string(&stat) {
            Ok(text)
                if text
                    .rsplit(") ")
                    .next()
                    .is_some_and(|it| !it.starts_with('Z')) =>
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            _ => return true,
        }
    }
    false
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let hook = Hook {
        argv: vec!["/nonexistent/hook".to_owned()],
        limit: LONG,
    };
    let error = hook.run(&call(None)).unwrap_err().to_string();
    assert!(
        error.starts_with("validate hook /nonexistent/hook cannot be started: "),
        "{error}"
    );
}
