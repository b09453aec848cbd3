//! Checks that look at this machine. They may block in the kernel; the caller gives them a thread.

use std::fs;
use std::path::Path;

use nix::sys::statvfs::statvfs;

use super::Finding;
use crate::board::profile::PortRef;
use crate::config::CheckKind;

const NET: &str = "/sys/class/net";
const PROC: &str = "/proc";

pub(super) fn look(kind: &CheckKind) -> Finding {
    match kind {
        CheckKind::Carrier { port } => carrier(Path::new(NET), port),
        CheckKind::ProcessName { name } => by_name(Path::new(PROC), name),
        CheckKind::Pidfile { path } => by_pid_file(Path::new(PROC), path),
        CheckKind::Disk {
            path,
            min_free_percent,
            min_free_bytes,
        } => disk(path, *min_free_percent, *min_free_bytes),
        CheckKind::Memory {
            min_available_percent,
        } => memory(fs::read_to_string("/proc/meminfo"), *min_available_percent),
        CheckKind::Unit { .. }
        | CheckKind::Tcp { .. }
        | CheckKind::Http { .. }
        | CheckKind::Plugin { .. } => {
            Finding::unknown("internal error: not a check of this machine")
        }
    }
}

fn carrier(net: &Path, port: &PortRef) -> Finding {
    let name = match interface(net, port) {
        Ok(name) => name,
        Err(finding) => return finding,
    };
    match fs::read_to_string(net.join(&name).join("carrier")) {
        Ok(text) if text.trim() == "1" => Finding::good(format!("carrier on {name}")),
        Ok(_) => Finding::bad(format!("{name} has no carrier")),
        // The kernel refuses to tell while the interface is administratively down.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            Finding::bad(format!("{name} is switched off"))
        }
        Err(error) => Finding::bad(format!("{name}: {error}")),
    }
}

/// The interface's present name.
fn interface(net: &Path, port: &PortRef) -> Result<String, Finding> {
    let path = match port {
        PortRef::Interface(name) => return Ok(name.clone()),
        PortRef::Pci(path) => path,
    };
    let Ok(interfaces) = fs::read_dir(net) else {
        return Err(Finding::unknown(format!(
            "{} cannot be read",
            net.display()
        )));
    };
    interfaces
        .filter_map(Result::ok)
        .find(|entry| {
            fs::canonicalize(entry.path().join("device")).is_ok_and(|device| device.ends_with(path))
        })
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .ok_or_else(|| {
            Finding::bad(format!(
                "no interface at PCI {path}: card or driver missing"
            ))
        })
}

fn by_name(proc: &Path, name: &str) -> Finding {
    let Ok(entries) = fs::read_dir(proc) else {
        return Finding::unknown(format!("{} cannot be read", proc.display()));
    };
    let found = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .find(|pid| is_alive(proc, *pid).is_some_and(|comm| comm == name.as_bytes()));
    match found {
        Some(pid) => Finding::good(format!("{name} runs (pid {pid})")),
        None => Finding::bad(format!("no process named {name}")),
    }
}

fn by_pid_file(proc: &Path, file: &Path) -> Finding {
    let place = file.display();
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => return Finding::bad(format!("{place}: {error}")),
    };
    let Ok(pid) = text.trim().parse::<u32>() else {
        return Finding::unknown(format!("{place} holds no process id"));
    };
    match is_alive(proc, pid) {
        Some(name) => Finding::good(format!(
            "{} runs (pid {pid})",
            String::from_utf8_lossy(&name)
        )),
        None => Finding::bad(format!("process {pid} of {place} is gone")),
    }
}

/// Its name, unless it is gone or a zombie: a zombie forwards nothing.
fn is_alive(proc: &Path, pid: u32) -> Option<Vec<u8>> {
    // "1234 (name) S ...": the name may hold anything, so it ends at the last parenthesis.
    let stat = fs::read(proc.join(pid.to_string()).join("stat")).ok()?;
    let from = stat.iter().position(|byte| *byte == b'(')? + 1;
    let to = stat.iter().rposition(|byte| *byte == b')')?;
    let state = stat.get(to + 2)?;
    (!matches!(state, b'Z' | b'X' | b'x')).then(|| stat.get(from..to).map(<[u8]>::to_vec))?
}

fn disk(path: &Path, min_free_percent: Option<u8>, min_free_bytes: Option<u64>) -> Finding {
    let place = path.display();
    let stat = match statvfs(path) {
        Ok(stat) => stat,
        Err(error) => return Finding::bad(format!("{place}: {error}")),
    };
    // As an ordinary user sees it: without the blocks kept for root.
    let (free, all) = (stat.blocks_available(), stat.blocks());
    let percent = percent(free, all);
    let bytes = free.saturating_mul(stat.fragment_size());
    let text = format!("{percent} % ({} MiB) free on {place}", bytes >> 20);
    let short = min_free_percent.is_some_and(|min| percent < u64::from(min))
        || min_free_bytes.is_some_and(|min| bytes < min);
    if short {
        Finding::bad(text)
    } else {
        Finding::good(text)
    }
}

fn memory(meminfo: std::io::Result<String>, min_available_percent: u8) -> Finding {
    let text = meminfo.unwrap_or_default();
    let kib = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    let (Some(available), Some(all)) = (kib("MemAvailable:"), kib("MemTotal:")) else {
        return Finding::unknown("/proc/meminfo tells no MemAvailable");
    };
    let percent = percent(available, all);
    let text = format!("{percent} % ({} MiB) available", available >> 10);
    if percent < u64::from(min_available_percent) {
        Finding::bad(text)
    } else {
        Finding::good(text)
    }
}

fn percent(part: u64, all: u64) -> u64 {
    part.saturating_mul(100).checked_div(all).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::node::Verdict;

    fn net() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, pci, carrier) in [
            ("eth0", "0000:03:00.0", "1\n"),
            ("eth1", "0000:03:00.1", "0\n"),
        ] {
            let device = root.path().join("devices/pci0000:00").join(pci);
            fs::create_dir_all(&device).unwrap();
            let interface = root.path().join("net").join(name);
            fs::create_dir_all(&interface).unwrap();
            symlink(&device, interface.join("device")).unwrap();
            fs::write(interface.join("carrier"), carrier).unwrap();
        }
        root
    }

    #[test]
    fn carrier_is_read_by_name_and_by_pci_path() {
        let root = net();
        let net = root.path().join("net");
        let pci = |path: &str| carrier(&net, &PortRef::Pci(path.to_owned()));
        let named = |name: &str| carrier(&net, &PortRef::Interface(name.to_owned()));
        assert_eq!(pci("0000:03:00.0"), Finding::good("carrier on eth0"));
        assert_eq!(pci("0000:03:00.1"), Finding::bad("eth1 has no carrier"));
        assert_eq!(named("eth1"), Finding::bad("eth1 has no carrier"));
        assert_eq!(named("eth7").verdict, Verdict::Critical);
        let missing = pci("0000:05:00.0");
        assert!(
            missing.output.contains("no interface at PCI 0000:05:00.0"),
            "{}",
            missing.output
        );
    }

    #[test]
    fn this_very_process_is_alive_and_a_zombie_is_not() {
        let pid = std::process::id();
        let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
        let named = by_name(Path::new(PROC), comm.trim());
        assert_eq!(named.verdict, Verdict::Ok, "{}", named.output);

        let proc = tempfile::tempdir().unwrap();
        let dead = proc.path().join("42");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join("stat"), "42 (pro) xy) Z 1 1").unwrap();
        assert_eq!(by_name(proc.path(), "pro) xy").verdict, Verdict::Critical);
        fs::write(dead.join("stat"), "42 (pro) xy) S 1 1").unwrap();
        assert_eq!(by_name(proc.path(), "pro) xy").verdict, Verdict::Ok);
    }

    #[test]
    fn a_pid_file_must_name_a_living_process() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("daemon.pid");
        let look = || by_pid_file(Path::new(PROC), &file).verdict;
        assert_eq!(look(), Verdict::Critical);
        fs::write(&file, "not a number").unwrap();
        assert_eq!(look(), Verdict::Unknown);
        fs::write(&file, format!("{}\n", std::process::id())).unwrap();
        assert_eq!(look(), Verdict::Ok);
        // Above the kernel's greatest possible process id.
        fs::write(&file, "4194305").unwrap();
        assert_eq!(look(), Verdict::Critical);
    }

    #[test]
    fn disk_and_memory_have_a_floor() {
        let directory = tempfile::tempdir().unwrap();
        let look = |percent, bytes| disk(directory.path(), percent, bytes).verdict;
        assert_eq!(look(Some(0), Some(1)), Verdict::Ok);
        assert_eq!(look(Some(101), None), Verdict::Critical);
        assert_eq!(look(Some(0), Some(u64::MAX)), Verdict::Critical);
        assert_eq!(
            disk(Path::new("/nowhere"), Some(0), None).verdict,
            Verdict::Critical
        );
        let meminfo = || Ok("MemTotal: 819200 kB\nMemAvailable:   204800 kB\n".to_owned());
        assert_eq!(
            memory(meminfo(), 25),
            Finding::good("25 % (200 MiB) available")
        );
        assert_eq!(memory(meminfo(), 26).verdict, Verdict::Critical);
        assert_eq!(memory(Ok(String::new()), 1).verdict, Verdict::Unknown);
    }
}
