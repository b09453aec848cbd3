//! The controller thread: one job at a time, kicks first, then cuts, then the rest in order.
//!
//! A job is carried out in one go on its own clock, and its answer arrives when that clock has. What strikes
//! the board meanwhile strikes when the job is over; what strikes the *job* (a pause, a death between two bus
//! transactions) is a snag that was laid in its way.

use std::collections::VecDeque;

use super::{Due, Host, World};
use crate::board::bus::BusError;
use crate::board::controller::{Controller, Fault};
use crate::node::{Action, Event, Instant};
use crate::sim::ideal::lock;
use crate::sim::invariants::{Moment, Seen};
use crate::sim::plant::{Job, Snag};

/// Orders waiting at once, as in the real thread.
const ORDERS_MAX: usize = 32;

/// The thread and its open driver.
#[derive(Default)]
pub(super) struct Thread {
    controller: Option<Box<dyn Controller>>,
    orders: VecDeque<Action>,
    planned: bool,
    /// Laid in the way of the next job.
    pub(super) snag: Option<(u32, Snag)>,
}

impl World {
    pub(super) fn has_orders(&self) -> bool {
        let agent = self.agent.as_ref();
        agent.is_some_and(|agent| !agent.thread.orders.is_empty())
    }

    /// Takes an order into the queue.
    pub(super) fn order(&mut self, order: Action) {
        let Some(agent) = &mut self.agent else { return };
        if agent.thread.orders.len() == ORDERS_MAX {
            let fault = Fault::Bus(BusError::Io {
                what: "controller".to_owned(),
                error: "the queue of orders is full".to_owned(),
            });
            if let Some(event) = answer(&order, fault) {
                self.deliver_after(core::time::Duration::ZERO, event);
            }
            return;
        }
        agent.thread.orders.push_back(order);
        self.plan_job();
    }

    fn plan_job(&mut self) {
        let late = self.lateness();
        let (now, life, busy) = (self.now, self.life, self.board_busy_until);
        let Some(agent) = &mut self.agent else { return };
        let thread = &mut agent.thread;
        if thread.planned || thread.orders.is_empty() {
            return;
        }
        thread.planned = true;
        let at = busy.max(now) + late;
        self.put(at, Due::Job { life });
    }

    pub(super) fn job(&mut self, life: u64) {
        if life == self.life {
            self.job_now();
            self.plan_job();
        }
    }

    /// Carries out the most urgent order.
    pub(super) fn job_now(&mut self) {
        let Some(agent) = &mut self.agent else { return };
        agent.thread.planned = false;
        let Some(index) = most_urgent(&agent.thread.orders) else {
            return;
        };
        let Some(order) = agent.thread.orders.remove(index) else {
            return;
        };
        if let Action::RememberLeft { left } = order {
            self.left = left;
            return;
        }
        self.tally.jobs += 1;
        let begins = self.begin_job();
        let event = self.carry_out(&self.mutant.order(order.clone()));
        let event = event.map(|event| self.mutant.answer(event));
        self.end_job(begins, &order, event);
    }

    fn begin_job(&mut self) -> Instant {
        let gone_at = self.machine.reset_at();
        let begins = self.board_busy_until.max(self.now);
        let snag = self
            .agent
            .as_mut()
            .and_then(|agent| agent.thread.snag.take());
        let mut shop = lock(&self.shop);
        shop.plant.tick(begins);
        shop.job = Job {
            at: begins,
            behind: self.machine.behind,
            snag,
            gone_at,
            cut_off: false,
            paused: false,
        };
        begins
    }

    fn carry_out(&mut self, order: &Action) -> Option<Event> {
        let shop = self.shop.clone();
        let agent = self.agent.as_mut()?;
        let controller = &mut agent.thread.controller;
        if *order == Action::Open {
            let still = controller.as_mut().and_then(|open| open.identify().ok());
            let outcome = match still {
                Some(identity) => Ok(identity),
                None => {
                    *controller = None;
                    (self.opener)(&shop).and_then(|mut opened| {
                        let identity = opened.identify();
                        *controller = Some(opened);
                        identity
                    })
                }
            };
            return Some(Event::ControllerOpened { outcome });
        }
        let Some(open) = controller else {
            let fault = Fault::Bus(BusError::Absent {
                what: "an open controller".to_owned(),
                advice: "the agent opens it again by itself".to_owned(),
            });
            return answer(order, fault);
        };
        carry_out(open.as_mut(), order)
    }

    fn end_job(&mut self, begins: Instant, order: &Action, event: Option<Event>) {
        let (job, log) = {
            let mut shop = lock(&self.shop);
            let at = shop.job.at;
            shop.plant.tick(at);
            (core::mem::take(&mut shop.job), shop.plant.take_log())
        };
        self.board_busy_until = job.at;
        self.note_truth(log);
        if let (Action::Kick { alive_until }, Some(Event::Kicked { outcome: Ok(()) })) =
            (order, &event)
        {
            let moment = Moment {
                world: self.now,
                host: begins - self.machine.behind,
            };
            self.see_at(
                moment,
                &Seen::Kicked {
                    alive_until: *alive_until,
                },
            );
        }
        if job.paused {
            self.paused_in_job(begins, &job);
        }
        if job.cut_off {
            // Nobody is left to hear the answer. A reset strikes at its own time.
            if job.gone_at.is_none_or(|gone| job.at < gone) {
                self.film.line(self.now, "agent", || {
                    "killed in a controller job".to_owned()
                });
                self.kill_agent();
            }
        } else if let Some(event) = event {
            let life = self.life;
            let event = Box::new(event);
            self.put(job.at, Due::Deliver { life, event });
        }
        self.board_changed();
    }

    /// The mistake of a thread that feeds by itself.
    pub(super) fn stray_kick(&mut self) {
        let period = self.scenario.policy.dead_man.period;
        self.put_after(period / 3, Due::StrayKick);
        let begins = self.begin_job();
        if let Ok(mut open) = (self.opener)(&self.shop) {
            let alive_until = self.host_now() + period;
            let _deaf = open.kick(alive_until);
        }
        self.end_job(begins, &Action::Read, None);
    }

    /// The machine stood still from the job's beginning to its end, as good as.
    fn paused_in_job(&mut self, begins: Instant, job: &Job) {
        self.film.line(self.now, "machine", || {
            format!("stood still in a controller job until {}", job.at)
        });
        self.foresee(begins, Host::Unable);
        self.foresee(job.at, Host::Able);
        self.pause_machine(job.at, job.behind.saturating_sub(self.machine.behind));
    }
}

/// Carries an order out on an open driver.
fn carry_out(open: &mut dyn Controller, order: &Action) -> Option<Event> {
    Some(match order {
        Action::Read => Event::ControllerRead {
            outcome: open.read(),
        },
        Action::Configure { settings } => Event::Configured {
            outcome: open.configure(settings),
        },
        Action::Arm { period } => Event::DeadManArmed {
            outcome: open.arm(*period),
        },
        Action::Kick { alive_until } => Event::Kicked {
            outcome: open.kick(*alive_until),
        },
        Action::Disarm => Event::DeadManDisarmed {
            outcome: open.disarm(),
        },
        Action::TakeTicket { segment } => Event::TicketTaken {
            segment: *segment,
            outcome: open.take_ticket(),
        },
        Action::Close {
            segment,
            ticket,
            proof,
        } => Event::SegmentClosed {
            segment: *segment,
            outcome: open.close_on(*segment, *ticket, *proof),
        },
        Action::Cut { segment, state } => Event::SegmentCut {
            segment: *segment,
            state: *state,
            outcome: open.cut(*segment, *state),
        },
        _ => return None,
    })
}

/// The answer to an order that could not even be tried.
fn answer(order: &Action, fault: Fault) -> Option<Event> {
    Some(match order {
        Action::Open => Event::ControllerOpened {
            outcome: Err(fault),
        },
        Action::Read => Event::ControllerRead {
            outcome: Err(fault),
        },
        Action::Configure { .. } => Event::Configured {
            outcome: Err(fault),
        },
        Action::Arm { .. } => Event::DeadManArmed {
            outcome: Err(fault),
        },
        Action::Kick { .. } => Event::Kicked {
            outcome: Err(fault),
        },
        Action::Disarm => Event::DeadManDisarmed {
            outcome: Err(fault),
        },
        Action::TakeTicket { segment } => Event::TicketTaken {
            segment: *segment,
            outcome: Err(fault),
        },
        Action::Close { segment, .. } => Event::SegmentClosed {
            segment: *segment,
            outcome: Err(fault),
        },
        Action::Cut { segment, state } => Event::SegmentCut {
            segment: *segment,
            state: *state,
            outcome: Err(fault),
        },
        _ => return None,
    })
}

fn most_urgent(orders: &VecDeque<Action>) -> Option<usize> {
    let rank = |order: &Action| match order {
        Action::Kick { .. } => 0,
        Action::Cut { .. } => 1,
        _ => 2,
    };
    let waiting = orders.iter().enumerate();
    waiting
        .min_by_key(|(at, order)| (rank(order), *at))
        .map(|(at, _)| at)
}
