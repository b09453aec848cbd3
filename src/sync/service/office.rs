//! The service's socket: people and programs ask, the sessions and keepers do.
//!
//! Anybody may connect; what they may ask is decided by who they are. Connections, line lengths and silence have limits.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::errand;
use super::shared::Shared;
use crate::control::{Answer, REQUEST_BYTES_MAX, ReplyLine, Request, RequestLine};

/// Most connections at once.
const CONNECTIONS_MAX: usize = 32;
/// How long an asker may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long an asker may take to read a line.
const WRITE_MAX: Duration = Duration::from_secs(10);

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Nothing.
    None,
    /// Look.
    Read,
    /// Look and order.
    Change,
}

/// Decides by user, group and process number; may take long and is called where that does no harm.
pub type Gate = Arc<dyn Fn(u32, u32, i32) -> Right + Send + Sync>;

/// Bind; what an earlier life left is replaced.
///
/// # Errors
/// The path cannot be bound.
pub(super) fn bind(path: &Path) -> io::Result<UnixListener> {
    if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

pub(super) async fn accept(listener: UnixListener, shared: Arc<Shared>, gate: Gate) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (shared, gate) = (Arc::clone(&shared), Arc::clone(&gate));
                tokio::spawn(async move {
                    // However it ends, there is nobody left to tell.
                    let _ended = serve(stream, &shared, gate).await;
                    drop(seat);
                });
            }
            Err(error) => {
                tracing::warn!("the sync socket: {error}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn serve(stream: UnixStream, shared: &Arc<Shared>, gate: Gate) -> io::Result<()> {
    let peer = stream.peer_cred()?;
    let (uid, gid, pid) = (peer.uid(), peer.gid(), peer.pid().unwrap_or(0));
    let right = tokio::task::spawn_blocking(move || gate(uid, gid, pid)).await;
    let right = right.unwrap_or(Right::None);
    let (read, write) = stream.into_split();
    let mut read = BufReader::new(read);
    let mut asker = Asker { write };
    loop {
        let mut line = Vec::new();
        let mut bounded = (&mut read).take(REQUEST_BYTES_MAX as u64 + 1);
        timeout(SILENCE_MAX, bounded.read_until(b'\n', &mut line)).await??;
        if line.is_empty() {
            return Ok(());
        }
        if line.len() > REQUEST_BYTES_MAX {
            let limit = format!("a request is at most {REQUEST_BYTES_MAX} bytes long");
            return asker.error(limit).await;
        }
        match serde_json::from_slice::<RequestLine>(&line) {
            Ok(RequestLine { request }) if right >= needed(&request) => {
                if let Err(why) = errand::run(shared, request, &mut asker).await {
                    asker.error(why).await?;
                }
            }
            Ok(_) => {
                let why = "refused: this needs root, or a group that the agent's socket lets in";
                asker.error(why.to_owned()).await?;
            }
            Err(error) => asker.error(format!("not a request: {error}")).await?,
        }
    }
}

const fn needed(request: &Request) -> Right {
    if request.only_reads() {
        Right::Read
    } else {
        Right::Change
    }
}

/// Who asked.
pub(super) struct Asker {
    write: OwnedWriteHalf,
}

impl Asker {
    pub(super) async fn ok(&mut self, answer: Answer) -> Result<(), String> {
        let said = self.write(&ReplyLine::Ok(answer)).await;
        said.map_err(|_| "whoever asked has gone".to_owned())
    }

    async fn error(&mut self, why: String) -> io::Result<()> {
        self.write(&ReplyLine::Error(why)).await
    }

    async fn write(&mut self, reply: &ReplyLine) -> io::Result<()> {
        let mut line = serde_json::to_vec(reply)?;
        line.push(b'\n');
        timeout(WRITE_MAX, self.write.write_all(&line)).await?
    }
}
