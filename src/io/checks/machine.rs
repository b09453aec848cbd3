//! Checks that look at this machine. They may block in the kernel; the caller gives them a thread.

use std::fs;
use std::path::Path;

use nix::sys::statvfs::statvfs;

use super::{CheckKind, Finding, ProcessRef};
use crate::board::profile::PortRef;

/// What the kernel keeps of a process name, in bytes.
const COMM_BYTES_MAX: usize = 15;
const NET: &str = "/sys/class/net";
const PROC: &str = "/proc";

pub(super) fn look(kind: &CheckKind) -> Finding {
    match kind {
        CheckKind::Carrier(ports) => carrier(Path::new(NET), ports),
        CheckKind::Process(process) => alive(Path::new(PROC), process),
        CheckKind::Disk {
            path,
            free_percent_min,
        } => disk(path, *free_percent_min),
        CheckKind::Memory { available_mib_min } => {
            memory(fs::read_to_string("/proc/meminfo"), *available_mib_min)
        }
        CheckKind::Unit(_) | CheckKind::Tcp(_) | CheckKind::Http(_) | CheckKind::Plugin(_) => {
            Finding::unknown("internal error: not a check of this machine")
        }
    }
}

fn carrier(net: &Path, ports: &[PortRef]) -> Finding {
    let mut up = Vec::new();
    for port in ports {
        let name = match interface(net, port) {
            Ok(name) => name,
            Err(finding) => return finding,
        };
        match fs::read_to_string(net.join(&name).join("carrier")) {
            Ok(text) if text.trim() == "1" => up.push(name),
            Ok(_) => return Finding::bad(format!("{name} has no carrier")),
            // The kernel refuses to tell while the interface is administratively down.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                return Finding::bad(format!("{name} is switched off"));
            }
            Err(error) => return Finding::bad(format!("{name}: {error}")),
        }
    }
    Finding::good(format!("carrier on {}", up.join(", ")))
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

fn alive(proc: &Path, process: &ProcessRef) -> Finding {
    match process {
        ProcessRef::Name(name) => by_name(proc, name),
        ProcessRef::PidFile(file) => by_pid_file(proc, file),
    }
}

fn by_name(proc: &Path, name: &str) -> Finding {
    let kept = &name.as_bytes()[..name.len().min(COMM_BYTES_MAX)];
    let Ok(entries) = fs::read_dir(proc) else {
        return Finding::unknown(format!("{} cannot be read", proc.display()));
    };
    let found = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .find(|pid| is_alive(proc, *pid).is_some_and(|comm| comm == kept));
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

fn disk(path: &Path, free_percent_min: u8) -> Finding {
    let place = path.display();
    match statvfs(path) {
        Err(error) => Finding::bad(format!("{place}: {error}")),
        Ok(stat) => {
            // As an ordinary user sees it: without the blocks kept for root.
            let (free, all) = (u64::from(stat.blocks_available()), u64::from(stat.blocks()));
            let percent = (free.saturating_mul(100)).checked_div(all).unwrap_or(0);
            let text = format!("{percent} % free on {place}");
            if percent < u64::from(free_percent_min) {
                Finding::bad(text)
            } else {
                Finding::good(text)
            }
        }
    }
}

fn memory(meminfo: std::io::Result<String>, available_mib_min: u64) -> Finding {
    let available_kib = meminfo.ok().and_then(|text| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("MemAvailable:"))?
            .to_owned();
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    });
    match available_kib {
        None => Finding::unknown("/proc/meminfo tells no MemAvailable"),
        Some(kib) => {
            let text = format!("{} MiB available", kib / 1024);
            if kib / 1024 < available_mib_min {
                Finding::bad(text)
            } else {
                Finding::good(text)
            }
        }
    }
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
    fn every_port_needs_carrier() {
        let root = net();
        let net = root.path().join("net");
        let look = |ports: &[PortRef]| carrier(&net, ports);
        let pci = |path: &str| PortRef::Pci(path.to_owned());
        assert_eq!(
            look(&[pci("0000:03:00.0")]),
            Finding::good("carrier on eth0")
        );
        assert_eq!(
            look(&[pci("0000:03:00.0"), pci("0000:03:00.1")]),
            Finding::bad("eth1 has no carrier")
        );
        assert_eq!(
            look(&[PortRef::Interface("eth1".to_owned())]).verdict,
            Verdict::Critical
        );
        assert_eq!(
            look(&[PortRef::Interface("eth7".to_owned())]).verdict,
            Verdict::Critical
        );
        let missing = look(&[pci("0000:05:00.0")]);
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
        let named = alive(Path::new(PROC), &ProcessRef::Name(comm.trim().to_owned()));
        assert_eq!(named.verdict, Verdict::Ok, "{}", named.output);

        let proc = tempfile::tempdir().unwrap();
        let dead = proc.path().join("42");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join("stat"), "42 (pro) xy) Z 1 1").unwrap();
        let name = ProcessRef::Name("pro) xy".to_owned());
        assert_eq!(alive(proc.path(), &name).verdict, Verdict::Critical);
        fs::write(dead.join("stat"), "42 (pro) xy) S 1 1").unwrap();
        assert_eq!(alive(proc.path(), &name).verdict, Verdict::Ok);
        fs::write(dead.join("stat"), "42 (a-very-long-nam) S 1 1").unwrap();
        let long = ProcessRef::Name("a-very-long-name-indeed".to_owned());
        assert_eq!(alive(proc.path(), &long).verdict, Verdict::Ok);
    }

    #[test]
    fn a_pid_file_must_name_a_living_process() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("daemon.pid");
        let process = ProcessRef::PidFile(file.clone());
        let look = || alive(Path::new(PROC), &process).verdict;
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
        assert_eq!(disk(directory.path(), 0).verdict, Verdict::Ok);
        assert_eq!(disk(directory.path(), 101).verdict, Verdict::Critical);
        assert_eq!(disk(Path::new("/nowhere"), 0).verdict, Verdict::Critical);
        let meminfo = || Ok("MemTotal: 9 kB\nMemAvailable:   204800 kB\n".to_owned());
        assert_eq!(memory(meminfo(), 200), Finding::good("200 MiB available"));
        assert_eq!(memory(meminfo(), 201).verdict, Verdict::Critical);
        assert_eq!(memory(Ok(String::new()), 1).verdict, Verdict::Unknown);
    }
}
