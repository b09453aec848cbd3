//! The cable into a QEMU machine: one Ethernet frame per datagram of a Unix socket.
//!
//! What if QEMU dies here? Frames for it are lost until it is back; its next life binds the same socket, and the cable works again.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::{FRAME_MAX, PATIENCE, Port, QUEUE, SharedPort, Threads};
use crate::error::{AtPath, Result};

struct Cable {
    socket: UnixDatagram,
    out: SyncSender<Vec<u8>>,
    _writer: Mutex<Threads>,
}

/// Our end of the cable whose ends [`crate::qemu::Config::cable`] names.
pub fn to_machine((theirs, ours): (&Path, &Path)) -> Result<SharedPort> {
    let _ = std::fs::remove_file(ours);
    let socket = UnixDatagram::bind(ours).at("cannot make a cable at", ours)?;
    socket
        .set_read_timeout(Some(PATIENCE))
        .at("cannot use", ours)?;
    let writer = socket.try_clone().at("cannot share", ours)?;
    writer
        .set_write_timeout(Some(PATIENCE))
        .at("cannot use", ours)?;

    // A machine that is stopped or slow leaves its socket full, and the kernel lets only a few datagrams wait there.
    // They wait here instead, as in the ring of a card, while the segment goes on.
    let (out, waiting) = sync_channel::<Vec<u8>>(QUEUE);
    let theirs = theirs.to_path_buf();
    let mut threads = Threads::default();
    threads.run(move || match waiting.recv_timeout(PATIENCE) {
        Ok(frame) => {
            let _ = writer.send_to(&frame, &theirs);
            Ok(())
        }
        Err(RecvTimeoutError::Timeout) => Ok(()),
        Err(RecvTimeoutError::Disconnected) => Err(io::Error::new(
            io::ErrorKind::BrokenPipe,
            "the cable was unplugged",
        )),
    });
    Ok(Arc::new(Cable {
        socket,
        out,
        _writer: Mutex::new(threads),
    }))
}

impl Port for Cable {
    fn send(&self, frame: &[u8]) {
        let _ = self.out.try_send(frame.to_vec());
    }

    fn receive(&self, buffer: &mut [u8; FRAME_MAX]) -> io::Result<Option<usize>> {
        match self.socket.recv(buffer) {
            Ok(length) => Ok(Some(length)),
            Err(error) if is_quiet(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self._writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .end();
    }
}

/// Nothing came in time.
pub(super) fn is_quiet(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}
