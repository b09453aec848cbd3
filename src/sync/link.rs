//! Frames over a stream: one reader, one writer with two queues.
//!
//! Control goes first: it waits for at most the one bulk frame that is being written. Bulk waits for room, so that what is
//! read from a disk is no more than what the wire takes.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::frame::{FrameError, LENGTH_BYTES, Message, body_length};

/// Bulk frames that may wait: half a megabyte.
const BULK_FRAMES: usize = 8;
/// Control frames that may wait; the machines make far fewer before they wait for an answer.
const CONTROL_FRAMES: usize = 4096;
/// A frame that the other side does not take for this long is the end.
const WRITE_MAX: Duration = Duration::from_secs(20);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The other side hung up.
    #[error("the peer hung up")]
    HungUp,
    /// The stream broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// Bytes that are no frame.
    #[error("the peer sent a {0}")]
    Frame(#[from] FrameError),
}

/// The reading end.
#[derive(Debug)]
pub struct Incoming<R> {
    stream: R,
    body: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Incoming<R> {
    /// Of a stream.
    pub const fn new(stream: R) -> Self {
        let body = Vec::new();
        Self { stream, body }
    }

    /// The next message. Not to be given up half-way: what was read of a frame would be lost.
    ///
    /// # Errors
    /// The end, or what is no frame.
    pub async fn next(&mut self) -> Result<Message, LinkError> {
        let mut prefix = [0; LENGTH_BYTES];
        match self.stream.read_exact(&mut prefix).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(LinkError::HungUp);
            }
            other => other.map(|_| ())?,
        }
        self.body.resize(body_length(prefix)?, 0);
        self.stream.read_exact(&mut self.body).await?;
        Ok(Message::from_body(&self.body)?)
    }
}

/// The writing end's two queues.
#[derive(Debug, Clone)]
pub struct Outgoing {
    control: mpsc::Sender<Vec<u8>>,
    bulk: mpsc::Sender<Vec<u8>>,
}

/// The writer went: the connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection is over")]
pub struct Over;

impl Outgoing {
    /// Queues, and what empties them into a stream until all senders are gone or the stream breaks.
    pub fn new<W: AsyncWrite + Unpin>(
        stream: W,
    ) -> (Self, impl Future<Output = Result<(), LinkError>>) {
        let (control, controls) = mpsc::channel(CONTROL_FRAMES);
        let (bulk, bulks) = mpsc::channel(BULK_FRAMES);
        (Self { control, bulk }, write(stream, controls, bulks))
    }

    /// Ahead of all bulk.
    ///
    /// # Errors
    /// The connection is over, or so far behind that it had better be.
    pub fn control(&self, message: &Message) -> Result<(), Over> {
        let frame = message.to_frame().map_err(|_| Over)?;
        self.control.try_send(frame).map_err(|_| Over)
    }

    /// When there is room; blocks.
    ///
    /// # Errors
    /// The connection is over.
    pub fn bulk_blocking(&self, message: &Message) -> Result<(), Over> {
        let frame = message.to_frame().map_err(|_| Over)?;
        self.bulk.blocking_send(frame).map_err(|_| Over)
    }

    /// When there is room.
    ///
    /// # Errors
    /// The connection is over.
    pub async fn bulk(&self, message: &Message) -> Result<(), Over> {
        let frame = message.to_frame().map_err(|_| Over)?;
        self.bulk.send(frame).await.map_err(|_| Over)
    }
}

async fn write<W: AsyncWrite + Unpin>(
    mut stream: W,
    mut controls: mpsc::Receiver<Vec<u8>>,
    mut bulks: mpsc::Receiver<Vec<u8>>,
) -> Result<(), LinkError> {
    loop {
        let frame = tokio::select! {
            biased;
            Some(frame) = controls.recv() => frame,
            Some(frame) = bulks.recv() => frame,
            else => break,
        };
        let idle = controls.is_empty() && bulks.is_empty();
        let written = async {
            stream.write_all(&frame).await?;
            if idle { stream.flush().await } else { Ok(()) }
        };
        match tokio::time::timeout(WRITE_MAX, written).await {
            Ok(written) => written?,
            Err(_) => return Err(io::Error::from(io::ErrorKind::TimedOut).into()),
        }
    }
    // A peer that hung up first does not mind.
    let _gone = stream.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

    use super::*;
    use crate::digest::Digest;
    use crate::frame::{CHUNK_BYTES_MAX, Capped, Content};

    fn bulk(offset: u64) -> Message {
        Message::Content(Content {
            transfer: 1,
            content: Digest::of_file(b"x"),
            offset,
            last: false,
            packed: false,
            bytes: Capped::new(std::iter::repeat_n(7, CHUNK_BYTES_MAX)),
        })
    }

    #[tokio::test]
    async fn control_never_waits_behind_bulk() {
        let (near, far) = tokio::io::duplex(1024);
        let (outgoing, writer) = Outgoing::new(near);
        for number in 0..4 {
            outgoing.bulk(&bulk(number)).await.unwrap();
        }
        let urgent = Message::Abort { transfer: 9 };
        outgoing.control(&urgent).unwrap();
        drop(outgoing);
        let reader = async {
            let mut incoming = Incoming::new(far);
            let mut all = Vec::new();
            while let Ok(message) = incoming.next().await {
                all.push(message);
            }
            all
        };
        let (written, all) = tokio::join!(writer, reader);
        written.unwrap();
        assert_eq!(all.len(), 5);
        assert_eq!(all[0], urgent);
    }

    #[tokio::test]
    async fn an_oversize_frame_is_refused_unread() {
        let (mut near, far) = tokio::io::duplex(64);
        near.write_all(&[0xff; 8]).await.unwrap();
        let error = Incoming::new(far).next().await.unwrap_err().to_string();
        assert_eq!(
            error,
            "the peer sent a frame of 4294967295 bytes; expected 1 to 131072"
        );
    }

    #[tokio::test]
    async fn a_frame_cut_short_is_an_error_and_an_end_is_an_end() {
        let (mut near, far) = tokio::io::duplex(64);
        near.write_all(&[0, 0, 0, 9, 1]).await.unwrap();
        drop(near);
        let error = Incoming::new(far).next().await.unwrap_err();
        assert!(matches!(error, LinkError::Io(_)), "{error}");
        let (near, far) = tokio::io::duplex(64);
        drop(near);
        let error = Incoming::new(far).next().await.unwrap_err();
        assert!(matches!(error, LinkError::HungUp), "{error}");
    }
}
