//! What can go wrong: every fault with its end, and the repair of everything.

use core::time::Duration;

use super::appliance::{BusState, Host};
use super::kernel::Kernel;
use super::world::{Due, World};
use crate::node::event::{Actor, Event};
use crate::node::pair::{PairCommand, PairEvent};
use crate::sim::dice::Dice;

/// A fault begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mishap {
    /// The agent dies; it is started again after this time, if at all.
    AgentDies {
        node: usize,
        back: Option<Duration>,
    },
    /// The whole box loses power.
    PowerCut {
        node: usize,
        back: Duration,
    },
    PowerBack {
        node: usize,
    },
    /// The host dies, its controller lives.
    HostDies {
        node: usize,
        back: Duration,
    },
    /// Only the controller loses power.
    ControllerDark {
        node: usize,
        back: Duration,
    },
    ControllerBack {
        node: usize,
    },
    Pause {
        node: usize,
        span: Duration,
    },
    /// One direction of a link.
    Way {
        link: usize,
        from: usize,
        blocked: bool,
    },
    /// The cable of a link.
    Link {
        link: usize,
        cut: bool,
    },
    Loss {
        link: usize,
        per_mille: u64,
    },
    Delay {
        link: usize,
        most_us: u64,
    },
    Cable {
        node: usize,
        intact: bool,
    },
    Unwell {
        node: usize,
        healthy: bool,
    },
    SlowKernel {
        node: usize,
        by: Duration,
    },
    HoldRefused {
        node: usize,
    },
    Disk {
        node: usize,
        full: bool,
    },
    Bus {
        node: usize,
        state: u8,
    },
    Relay {
        node: usize,
        stuck: bool,
    },
    Switchover {
        node: usize,
    },
    Pin {
        node: usize,
        on: bool,
    },
}

impl Mishap {
    /// Any of them, and when its end is due, if it does not end by itself.
    pub(super) fn draw(dice: &mut Dice, links: usize) -> (Self, Option<(Duration, Self)>) {
        let node = dice.index(2);
        let link = dice.index(links);
        let span = draw_span(dice);
        let end = |end| Some((span, end));
        match dice.between(0, 19) {
            0 | 1 => {
                let back = dice.chance(800).then_some(span);
                (Self::AgentDies { node, back }, None)
            }
            2 | 3 => (Self::PowerCut { node, back: span }, None),
            4 => (Self::HostDies { node, back: span }, None),
            5 => (Self::ControllerDark { node, back: span }, None),
            6 | 7 => (Self::Pause { node, span }, None),
            8 | 9 => {
                let way = |blocked| Self::Way {
                    link,
                    from: node,
                    blocked,
                };
                (way(true), end(way(false)))
            }
            10 | 11 => (
                Self::Link { link, cut: true },
                end(Self::Link { link, cut: false }),
            ),
            12 => {
                let loss = |per_mille| Self::Loss { link, per_mille };
                (loss(dice.between(50, 700)), end(loss(0)))
            }
            13 | 14 => {
                let cable = |intact| Self::Cable { node, intact };
                (cable(false), end(cable(true)))
            }
            15 => {
                let unwell = |healthy| Self::Unwell { node, healthy };
                (unwell(false), end(unwell(true)))
            }
            16 => {
                let slow = |by| Self::SlowKernel { node, by };
                (slow(draw_span(dice)), end(slow(Duration::ZERO)))
            }
            17 => match dice.index(3) {
                0 => (Self::HoldRefused { node }, None),
                1 => {
                    let disk = |full| Self::Disk { node, full };
                    (disk(true), end(disk(false)))
                }
                _ => {
                    let delay = |most_us| Self::Delay { link, most_us };
                    (delay(dice.between(1_000, 150_000)), end(delay(300)))
                }
            },
            18 => {
                let bus = |state| Self::Bus { node, state };
                (bus(u8::from(dice.chance(500)) + 1), end(bus(0)))
            }
            _ => (Self::Switchover { node }, None),
        }
    }
}

fn draw_span(dice: &mut Dice) -> Duration {
    match dice.index(3) {
        0 => dice.millis(1, 60),
        1 => dice.millis(20, 500),
        _ => dice.millis(200, 2_500),
    }
}

/// Who gives orders here.
pub(super) fn operator() -> Actor {
    Actor {
        uid: 0,
        pid: 1,
        name: "root".to_owned(),
    }
}

impl World {
    pub(super) fn befall(&mut self, mishap: Mishap) {
        let repairs = matches!(
            mishap,
            Mishap::PowerBack { .. }
                | Mishap::ControllerBack { .. }
                | Mishap::Pin { on: false, .. }
        );
        if self.healed && !repairs {
            return;
        }
        let of_a_controller = matches!(mishap, Mishap::ControllerDark { .. } | Mishap::Bus { .. });
        if of_a_controller && !self.setup.relays {
            return;
        }
        self.mishaps += 1;
        self.note(|| format!("-- {mishap:?}"));
        match mishap {
            Mishap::AgentDies { node, back } => {
                self.kill_agent(node);
                let life = self.nodes[node].life;
                if let Some(back) = back.filter(|_| self.nodes[node].host == Host::Up) {
                    self.put(back, Due::StartAgent { node, life });
                }
            }
            Mishap::PowerCut { node, back } => {
                self.befall_power_loss(node);
                self.put(back, Due::Mishap(Mishap::PowerBack { node }));
            }
            Mishap::HostDies { node, back } => {
                self.host_down(node);
                self.put(back, Due::Mishap(Mishap::PowerBack { node }));
            }
            Mishap::PowerBack { node } => self.host_up(node),
            Mishap::ControllerDark { node, back } => {
                self.nodes[node].board.power(self.now, false);
                self.wake_boards();
                self.put(back, Due::Mishap(Mishap::ControllerBack { node }));
            }
            Mishap::ControllerBack { node } => {
                if self.nodes[node].host == Host::Up {
                    self.nodes[node].board.power(self.now, true);
                    self.wake_boards();
                }
            }
            Mishap::Pause { node, span } => self.pause(node, span),
            Mishap::Way {
                link,
                from,
                blocked,
            } => self.links[link].ways[from].blocked = blocked,
            Mishap::Link { link, cut } => {
                self.links[link].cut = cut;
                self.tell_carriers(0);
                self.tell_carriers(1);
            }
            Mishap::Loss { link, per_mille } => {
                self.links[link]
                    .ways
                    .iter_mut()
                    .for_each(|way| way.loss = per_mille);
            }
            Mishap::Delay { link, most_us } => {
                let ways = self.links[link].ways.iter_mut();
                ways.for_each(|way| way.delay_us.1 = most_us);
            }
            Mishap::Cable { node, intact } => {
                self.cables[node].intact = intact;
                self.wake_boards();
            }
            Mishap::Unwell { node, healthy } => {
                self.nodes[node].healthy = healthy;
                if !healthy && node == 0 {
                    // A port that its kernel says is dark; on the other node it is a program that looks and finds.
                    self.nodes[node].told_dark = true;
                    let output = String::new();
                    self.deliver(node, Event::CarrierLost { check: 0, output });
                }
                self.check_reports(node);
            }
            Mishap::SlowKernel { node, by } => self.nodes[node].kernel.slow = by,
            Mishap::HoldRefused { node } => self.nodes[node].kernel.refuses = true,
            Mishap::Disk { node, full } => self.nodes[node].disk.full = full,
            Mishap::Bus { node, state } => {
                self.nodes[node].bus = match state {
                    0 => BusState::Works,
                    1 => BusState::Deaf,
                    _ => BusState::Mute,
                };
            }
            Mishap::Relay { node, stuck } => {
                self.nodes[node].board.stick(0, stuck);
                self.wake_boards();
            }
            Mishap::Switchover { node } => self.order_switchover(node),
            Mishap::Pin { node, on } => {
                let reason = "drill".to_owned();
                self.order_pair(node, PairCommand::Pin { on, reason });
            }
        }
    }

    pub(super) fn order_switchover(&mut self, node: usize) {
        let reason = "drill".to_owned();
        self.order_pair(node, PairCommand::Switchover { reason });
    }

    fn order_pair(&mut self, node: usize, command: PairCommand) {
        let actor = operator();
        let event = PairEvent::Requested {
            request: 1,
            actor,
            command,
        };
        self.tell(node, event);
    }

    pub(super) fn power_controller(&mut self, node: usize, on: bool) {
        self.nodes[node].board.power(self.now, on);
        self.wake_boards();
    }

    /// Host and board at once.
    pub(super) fn befall_power_loss(&mut self, node: usize) {
        self.host_down(node);
        self.power_controller(node, false);
    }

    pub(super) fn host_down(&mut self, node: usize) {
        self.kill_agent(node);
        self.nodes[node].host = Host::Down;
        self.nodes[node].kernel = Kernel::default();
        self.nodes[node].life += 1;
        self.tell_carriers(1 - node);
    }

    pub(super) fn host_up(&mut self, node: usize) {
        if self.nodes[node].host == Host::Up {
            return;
        }
        self.nodes[node].host = Host::Up;
        self.nodes[node].board.power(self.now, true);
        self.wake_boards();
        self.tell_carriers(1 - node);
        let life = self.nodes[node].life;
        let boot = self.lapse(50_000, 300_000);
        self.put(boot, Due::StartAgent { node, life });
    }

    /// Everything is repaired. Nobody helps the protocol itself.
    pub(super) fn heal(&mut self) {
        self.note(|| "-- everything is repaired".to_owned());
        self.healed = true;
        for link in &mut self.links {
            link.cut = false;
            link.ways = [super::net::Way::default(); 2];
        }
        for node in [0, 1] {
            self.cables[node].intact = true;
            let appliance = &mut self.nodes[node];
            appliance.bus = BusState::Works;
            appliance.disk.full = false;
            appliance.disk.slow = Duration::ZERO;
            appliance.kernel.slow = Duration::ZERO;
            appliance.kernel.refuses = false;
            appliance.healthy = true;
            let segments = appliance.board.segments();
            (0..segments).for_each(|relay| appliance.board.stick(relay, false));
            self.host_up(node);
            self.nodes[node].board.power(self.now, true);
            if self.nodes[node].agent.is_none() {
                let life = self.nodes[node].life;
                let after = self.setup.pace.span(Duration::from_millis(30));
                self.put(after, Due::StartAgent { node, life });
            }
            self.check_reports(node);
        }
        for node in [0, 1] {
            self.tell_carriers(node);
        }
        if self.setup.pins {
            self.end_pins();
        }
        self.wake_boards();
    }

    /// Somebody goes from node to node until nothing is pinned.
    fn end_pins(&mut self) {
        for time in (1..12).map(|nth| Duration::from_millis(nth * 400)) {
            for node in [0, 1] {
                let on = false;
                self.put(time, Due::Mishap(Mishap::Pin { node, on }));
            }
        }
    }
}
