//! The agent's word on this node's role, for the sync service.

use std::path::PathBuf;
use std::time::Duration;

use crate::control::{Answer, Request};
use crate::control_client::Client;
use crate::wire::Role;
use fencepost_sync::lineage::Epoch;
use fencepost_sync::role::RoleSource;
use fencepost_sync::session::Standing;

/// An agent that takes longer is as good as gone.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// The agent at its socket.
pub(super) struct AgentRole {
    pub(super) socket: PathBuf,
}

impl RoleSource for AgentRole {
    fn standing(&self) -> Standing {
        self.ask().unwrap_or_default()
    }
}

impl AgentRole {
    fn ask(&self) -> Option<Standing> {
        let mut client = Client::connect(&self.socket).ok()?;
        client.patience(ANSWER_MAX).ok()?;
        let Ok(Answer::Status(status)) = client.ask(Request::Status) else {
            return None;
        };
        let pair = status.node.pair.as_ref()?;
        Some(standing(pair.role, pair.epoch))
    }
}

/// A node that cannot serve may still be kept ready; one that is only starting may have anything on its disk.
const fn standing(role: Role, epoch: u64) -> Standing {
    let epoch = Epoch(epoch);
    match role {
        Role::Active => Standing::Active { epoch },
        Role::Backup | Role::Fault => Standing::Backup { epoch },
        Role::Init => Standing::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_agent_the_role_is_unknown() {
        let socket = PathBuf::from("/nonexistent/control.sock");
        assert_eq!(AgentRole { socket }.standing(), Standing::Unknown);
    }

    #[test]
    fn only_who_serves_sends() {
        let epoch = Epoch(3);
        assert_eq!(standing(Role::Active, 3), Standing::Active { epoch });
        assert_eq!(standing(Role::Backup, 3), Standing::Backup { epoch });
        assert_eq!(standing(Role::Fault, 3), Standing::Backup { epoch });
        assert_eq!(standing(Role::Init, 3), Standing::Unknown);
    }
}
