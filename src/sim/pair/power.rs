//! Programs that take the other node's power: late, in vain, unseen, or after they were called off; and the operator who
//! gives it back.

use core::time::Duration;

use super::appliance::Host;
use super::mishaps::Mishap;
use super::world::{Due, World};
use crate::node::pair::policy::MeansKind;
use crate::node::pair::{FenceReport, PairAction, PairEvent, Probed};

/// What becomes of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Works,
    /// It takes nothing and says so.
    Fails,
    /// It takes the power and cannot say so.
    Unseen,
    /// It takes nothing and says that it did.
    Lies,
}

impl World {
    /// Whether `action` is for a program; then it is begun, or called off.
    pub(super) fn runs_program(&mut self, node: usize, action: &PairAction) -> bool {
        let (PairAction::Fence { means, .. } | PairAction::Unfence { means }) = *action else {
            return false;
        };
        if self.setup.kinds(node).get(means) != Some(&MeansKind::External) {
            return false;
        }
        if let PairAction::Fence { nonce, .. } = *action {
            self.moments += 1;
            self.programs[node] = Some(nonce);
            let life = self.nodes[node].life;
            let after = self.dice.millis(10, 200);
            let fate = match self.dice.between(0, 9) {
                _ if self.setup.lying => Fate::Lies,
                0 if !self.healed => Fate::Fails,
                1 if !self.healed => Fate::Unseen,
                _ => Fate::Works,
            };
            let due = Due::TakePower {
                node,
                life,
                nonce,
                means,
                fate,
            };
            self.put(after, due);
        } else {
            self.programs[node] = None;
            let outcome = Ok(());
            self.tell_later(node, PairEvent::Unfenced { means, outcome });
        }
        true
    }

    /// The run comes to its end, unless it was killed before it reached anything.
    pub(super) fn take_power(&mut self, node: usize, life: u64, order: (usize, u64), fate: Fate) {
        let (means, nonce) = order;
        let current = life == self.nodes[node].life && self.programs[node] == Some(nonce);
        let reached = current || !self.healed && self.dice.chance(300);
        if reached && matches!(fate, Fate::Works | Fate::Unseen) {
            self.power_off(1 - node);
        }
        if !current {
            return;
        }
        let off = self.nodes[1 - node].host == Host::Down;
        let outcome = match fate {
            Fate::Lies => FenceReport::Confirmed,
            Fate::Works if off => FenceReport::Confirmed,
            Fate::Works | Fate::Fails => FenceReport::Unknown("`status` says on".to_owned()),
            Fate::Unseen => FenceReport::Unknown("killed".to_owned()),
        };
        let event = PairEvent::Fenced {
            nonce,
            means,
            outcome,
        };
        self.tell_later(node, event);
    }

    fn power_off(&mut self, node: usize) {
        self.note(|| format!("-- node {node} loses its power to a fence"));
        self.befall_power_loss(node);
        let operator = self.dice.millis(200, 1_500);
        self.put(operator, Due::Mishap(Mishap::PowerBack { node }));
    }

    pub(super) fn probe_power(&mut self, node: usize, means: usize) {
        let outcome = Ok(match self.nodes[1 - node].host {
            Host::Down => Probed::PeerOff,
            Host::Up if self.setup.lying => Probed::PeerOff,
            Host::Up => Probed::Works,
        });
        self.tell_later(node, PairEvent::MeansProbed { means, outcome });
    }
}

/// How long a run may take before the node gives it up.
pub(super) const LIMIT: Duration = Duration::from_millis(300);
