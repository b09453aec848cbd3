//! What must hold after every event, whatever has failed.

use std::collections::BTreeMap;

use super::kernel::Vips;
use super::world::World;
use crate::board::controller::CloseProof;
use crate::node::pair::PairAction;
use crate::node::pair::policy::{Reach, Standby};
use crate::node::{Action, Instant};
use crate::wire::{Message, Role};

/// What the checks remember.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    /// The first thing that was broken.
    pub(super) broken: Option<String>,
    pub(super) data_up: [bool; 2],
    /// Since when a connected node has had no running dead-man.
    unguarded: [Option<Instant>; 2],
    /// Latched since it last stood beside an Active.
    pub(super) tainted: [bool; 2],
    /// When a node last heard anything of the other.
    pub(super) heard_at: [Option<Instant>; 2],
    /// Who served in which epoch.
    epochs: BTreeMap<u64, usize>,
    /// Times a node became Active.
    pub(super) takeovers: u64,
}

impl Ledger {
    /// Who served in which epoch, from this one on.
    pub(super) fn epochs_from(&self, epoch: u64) -> impl Iterator<Item = (u64, usize)> {
        self.epochs
            .range(epoch..)
            .map(|(epoch, node)| (*epoch, *node))
    }

    /// Since when a connected node has had no running dead-man.
    pub(super) fn unguarded(&self) -> [Option<Instant>; 2] {
        self.unguarded
    }
}

impl World {
    pub(super) fn broke(&mut self, what: String) {
        if self.ledger.broken.is_none() {
            self.ledger.broken = Some(format!("{} {what}", self.now));
        }
    }

    /// It answers for a vip and is connected, through the other's relays where it is behind them.
    pub(super) fn on_wire(&self, node: usize) -> bool {
        let behind = self.setup.topology_of(node).reach == Reach::Behind;
        let reaches = !behind || self.nodes[1 - node].board.passes();
        self.nodes[node].on_wire() && reaches
    }

    /// After every event.
    pub(super) fn check(&mut self) {
        if [0, 1].into_iter().all(|node| self.on_wire(node)) {
            self.broke("I1: both nodes are on the wire".to_owned());
        }
        for node in [0, 1] {
            self.check_guard(node);
            let controller = self.nodes[node].board.controller.as_ref();
            let told = self.nodes[node]
                .disk
                .memory
                .is_some_and(|memory| memory.fenced);
            self.ledger.tainted[node] |= told && controller.is_some_and(|c| c.latched());
        }
    }

    /// I3: nobody serves without a running dead-man behind it, where there is one to run.
    fn check_guard(&mut self, node: usize) {
        let appliance = &self.nodes[node];
        let controller = appliance.board.controller.as_ref();
        let runs = controller.is_some_and(|controller| {
            controller.timer() == fencepost_firmware::TimerState::Running
        });
        let exempt = !appliance.board.fitted || appliance.board.any_stuck();
        if !self.on_wire(node) || runs || exempt {
            self.ledger.unguarded[node] = None;
            return;
        }
        let since = *self.ledger.unguarded[node].get_or_insert(self.now);
        if self.now.since(since) > self.setup.pace.opening_max() {
            self.broke(format!("I3: node {node} serves without a running dead-man"));
        }
    }

    /// When an action is decided.
    pub(super) fn witness(&mut self, node: usize, action: &Action) {
        match action {
            Action::Close {
                proof: CloseProof::NotServing,
                ..
            } => {
                let kernel = &self.nodes[node].kernel;
                if kernel.under_way > 0 || kernel.vips == Vips::Present {
                    let what = "closes as one that does not serve";
                    self.broke(format!("I4: node {node} {what}, and does or may"));
                }
            }
            Action::Pair(action) => self.witness_pair(node, action),
            _ => {}
        }
    }

    fn witness_pair(&mut self, node: usize, action: &PairAction) {
        if let PairAction::Send {
            message: Message::Heartbeat(heartbeat),
            ..
        } = action
        {
            let controller = self.nodes[node].board.controller.as_ref();
            let holds = controller.is_some_and(fencepost_firmware::Controller::holds);
            if holds && heartbeat.names_generation.is_some() {
                let what = "names the generation of a peer that it holds";
                self.broke(format!("I2: node {node} {what}"));
            }
        }
        let PairAction::Advertise {
            role: Role::Active,
            epoch,
        } = action
        else {
            return;
        };
        self.ledger.takeovers += 1;
        let heard = self.ledger.heard_at[node];
        let silent = heard.is_none_or(|at| self.now.since(at) > self.setup.pace.alone_after());
        // A fenced node may take part in an election: who serves by the peer's word was not alone when it got it.
        let alone = silent && !self.serves_by_word(node);
        if core::mem::take(&mut self.ledger.tainted[node]) && alone {
            self.broke(format!(
                "I6: node {node} was fenced, has not joined, and serves alone"
            ));
        }
        let saved = self.nodes[node]
            .disk
            .memory
            .map_or(0, |memory| memory.epoch);
        if saved < *epoch {
            self.broke(format!(
                "I5: node {node} serves in epoch {epoch}, and {saved} is saved"
            ));
        }
        match self.ledger.epochs.insert(*epoch, node) {
            Some(other) if other != node => {
                self.broke(format!("I5: both nodes served in epoch {epoch}"));
            }
            _ => {}
        }
    }

    fn serves_by_word(&self, node: usize) -> bool {
        let Some(agent) = &self.nodes[node].agent else {
            return false;
        };
        let status = agent.node.status(self.nodes[node].clock.at(self.now));
        let proof = status.pair.and_then(|pair| pair.proof);
        proof.is_some_and(|proof| proof.starts_with("released"))
    }

    /// Exactly one serves, and the other stands ready.
    pub(super) fn recovered(&self) -> Result<usize, String> {
        let serving: Vec<usize> = [0, 1].into_iter().filter(|n| self.on_wire(*n)).collect();
        let &[active] = serving.as_slice() else {
            return Err(format!("{} nodes serve", serving.len()));
        };
        if !self.nodes[active].board.all_closed() {
            return Err("I8: the Active's group is not all closed".to_owned());
        }
        let backup = &self.nodes[1 - active];
        let latched = backup.board.controller.as_ref().is_none_or(|c| c.latched());
        if latched {
            return Err("the Backup is still latched".to_owned());
        }
        let hot = self.setup.topology_of(1 - active).standby == Standby::Hot;
        if backup.board.all_closed() != hot {
            return Err("the Backup's relays are not where they should be".to_owned());
        }
        let roles = [active, 1 - active].map(|node| {
            let agent = self.nodes[node].agent.as_ref()?;
            let local = self.nodes[node].clock.at(self.now);
            Some(agent.node.status(local).pair?.role)
        });
        if roles != [Some(Role::Active), Some(Role::Backup)] {
            return Err(format!("roles are {roles:?}"));
        }
        Ok(active)
    }
}
