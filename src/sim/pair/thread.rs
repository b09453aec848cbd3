//! The controller thread of each agent: kicks first, then cuts, then the rest; one order on the bus at a time.

use super::driver::{Carried, Prepared, is_momentous, rank};
use super::world::{Due, World};
use crate::node::{Action, Event, Instant};

use core::time::Duration;

impl World {
    pub(super) fn order(&mut self, node: usize, order: Action) {
        if let Some(agent) = &mut self.nodes[node].agent {
            agent.orders.push_back(order);
        }
        self.plan_job(node);
    }

    pub(super) fn plan_job(&mut self, node: usize) {
        let after = self.lapse(20, self.setup.late_us);
        let life = self.nodes[node].life;
        let Some(agent) = &mut self.nodes[node].agent else {
            return;
        };
        if !agent.busy && !agent.orders.is_empty() {
            agent.busy = true;
            self.put(after, Due::Job { node, life });
        }
    }

    pub(super) fn job(&mut self, node: usize, life: u64) {
        if let Some(until) = self.stopped(node, life) {
            return self.put_at(until, Due::Job { node, life });
        }
        let appliance = &mut self.nodes[node];
        let Some(agent) = appliance.agent.as_mut().filter(|_| life == appliance.life) else {
            return;
        };
        let waiting = agent.orders.iter().enumerate();
        let next = waiting.min_by_key(|(at, order)| (rank(order), *at));
        let Some(order) = next
            .map(|(at, _)| at)
            .and_then(|at| agent.orders.remove(at))
        else {
            return;
        };
        let prepared = Box::new(appliance.prepare(self.now, order));
        let bus = self.lapse(150, self.setup.bus_us);
        self.put(
            bus,
            Due::Execute {
                node,
                life,
                prepared,
            },
        );
    }

    /// Until when the process of this life stands still.
    pub(super) fn stopped(&self, node: usize, life: u64) -> Option<Instant> {
        let appliance = &self.nodes[node];
        let until = appliance.paused_until.filter(|until| self.now < *until)?;
        (life == appliance.life).then(|| until + self.setup.pace.span(Duration::from_micros(1)))
    }

    pub(super) fn execute(&mut self, node: usize, life: u64, prepared: Box<Prepared>) {
        if let Some(until) = self.stopped(node, life) {
            let due = Due::Execute {
                node,
                life,
                prepared,
            };
            return self.put_at(until, due);
        }
        if life != self.nodes[node].life || self.nodes[node].agent.is_none() {
            return;
        }
        if is_momentous(&prepared.order) {
            self.moments += 1;
        }
        let carried = self.nodes[node].carry_out(self.now, &prepared, self.mutant);
        self.wake_boards();
        match carried {
            Some(Carried::Settle(span, wanted)) => {
                let span = self.setup.pace.settles_in(span);
                let order = Box::new(prepared.order);
                self.put(
                    span,
                    Due::Settled {
                        node,
                        life,
                        order,
                        wanted,
                    },
                );
            }
            Some(Carried::Answer(event)) => self.job_done(node, life, Some(event)),
            None => self.job_done(node, life, None),
        }
    }

    pub(super) fn job_settled(
        &mut self,
        node: usize,
        life: u64,
        order: &Action,
        wanted: crate::board::RelayState,
    ) {
        let event = self.nodes[node].settled(order, wanted);
        self.job_done(node, life, event);
    }

    pub(super) fn job_done(&mut self, node: usize, life: u64, event: Option<Event>) {
        if life != self.nodes[node].life {
            return;
        }
        if let Some(agent) = &mut self.nodes[node].agent {
            agent.busy = false;
        }
        if let Some(event) = event {
            let after = self.lapse(10, self.setup.late_us);
            let event = Box::new(event);
            self.put(after, Due::Deliver { node, life, event });
        }
        self.plan_job(node);
    }
}
