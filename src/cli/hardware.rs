//! The way to this site's hardware, for the agent and for the commands that work without it.

use std::path::PathBuf;

use fencepost::board::controller::{Controller, Fault};
use fencepost::config::Site;

/// Where the agent's lock is: whoever holds it may touch the hardware.
pub(crate) fn lock_path(site: &Site) -> PathBuf {
    site.config.state.runtime_dir.join("agent.lock")
}

/// Open the site's controller. Moves nothing.
pub(crate) fn open(site: &Site) -> Result<Box<dyn Controller>, Fault> {
    Err(Fault::Incapable {
        what: format!("board {}", site.board.id),
        advice: "this build has no way to the hardware".to_owned(),
    })
}
