//! What the sync service is told: the site's configuration, understood.

use core::time::Duration;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::activation::Activation;
use crate::category::Category;

/// TCP port of the sync service unless configured otherwise.
pub const STANDARD_PORT: u16 = 7695;

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Ways to the peer, in the order in which they are tried.
    pub ways: Vec<Way>,
    /// A save is taken up once nothing was written for this long; default 10 ms.
    pub quiet: Duration,
    /// Or this long after its first write, whatever goes on; default 100 ms.
    pub hold: Duration,
    /// Every byte is read and hashed again this often; default 15 min.
    pub scrub_every: Duration,
    /// Generations kept for a roll-back; default 10.
    pub history: u16,
    /// What is kept alike, in the order in which it goes.
    pub categories: Vec<Category>,
    /// Where the service listens for people, and for the agent.
    pub socket: PathBuf,
    /// Commands that can be run by name.
    pub activations: Vec<Activation>,
    /// What programs of the site need besides the categories' own paths.
    pub hook_paths: HookPaths,
}

/// A way to the peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// Name of the link.
    pub name: String,
    /// The interface it must run over; `None` lets routes decide.
    pub interface: Option<String>,
    /// Where this node listens, and from where it connects (with a port of the kernel's choice).
    pub local: SocketAddr,
    /// Where the peer listens.
    pub peer: SocketAddr,
}

/// Paths that the site's programs may use besides programs, libraries and the categories' own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HookPaths {
    /// May be read, and programs in them run.
    pub read: Vec<PathBuf>,
    /// May be written.
    pub write: Vec<PathBuf>,
}
