//! A cable inside the rig: from a segment to a traffic source, or from one segment to the next.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::{FRAME_MAX, PATIENCE, Port, QUEUE, SharedPort};

struct End {
    out: SyncSender<Vec<u8>>,
    inbox: Mutex<Receiver<Vec<u8>>>,
}

/// Both ends of a new cable.
pub fn pipe() -> (SharedPort, SharedPort) {
    let (there, from_here) = sync_channel(QUEUE);
    let (here, from_there) = sync_channel(QUEUE);
    let near = End {
        out: there,
        inbox: Mutex::new(from_there),
    };
    let far = End {
        out: here,
        inbox: Mutex::new(from_here),
    };
    (Arc::new(near), Arc::new(far))
}

impl Port for End {
    fn send(&self, frame: &[u8]) {
        let _ = self.out.try_send(frame.to_vec());
    }

    fn receive(&self, buffer: &mut [u8; FRAME_MAX]) -> io::Result<Option<usize>> {
        let inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        match inbox.recv_timeout(PATIENCE) {
            Ok(frame) => {
                let length = frame.len().min(FRAME_MAX);
                buffer[..length].copy_from_slice(&frame[..length]);
                Ok(Some(length))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "the other end is gone",
            )),
        }
    }
}
