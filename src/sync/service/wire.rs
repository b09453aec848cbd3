//! One connection: its reader and writer as tasks, so that no wait for one thing holds up another.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use crate::frame::Message;
use crate::link::{Incoming, LinkError, Outgoing};

/// Contents that may wait for the disk: four megabytes.
const CHUNKS: usize = 64;
/// Messages that may wait for the machine.
const MESSAGES: usize = 64;

/// See the module. Ends with its owner.
pub(super) struct Wire {
    pub(super) outgoing: Outgoing,
    pub(super) incoming: mpsc::Receiver<Result<Message, LinkError>>,
    /// Room for contents: given back by who has put one on the disk.
    pub(super) room: Arc<Semaphore>,
    reader: JoinHandle<()>,
}

impl Wire {
    /// Over an authenticated stream.
    pub(super) fn new(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        let (read, write) = tokio::io::split(stream);
        let (outgoing, writer) = Outgoing::new(write);
        // What broke it, the reader tells.
        tokio::spawn(async { drop(writer.await) });
        let room = Arc::new(Semaphore::new(CHUNKS));
        let (sender, incoming) = mpsc::channel(MESSAGES);
        let reader = tokio::spawn(read_all(Incoming::new(read), sender, Arc::clone(&room)));
        Self {
            outgoing,
            incoming,
            room,
            reader,
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read_all<R: AsyncRead + Unpin>(
    mut incoming: Incoming<R>,
    messages: mpsc::Sender<Result<Message, LinkError>>,
    room: Arc<Semaphore>,
) {
    loop {
        let message = incoming.next().await;
        if let (Ok(Message::Content(_)), Ok(permit)) = (&message, room.acquire().await) {
            permit.forget();
        }
        let over = message.is_err();
        if messages.send(message).await.is_err() || over {
            return;
        }
    }
}
