//! Who holds a busy watchdog, in words for the operator. Only read when opening has already failed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long `systemctl` may take; when systemd itself hangs the answer is a guess.
const ASK_SYSTEMD_FOR: Duration = Duration::from_secs(2);

/// One sentence: busy, who holds it, and what to do.
pub(super) fn explain_busy(path: &Path) -> String {
    describe(path, &holders(path), runtime_watchdog().as_deref())
}

fn describe(path: &Path, holders: &[Holder], runtime_watchdog: Option<&str>) -> String {
    let place = path.display();
    if holders.iter().any(|holder| holder.pid == 1) || runtime_watchdog.is_some() {
        let setting = runtime_watchdog.map_or(String::new(), |time| format!(" ({time})"));
        return format!(
            "{place} is busy: systemd holds it because RuntimeWatchdogSec= is set{setting}. Either set it to 0 \
             in /etc/systemd/system.conf and reboot, or let the agent feed systemd: \
             [watchdog] mode = \"systemd\" and WatchdogSec= in the unit"
        );
    }
    if holders.is_empty() {
        return format!(
            "{place} is busy: some other process holds it (a watchdog opens once); find it with `fuser -v {place}`"
        );
    }
    let names: Vec<String> = holders
        .iter()
        .map(|holder| format!("{} (pid {})", holder.name, holder.pid))
        .collect();
    format!(
        "{place} is busy: held by {}; stop it, or give the agent another watchdog",
        names.join(", ")
    )
}

#[derive(Debug, PartialEq, Eq)]
struct Holder {
    pid: u32,
    name: String,
}

/// Processes with the device open. Needs the right to look into them; finds none otherwise.
fn holders(path: &Path) -> Vec<Holder> {
    // Both names of the first watchdog are one device, and only one of them may be the open one.
    let names: Vec<PathBuf> = [
        path.to_owned(),
        "/dev/watchdog".into(),
        "/dev/watchdog0".into(),
    ]
    .into();
    let first = path.ends_with("watchdog") || path.ends_with("watchdog0");
    let wanted = if first { &names[..] } else { &names[..1] };
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .filter_map(|process| process.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| has_open(*pid, wanted))
        .map(|pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            Holder {
                pid,
                name: name.trim().to_owned(),
            }
        })
        .collect()
}

fn has_open(pid: u32, wanted: &[PathBuf]) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    descriptors
        .filter_map(|descriptor| fs::read_link(descriptor.ok()?.path()).ok())
        .any(|target| wanted.contains(&target))
}

/// systemd's own setting, if it is not off. Falls back to nothing when systemd is absent or slow.
fn runtime_watchdog() -> Option<String> {
    if !Path::new("/run/systemd/system").exists() {
        return None;
    }
    let mut child = Command::new("systemctl")
        .args(["show", "--property=RuntimeWatchdogUSec", "--value"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let until = Instant::now() + ASK_SYSTEMD_FOR;
    while child.try_wait().ok()?.is_none() {
        if Instant::now() >= until {
            let _already_ended = child.kill();
            let _reaped = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().ok()?;
    let value = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    is_on(&value).then_some(value)
}

fn is_on(value: &str) -> bool {
    !matches!(value, "" | "0" | "infinity" | "18446744073709551615")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_is_named_with_both_ways_out() {
        let text = describe(Path::new("/dev/watchdog0"), &[], Some("30s"));
        assert!(text.contains("RuntimeWatchdogSec= is set (30s)"), "{text}");
        assert!(text.contains("mode = \"systemd\""), "{text}");
        let by_descriptor = [Holder {
            pid: 1,
            name: "systemd".to_owned(),
        }];
        assert!(
            describe(Path::new("/dev/watchdog"), &by_descriptor, None).contains("systemd holds it")
        );
    }

    #[test]
    fn another_process_is_named() {
        let wd_keepalive = [Holder {
            pid: 77,
            name: "wd_keepalive".to_owned(),
        }];
        let text = describe(Path::new("/dev/watchdog1"), &wd_keepalive, None);
        assert!(text.contains("wd_keepalive (pid 77)"), "{text}");
    }

    #[test]
    fn our_own_open_file_is_found() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = fs::canonicalize(file.path()).unwrap();
        assert!(
            holders(&path)
                .iter()
                .any(|holder| holder.pid == std::process::id())
        );
    }

    #[test]
    fn off_is_off_in_every_spelling() {
        for value in ["", "0", "infinity"] {
            assert!(!is_on(value), "{value}");
        }
        assert!(is_on("10s"));
    }
}
