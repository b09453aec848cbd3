//! Who calls whom: the Active connects, the Backup listens, and a node that does not know what it is does neither.
//!
//! What if two connections come? Only the peer gets past the handshake, and its newest connection is the one it means.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::shared::Shared;
use super::wire::Wire;
use super::{active, backup};
use crate::lineage::Epoch;
use crate::session::Standing;
use crate::settings::Way;
use crate::tls::{self, ALPN};

/// For a connection and its handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);
/// Handshakes at once; more strangers wait.
const HANDSHAKES: usize = 4;
/// Between two attempts to connect, at first and at most.
const DIAL_PAUSE: Duration = Duration::from_millis(100);
const DIAL_PAUSE_MAX: Duration = Duration::from_secs(2);
/// Between two attempts to listen.
const LISTEN_PAUSE: Duration = Duration::from_secs(2);

/// A connection whose other end has proved to be the peer.
pub(super) struct Caller {
    wire: Wire,
    from: SocketAddr,
}

/// One session after the other, as the role wants.
pub(super) async fn supervise(shared: Arc<Shared>, mut callers: mpsc::Receiver<Caller>) {
    let mut standing = shared.standing.clone();
    let mut pause = DIAL_PAUSE;
    loop {
        let now = *standing.borrow_and_update();
        match now {
            Standing::Active { epoch } => {
                pause = if dial(&shared, epoch).await {
                    DIAL_PAUSE
                } else {
                    (pause * 2).min(DIAL_PAUSE_MAX)
                };
                tokio::select! {
                    () = sleep(pause) => {}
                    // Calls are for the Backup; that the peer makes one is a change of roles on its way.
                    Some(_) = callers.recv() => {}
                    _ = standing.changed() => {}
                }
            }
            Standing::Backup { .. } => {
                pause = DIAL_PAUSE;
                tokio::select! {
                    Some(caller) = callers.recv() => serve(&shared, caller, &mut callers).await,
                    _ = standing.changed() => {}
                }
            }
            Standing::Unknown => {
                let why = "the agent does not tell this node's role; nothing is sent or taken";
                shared.no_session(why.to_owned());
                tokio::select! {
                    Some(_) = callers.recv() => {}
                    changed = standing.changed() => if changed.is_err() { return },
                }
            }
        }
    }
}

async fn serve(shared: &Arc<Shared>, mut caller: Caller, callers: &mut mpsc::Receiver<Caller>) {
    loop {
        let orders = shared.session_began(caller.from.to_string());
        let newer = tokio::select! {
            why = backup::run(shared, caller.wire, orders) => {
                return shared.session_ended(why);
            }
            newer = callers.recv() => newer,
        };
        shared.session_ended("the peer connected anew".to_owned());
        match newer {
            Some(newer) => caller = newer,
            None => return,
        }
    }
}

/// Connect by any way and any key, and have a session; whether there was one.
async fn dial(shared: &Arc<Shared>, epoch: Epoch) -> bool {
    let mut trouble = "no way to the peer is configured".to_owned();
    for way in &shared.settings.ways {
        // The newest key first: it is the one both have once they have it.
        for identity in shared.identities.iter().rev() {
            let connected = async {
                let stream = connect(way).await?;
                let (config, name) = tls::client(identity).map_err(io::Error::other)?;
                let stream = TlsConnector::from(config).connect(name, stream).await?;
                let agreed = stream.get_ref().1.alpn_protocol() == Some(ALPN);
                agreed
                    .then_some(stream)
                    .ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))
            };
            let connected = timeout(HANDSHAKE_MAX, connected).await;
            let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            match connected {
                Ok(stream) => {
                    let orders = shared.session_began(way.peer.to_string());
                    let why = active::run(shared, epoch, Wire::new(stream), orders).await;
                    shared.session_ended(why);
                    return true;
                }
                Err(error) => trouble = format!("{} ({}): {error}", way.peer, way.name),
            }
        }
    }
    shared.no_session(trouble);
    false
}

async fn connect(way: &Way) -> io::Result<TcpStream> {
    let socket = socket(way)?;
    let mut from = way.local;
    from.set_port(0);
    socket.bind(from)?;
    let stream = socket.connect(way.peer).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn socket(way: &Way) -> io::Result<TcpSocket> {
    let socket = match way.local {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    if let Some(interface) = &way.interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    socket.set_reuseaddr(true)?;
    Ok(socket)
}

/// Listens by one way for as long as the service runs.
pub(super) async fn listen(shared: Arc<Shared>, way: Way, callers: mpsc::Sender<Caller>) {
    let acceptor = match tls::server(&shared.identities) {
        Ok(config) => TlsAcceptor::from(config),
        Err(error) => return shared.no_session(format!("TLS cannot be used: {error}")),
    };
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let listener = socket(&way)
            .and_then(|socket| socket.bind(way.local).map(|()| socket))
            .and_then(|socket| socket.listen(16));
        let listener = match listener {
            Ok(listener) => listener,
            Err(error) => {
                shared.no_session(format!(
                    "{} ({}): cannot listen: {error}",
                    way.local, way.name
                ));
                sleep(LISTEN_PAUSE).await;
                continue;
            }
        };
        loop {
            let Ok(permit) = Arc::clone(&handshakes).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, from)) => {
                    let (acceptor, callers) = (acceptor.clone(), callers.clone());
                    tokio::spawn(async move {
                        answer(acceptor, stream, from, callers).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!("{}: {error}", way.local);
                    break;
                }
            }
        }
        sleep(LISTEN_PAUSE).await;
    }
}

async fn answer(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    from: SocketAddr,
    callers: mpsc::Sender<Caller>,
) {
    let accepted = async {
        stream.set_nodelay(true)?;
        let stream = acceptor.accept(stream).await?;
        let agreed = stream.get_ref().1.alpn_protocol() == Some(ALPN);
        agreed
            .then_some(stream)
            .ok_or(io::ErrorKind::Unsupported.into())
    };
    match timeout(HANDSHAKE_MAX, accepted).await {
        Ok(Ok(stream)) => {
            let wire = Wire::new(stream);
            // The service is ending.
            let _ending = callers.send(Caller { wire, from }).await;
        }
        Ok(Err(error)) => {
            let error: io::Error = error;
            tracing::warn!(%from, "a connection was refused: {error}");
        }
        Err(_) => tracing::warn!(%from, "a connection was refused: no handshake in time"),
    }
}
