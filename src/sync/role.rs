//! What the agent says of this node. Sync obeys; it decides nothing of this.

use crate::session::Standing;

/// The agent, asked.
pub trait RoleSource: Send + Sync + 'static {
    /// Ask it now, and wait for its answer, a second at most. An agent that does not answer, or has no pair, is
    /// [`Standing::Unknown`]: nothing is sent and nothing is committed.
    fn standing(&self) -> Standing;
}
