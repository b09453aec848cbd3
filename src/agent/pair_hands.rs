//! The acting half of the pair: messages to the links' thread, addresses to theirs, the memory to its ledger.
//!
//! What if one of these threads is gone? Its orders are answered at once with a refusal, and the node decides what that
//! means: without addresses it cannot serve, without links it is alone, without a disk it claims nothing.

use std::collections::BTreeMap;

use crate::io::fence::external::{ExternalOrder, ExternalReport};
use crate::io::hooks::Transition;
use crate::io::ledger::Save;
use crate::io::links::{LinkOrder, LinkOrders, LinkReport, LinkStatus};
use crate::io::mailbox::{Flushed, Outbox};
use crate::io::netlink;
use crate::io::services::ServicesOrder;
use crate::io::vips::{self, VipAnswer, VipOrder, VipOrders, VipVerb};
use crate::node::Event;
use crate::node::pair::{
    Carrier, FenceReport, LinkMeasure, LinkSet, PairAction, PairEvent, PairMemory, Presence,
};
use crate::wire::{Message, Role};

/// One end per acting thread of the pair.
pub struct PairHands {
    /// Heartbeat links.
    pub links: LinkOrders,
    /// Virtual addresses.
    pub vips: VipOrders,
    /// The program told of changes of role, if there is one.
    pub hooks: Option<Outbox<Transition>>,
    /// Connection tracking, if it moves.
    pub tracking: Option<Outbox<Role>>,
    /// Units bound to the role, if there are any.
    pub services: Option<Outbox<ServicesOrder>>,
    /// Programs that take the peer's power, by the index of their means.
    pub externals: BTreeMap<usize, Outbox<ExternalOrder>>,
    /// What must be remembered.
    pub ledger: Outbox<Save<PairMemory>>,
    /// Messages that could not be handed over.
    pub unsent: u64,
}

impl PairHands {
    /// Hand over one action; its answer, if it cannot be or needs nobody.
    pub fn carry_out(&mut self, action: PairAction) -> Option<PairEvent> {
        let vips = |number, what| VipOrder { number, what };
        match action {
            PairAction::Persist { sequence, memory } => self.persist(sequence, memory),
            PairAction::Send {
                links,
                counter,
                message,
            } => {
                self.send(links, counter, message);
                None
            }
            PairAction::HoldVips { number } => self.give(vips(number, VipVerb::Hold)),
            PairAction::DropVips { number } => self.give(vips(number, VipVerb::Drop)),
            PairAction::RefreshVips { number } => self.give(vips(number, VipVerb::Renew)),
            PairAction::Announce { number } => self.give(vips(number, VipVerb::Announce)),
            PairAction::ReadVips { number } => self.give(vips(number, VipVerb::Look)),
            PairAction::ProbeMeans { means } => {
                self.run(means, ExternalOrder::Probe)
                    .map(|why| PairEvent::MeansProbed {
                        means,
                        outcome: Err(why),
                    })
            }
            PairAction::Fence { nonce, means, .. } => self
                .run(means, ExternalOrder::Off { nonce })
                .map(|why| PairEvent::Fenced {
                    nonce,
                    means,
                    outcome: FenceReport::Refused(why),
                }),
            PairAction::Unfence { means } => {
                self.run(means, ExternalOrder::CallOff)
                    .map(|why| PairEvent::Unfenced {
                        means,
                        outcome: Err(why),
                    })
            }
            PairAction::SetServices { number, wanted } => {
                self.set_services(ServicesOrder { number, wanted })
            }
            PairAction::Advertise { role, epoch } => self.advertise(Transition { role, epoch }),
            // The controller's, carried out by its thread.
            PairAction::TakeTicket | PairAction::ReadFence { .. } => None,
        }
    }

    /// Hand over what waited for a lock; without waiting.
    pub fn flush(&mut self) -> Flushed {
        let hooks = self.hooks.as_mut().map_or(Flushed::All, Outbox::flush);
        let services = self.services.as_mut().map_or(Flushed::All, Outbox::flush);
        let tracking = self.tracking.as_mut().map_or(Flushed::All, Outbox::flush);
        let externals = self.externals.values_mut().map(Outbox::flush);
        let all = externals.chain([hooks, services, tracking, self.ledger.flush()]);
        // Each is flushed, whatever became of the others.
        all.fold(Flushed::All, |sum, one| match sum {
            Flushed::All => one,
            Flushed::Partly => sum,
        })
    }

    /// Whether this means is a program, and not the controller's.
    pub fn is_program(&self, means: usize) -> bool {
        self.externals.contains_key(&means)
    }

    /// Why the order cannot be handed over, if it cannot.
    fn run(&mut self, means: usize, order: ExternalOrder) -> Option<String> {
        let Some(program) = self.externals.get_mut(&means) else {
            return Some(NO_ADAPTER.to_owned());
        };
        let pushed = program.push(order);
        pushed
            .err()
            .map(|_| "the thread of this program has ended or is behind".to_owned())
    }

    fn advertise(&mut self, transition: Transition) -> Option<PairEvent> {
        if let Some(tracking) = &mut self.tracking {
            // Behind by many changes of role: the last one that is carried out is as good.
            let _behind = tracking.push(transition.role);
        }
        let pushed = self.hooks.as_mut()?.push(transition);
        pushed.err().map(|_| PairEvent::HookEnded {
            role: transition.role,
            outcome: Err("roles change faster than it runs".to_owned()),
        })
    }

    fn set_services(&mut self, order: ServicesOrder) -> Option<PairEvent> {
        let refused = match &mut self.services {
            None => Some("none are configured"),
            Some(services) => services
                .push(order)
                .err()
                .map(|_| "their thread has ended or is far behind; restart the agent"),
        };
        let ServicesOrder { number, wanted } = order;
        refused.map(|why| PairEvent::ServicesSet {
            number,
            wanted,
            outcome: Err(why.to_owned()),
        })
    }

    fn send(&mut self, links: LinkSet, counter: u64, message: Message) {
        let order = LinkOrder::Send {
            links: links.0,
            counter,
            message,
        };
        // A heartbeat that could not be sent is a lost one: the peer counts it, and the next follows.
        if self.links.send(order).is_err() {
            self.unsent += 1;
        }
    }

    fn give(&self, order: VipOrder) -> Option<PairEvent> {
        self.vips.give(order).and_then(of_addresses)
    }

    fn persist(&mut self, sequence: u64, memory: PairMemory) -> Option<PairEvent> {
        let save = Save {
            sequence,
            state: memory,
        };
        self.ledger.push(save).err().map(|_| PairEvent::Persisted {
            sequence,
            outcome: Err("the pair's ledger has ended or is behind; its disk hangs".to_owned()),
        })
    }
}

/// Of means that a configuration cannot name.
const NO_ADAPTER: &str = "this agent has no way to use this means";

/// What the thread of a program answered, as the node hears it.
pub fn of_program(means: usize, report: ExternalReport) -> PairEvent {
    match report {
        ExternalReport::Off { nonce, outcome } => PairEvent::Fenced {
            nonce,
            means,
            outcome,
        },
        ExternalReport::CalledOff => PairEvent::Unfenced {
            means,
            outcome: Ok(()),
        },
        ExternalReport::Probed(outcome) => PairEvent::MeansProbed { means, outcome },
    }
}

/// What the addresses' thread answered, as the node hears it.
pub fn of_addresses(answer: VipAnswer) -> Option<PairEvent> {
    let VipAnswer {
        number,
        what,
        outcome,
    } = answer;
    Some(match what {
        VipVerb::Purge => return None,
        VipVerb::Hold => PairEvent::VipsHeld {
            number,
            outcome: outcome.map(drop),
        },
        VipVerb::Drop => PairEvent::VipsDropped {
            number,
            outcome: outcome.map(drop),
        },
        VipVerb::Renew => PairEvent::VipsRefreshed {
            number,
            outcome: outcome.map(drop),
        },
        VipVerb::Announce => PairEvent::Announced {
            number,
            outcome: outcome.map(drop),
        },
        VipVerb::Look => PairEvent::VipsRead {
            number,
            outcome: outcome.and_then(presence),
        },
    })
}

fn presence(found: vips::Presence) -> Result<Presence, String> {
    match found {
        vips::Presence::Absent => Ok(Presence::Absent),
        vips::Presence::Partial => Ok(Presence::Partial),
        vips::Presence::Present => Ok(Presence::Present),
        vips::Presence::Unread => Err("the kernel was not asked".to_owned()),
    }
}

fn measure(link: LinkStatus) -> LinkMeasure {
    let quality = link.quality;
    LinkMeasure {
        missing: quality.missing,
        of: quality.of,
        heard: quality.heard,
        lost: quality.lost,
        round_trip: quality.round_trip_mean,
        round_trip_max: quality.round_trip_max,
        fault: link.fault,
    }
}

/// What the links' thread heard, as the node hears it.
pub fn of_links(report: LinkReport) -> Event {
    Event::Pair(Box::new(match report {
        LinkReport::Heard {
            link,
            envelope,
            message,
        } => PairEvent::Heard {
            link,
            envelope,
            message,
        },
        LinkReport::Carrier { link, carrier } => PairEvent::LinkCarrier {
            link,
            carrier: match carrier {
                netlink::Carrier::Up => Carrier::Up,
                netlink::Carrier::Down => Carrier::Down,
            },
        },
        LinkReport::Refused { link } => PairEvent::LinkRefused { link },
        LinkReport::Measured { links } => PairEvent::LinksMeasured {
            links: links.into_iter().map(measure).collect(),
        },
        LinkReport::ClocksCompared { ahead_ms } => PairEvent::ClocksCompared { ahead_ms },
    }))
}
