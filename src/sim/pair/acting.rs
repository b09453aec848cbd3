//! What becomes of an agent's actions: kernel, disk, network.

use core::time::Duration;

use super::appliance::Host;
use super::driver::is_momentous;
use super::kernel::{Call, Vips};
use super::net::LinkKind;
use super::world::{Due, World};
use crate::node::pair::{Carrier, PairAction, PairEvent, PairMemory, ServicesWanted};
use crate::node::{Action, Event, Verdict};
use crate::wire::{Envelope, Message, Role};

impl World {
    pub(super) fn act(&mut self, node: usize, action: Action) {
        self.film_action(node, &action);
        self.witness(node, &action);
        if is_momentous(&action) {
            self.moments += 1;
        }
        match action {
            Action::Pair(action) => self.act_for_pair(node, *action),
            Action::Record(_)
            | Action::Reply { .. }
            | Action::Tell(_)
            | Action::RememberLeft { .. }
            | Action::OpenWatchdog
            | Action::Keepalive
            | Action::ReleaseWatchdog => {}
            Action::Persist { sequence, .. } => {
                let outcome = Ok(());
                let life = self.nodes[node].life;
                let event = Box::new(Event::Persisted { sequence, outcome });
                let after = self.setup.pace.span(Duration::from_millis(1));
                self.put(after, Due::Deliver { node, life, event });
            }
            Action::Exit => {
                if let Some(agent) = &mut self.nodes[node].agent {
                    agent.ended = true;
                }
                self.agent_ended(node);
            }
            order => self.order(node, order),
        }
    }

    fn act_for_pair(&mut self, node: usize, action: PairAction) {
        let call = match action {
            PairAction::Persist { sequence, memory } => {
                return self.persist(node, sequence, memory);
            }
            PairAction::Send {
                links,
                counter,
                message,
            } => {
                for link in 0..self.links.len() {
                    if links.contains(link) {
                        self.transmit(node, link, counter, &message);
                    }
                }
                return;
            }
            PairAction::HoldVips { number } => Call::Hold(number),
            PairAction::DropVips { number } => Call::Drop(number),
            PairAction::RefreshVips { number } => Call::Refresh(number),
            PairAction::Announce { number } => Call::Announce(number),
            PairAction::ReadVips { number } => Call::Read(number),
            PairAction::ProbeMeans { means } => {
                return self.probe_power(node, means);
            }
            PairAction::SetServices { number, wanted } => {
                let outcome = if node == 0 && wanted == ServicesWanted::Started {
                    Err("it does not start".to_owned())
                } else {
                    Ok(())
                };
                let event = PairEvent::ServicesSet {
                    number,
                    wanted,
                    outcome,
                };
                return self.tell_later(node, event);
            }
            PairAction::Advertise { .. } => return,
            action @ (PairAction::TakeTicket
            | PairAction::ReadFence { .. }
            | PairAction::Fence { .. }
            | PairAction::Unfence { .. }) => {
                if self.runs_program(node, &action) {
                    return;
                }
                return self.order(node, Action::Pair(Box::new(action)));
            }
        };
        self.call(node, call);
    }

    pub(super) fn tell_later(&mut self, node: usize, event: PairEvent) {
        let life = self.nodes[node].life;
        let after = self.lapse(10, self.setup.late_us);
        let event = Box::new(Event::Pair(Box::new(event)));
        self.put(after, Due::Deliver { node, life, event });
    }

    // ---- kernel

    fn call(&mut self, node: usize, call: Call) {
        let mut after = self.lapse(50, self.setup.kernel_us);
        let kernel = &mut self.nodes[node].kernel;
        if call.serves() {
            kernel.under_way += 1;
            after += kernel.slow;
            if self.mutant.gives_up_serve_actions() && !kernel.slow.is_zero() {
                self.give_up(node, call);
            }
        } else if let Call::Announce(_) = call {
            after += self.setup.pace.span(Duration::from_millis(20));
        }
        let life = self.nodes[node].life;
        self.put(after, Due::Kernel { node, life, call });
    }

    /// Answers a serve action as failed that is still to land.
    pub(super) fn give_up(&mut self, node: usize, call: Call) {
        if let Call::Hold(number) | Call::Refresh(number) = call {
            let outcome = Err("timed out".to_owned());
            self.tell_later(node, PairEvent::VipsHeld { number, outcome });
        }
    }

    pub(super) fn kernel_call(&mut self, node: usize, life: u64, call: Call) {
        let appliance = &mut self.nodes[node];
        if life != appliance.life || appliance.host == Host::Down {
            return;
        }
        if appliance.paused(self.now) {
            // The caller stands still before the call is made.
            let until = appliance.paused_until.unwrap_or(self.now);
            let until = until + self.setup.pace.span(Duration::from_micros(2));
            return self.put_at(until, Due::Kernel { node, life, call });
        }
        self.moments += 1;
        let lifetime = self.setup.vip_lifetime;
        let kernel = &mut appliance.kernel;
        let mut outcome = Ok(());
        if call.serves() {
            kernel.under_way = kernel.under_way.saturating_sub(1);
            if core::mem::take(&mut kernel.refuses) {
                outcome = Err("refused".to_owned());
            } else {
                kernel.vips = Vips::Present;
                kernel.ends_at = lifetime.map(|span| self.now + span);
            }
        }
        if let Call::Drop(_) = call {
            kernel.vips = Vips::Absent;
            kernel.ends_at = None;
        }
        let presence = kernel.presence();
        if let Some(at) = self.nodes[node].kernel.ends_at.filter(|_| call.serves()) {
            self.put_at(at, Due::VipsEnd { node });
        }
        self.tell_later(
            node,
            match call {
                Call::Hold(number) => PairEvent::VipsHeld { number, outcome },
                Call::Refresh(number) => PairEvent::VipsRefreshed { number, outcome },
                Call::Announce(number) => PairEvent::Announced { number, outcome },
                Call::Drop(number) => PairEvent::VipsDropped { number, outcome },
                Call::Read(number) => PairEvent::VipsRead {
                    number,
                    outcome: Ok(self.mutant.presence(presence)),
                },
            },
        );
    }

    pub(super) fn vips_end(&mut self, node: usize) {
        let kernel = &mut self.nodes[node].kernel;
        if kernel.ends_at.is_some_and(|at| at <= self.now) {
            kernel.vips = Vips::Absent;
            kernel.ends_at = None;
        }
    }

    // ---- disk

    fn persist(&mut self, node: usize, sequence: u64, memory: PairMemory) {
        let after = self.lapse(100, self.setup.disk_us) + self.nodes[node].disk.slow;
        let life = self.nodes[node].life;
        if self.mutant.answers_saves_early() {
            let outcome = Ok(());
            self.tell_later(node, PairEvent::Persisted { sequence, outcome });
        }
        let due = Due::Saved {
            node,
            life,
            sequence,
            memory,
        };
        self.put(after, due);
    }

    pub(super) fn saved(&mut self, node: usize, life: u64, sequence: u64, memory: PairMemory) {
        let appliance = &mut self.nodes[node];
        if life != appliance.life {
            return;
        }
        let outcome = if appliance.disk.full {
            Err("no space left on device".to_owned())
        } else {
            appliance.disk.memory = Some(memory);
            Ok(())
        };
        self.tell_later(node, PairEvent::Persisted { sequence, outcome });
    }

    // ---- network

    /// Whether anything passes over `link` from `node`.
    pub(super) fn passes(&self, node: usize, link: usize) -> bool {
        let Some(link) = self.links.get(link) else {
            return false;
        };
        let up = match link.kind {
            LinkKind::Direct => true,
            LinkKind::Data => self.nodes.iter().all(|node| node.board.all_closed()),
        };
        up && !link.cut && !link.ways[node].blocked
    }

    fn transmit(&mut self, node: usize, link: usize, counter: u64, message: &Message) {
        let Some(boot) = self.nodes[node].agent.as_ref().map(|agent| agent.boot) else {
            return;
        };
        let way = self.links[link].ways[node];
        let lost = self.dice.chance(way.loss);
        let after = self.lapse(way.delay_us.0, way.delay_us.1);
        if lost || !self.passes(node, link) {
            return;
        }
        let envelope = Envelope { boot, counter };
        let message = Box::new(message.clone());
        let to = 1 - node;
        self.put(
            after,
            Due::Net {
                to,
                link,
                envelope,
                message,
            },
        );
    }

    pub(super) fn arrive(&mut self, to: usize, link: usize, envelope: Envelope, message: Message) {
        let appliance = &self.nodes[to];
        if appliance.host == Host::Down || !self.passes(1 - to, link) {
            return;
        }
        if appliance.agent.is_none() {
            if self.passes(to, link) {
                let after = self.setup.pace.span(Duration::from_micros(200));
                self.put(after, Due::Refused { node: 1 - to, link });
            }
            return;
        }
        if !matches!(message, Message::Heartbeat(_)) {
            self.moments += 1;
        }
        self.ledger.heard_at[to] = Some(self.now);
        if let Message::Heartbeat(heartbeat) = &message
            && heartbeat.role == Role::Active
        {
            self.ledger.tainted[to] = false;
        }
        self.tell(
            to,
            PairEvent::Heard {
                link,
                envelope,
                message,
            },
        );
    }

    /// Carrier of a link as `node` sees it.
    fn carrier(&self, node: usize, link: usize) -> Carrier {
        let Some(known) = self.links.get(link) else {
            return Carrier::Unknown;
        };
        let up = match known.kind {
            LinkKind::Direct => self.nodes[1 - node].host == Host::Up && !known.cut,
            LinkKind::Data => self.nodes[node].board.all_closed() && !known.cut,
        };
        if up { Carrier::Up } else { Carrier::Down }
    }

    pub(super) fn tell_carriers(&mut self, node: usize) {
        for link in 0..self.links.len() {
            let carrier = self.carrier(node, link);
            self.tell_later(node, PairEvent::LinkCarrier { link, carrier });
        }
    }

    /// A relay that opened or closed took the data ports' carrier with it.
    pub(super) fn follow_data_carrier(&mut self) {
        for node in [0, 1] {
            let closed = self.nodes[node].board.all_closed();
            if self.ledger.data_up[node] != closed {
                self.ledger.data_up[node] = closed;
                if self.nodes[node].agent.is_some() {
                    self.tell_carriers(node);
                }
            }
        }
    }

    /// The check's next report, as long as this agent lives; two of a port that was told dark and is back.
    pub(super) fn check_reports(&mut self, node: usize) {
        let verdict = if self.nodes[node].healthy {
            Verdict::Ok
        } else {
            Verdict::Critical
        };
        let back = verdict == Verdict::Ok && std::mem::take(&mut self.nodes[node].told_dark);
        for _ in 0..1 + u8::from(back) {
            let event = Event::CheckReported {
                check: 0,
                verdict,
                output: String::new(),
            };
            self.deliver(node, event);
        }
    }

    pub(super) fn film_action(&mut self, node: usize, action: &Action) {
        if self.film.is_none() {
            return;
        }
        let quiet = match action {
            Action::Kick { .. } | Action::Read | Action::Tell(_) | Action::Keepalive => true,
            Action::Pair(action) => matches!(
                **action,
                PairAction::ReadFence { .. }
                    | PairAction::Send {
                        message: Message::Heartbeat(_),
                        ..
                    }
            ),
            _ => false,
        };
        if !quiet {
            let name = ["A", "B"][node];
            self.note(|| format!("{name} {action:?}"));
        }
    }
}
