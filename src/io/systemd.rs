//! The service manager: readiness, signs of life, and descriptors that outlive the agent.
//!
//! A GPIO line that nobody holds is no longer controlled: on many boards the relay moves. So the agent gives a
//! copy of its line descriptors to systemd's store (`FileDescriptorStoreMax=` in the unit) and picks them up
//! when it starts again. Without systemd all of this does nothing, and says so once.
//!
//! A notification can wait for systemd, so a thread of its own sends them; when it hangs, words are
//! dropped, and the unit's watchdog sees an agent that no longer reports: which is what it is for.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::thread::JoinHandle;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use sd_notify::NotifyState;

use super::mailbox::{Outbox, Received, mailbox};
use super::sys;
use crate::agent::snapshot::Snapshot;
use crate::node::{Service, Status};

/// Most words waiting for systemd.
const WORDS_MAX: usize = 16;
/// Longest name of a stored descriptor (systemd refuses more).
const FD_NAME_MAX: usize = 255;

/// Start the thread that tells the manager. With each word goes one line about the state, when it changed.
pub fn start(snapshot: Snapshot) -> io::Result<(Outbox<Service>, JoinHandle<()>)> {
    let (sender, words) = mailbox(WORDS_MAX);
    let thread = std::thread::Builder::new()
        .name("fp-manager".to_owned())
        .stack_size(128 * 1024)
        .spawn(move || {
            let mut told = String::new();
            while let Received::Item(service) = words.take(None) {
                // Not reached: the manager's own watchdog draws the conclusion.
                let _unreached = sd_notify::notify(word(service));
                let line = snapshot.latest().map(|latest| headline(&latest.status));
                if let Some(line) = line.filter(|line| *line != told) {
                    let _unreached = sd_notify::notify(&[NotifyState::Status(&line)]);
                    told = line;
                }
            }
        })?;
    Ok((Outbox::new(sender), thread))
}

/// One line for `systemctl status`.
fn headline(status: &Status) -> String {
    let segments: Vec<String> = status
        .segments
        .iter()
        .map(|segment| format!("{} {}", segment.name, segment.state))
        .collect();
    let reason = status
        .reasons
        .first()
        .map_or(String::new(), |reason| format!("; {reason}"));
    format!("{:?}: {}{reason}", status.summary, segments.join(", ")).replace('\n', " ")
}

const fn word(service: Service) -> &'static [NotifyState<'static>] {
    match service {
        Service::Ready => &[NotifyState::Ready],
        Service::Alive => &[NotifyState::Watchdog],
        Service::Stopping => &[NotifyState::Stopping],
    }
}

/// Put a copy of a descriptor into the manager's store under `name`, replacing nothing: a name may hold
/// several. Returns whether there is a manager at all.
pub fn store(name: &str, descriptor: impl AsFd) -> io::Result<Stored> {
    store_at(
        std::env::var_os("NOTIFY_SOCKET").as_deref(),
        name,
        descriptor,
    )
}

/// Whether a descriptor was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// The manager has it.
    Sent,
    /// The agent does not run under a manager.
    NoManager,
}

fn store_at(
    socket: Option<&std::ffi::OsStr>,
    name: &str,
    descriptor: impl AsFd,
) -> io::Result<Stored> {
    let Some(socket) = socket else {
        return Ok(Stored::NoManager);
    };
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b':');
    if name.is_empty() || name.len() > FD_NAME_MAX || !plain {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "`{name}` cannot name a stored descriptor: printable ASCII without a colon only"
            ),
        ));
    }
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let datagram = UnixDatagram::unbound()?;
    datagram.connect_addr(&address)?;
    // FDPOLL=0: a GPIO line descriptor polls as hung up on some drivers, and would be thrown out.
    let text = format!("FDSTORE=1\nFDNAME={name}\nFDPOLL=0\n");
    let descriptors = [descriptor.as_fd().as_raw_fd()];
    sendmsg::<()>(
        datagram.as_raw_fd(),
        &[IoSlice::new(text.as_bytes())],
        &[ControlMessage::ScmRights(&descriptors)],
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    Ok(Stored::Sent)
}

/// Descriptors an earlier life of the agent stored, by name. Call once, before anything else opens files.
pub fn pick_up() -> BTreeMap<String, Vec<OwnedFd>> {
    let mut found: BTreeMap<String, Vec<OwnedFd>> = BTreeMap::new();
    let listed = match sd_notify::listen_fds_with_names() {
        Ok(listed) => listed,
        Err(error) => {
            tracing::warn!("descriptors kept by the service manager cannot be read: {error}");
            return found;
        }
    };
    for (number, name) in listed {
        match sys::adopt_inherited(number) {
            Ok(descriptor) => found.entry(name).or_default().push(descriptor),
            Err(error) => {
                tracing::warn!("kept descriptor `{name}` ({number}) is unusable: {error}")
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::IoSliceMut;

    use nix::sys::socket::{ControlMessageOwned, recvmsg};

    use super::*;

    #[test]
    fn a_descriptor_travels_with_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let file = File::open("/dev/null").unwrap();
        let stored = store_at(Some(path.as_os_str()), "lines-0", &file).unwrap();
        assert_eq!(stored, Stored::Sent);

        let mut text = [0; 256];
        let mut space = nix::cmsg_space!([std::os::fd::RawFd; 1]);
        let mut slices = [IoSliceMut::new(&mut text)];
        let message = recvmsg::<()>(
            manager.as_raw_fd(),
            &mut slices,
            Some(&mut space),
            MsgFlags::empty(),
        )
        .unwrap();
        let rights: Vec<_> = message.cmsgs().unwrap().collect();
        assert!(matches!(&rights[..], [ControlMessageOwned::ScmRights(fds)] if fds.len() == 1));
        let bytes = message.bytes;
        let told = std::str::from_utf8(&text[..bytes]).unwrap();
        assert_eq!(told, "FDSTORE=1\nFDNAME=lines-0\nFDPOLL=0\n");
    }

    #[test]
    fn without_a_manager_nothing_is_stored() {
        let file = File::open("/dev/null").unwrap();
        assert_eq!(store_at(None, "lines", &file).unwrap(), Stored::NoManager);
    }

    #[test]
    fn names_systemd_would_misread_are_refused() {
        let file = File::open("/dev/null").unwrap();
        for name in ["", "a:b", "a\nREADY=1", "ä"] {
            let result = store_at(Some(std::ffi::OsStr::new("/nowhere")), name, &file);
            assert_eq!(
                result.unwrap_err().kind(),
                io::ErrorKind::InvalidInput,
                "{name:?}"
            );
        }
    }
}
