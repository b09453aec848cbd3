//! One thread per controller: the only place that waits for a bus.
//!
//! Orders arrive in a bounded queue. The kick goes first, then a cut, then the rest in order of arrival: a
//! kick that waits behind a slow read is a dead-man expiry, and a cut that waits leaves a host on the wire.
//! A close that is overtaken by a cut finds its ticket void, so the order of the two cannot matter. Each
//! order is tried once and answered by exactly one event.
//!
//! What if this thread hangs in the kernel? Its answers stop, kicks stop, the dead-man cuts; the node sees
//! the overdue job and withholds the keepalive. What if a driver panics? The thread ends, the queue closes,
//! and every later order is answered with a fault by [`ControllerOrders::give`].

use std::collections::VecDeque;
use std::thread::JoinHandle;

use super::inbox::Inlet;
use super::left::{Left, LeftNote};
use super::mailbox::{Received, Rejected, Sender, mailbox};
use super::realtime::{self, Priority};
use crate::board::bus::BusError;
use crate::board::controller::{CloseProof, Controller, CutState, Fault, SegmentSettings, Ticket};
use crate::node::pair::{FenceReport, PairEvent};
use crate::node::{Event, Instant};

/// Most orders waiting at once; the node keeps at most a few under way.
const ORDERS_MAX: usize = 32;
/// Stack of a bus thread in bytes. Locked into memory as a whole, so it is kept small.
const STACK_BYTES: usize = 512 * 1024;

/// Opens the controller anew. Called in the controller thread, once per [`Order::Open`].
pub type Opener = Box<dyn FnMut() -> Result<Box<dyn Controller>, Fault> + Send>;

/// What a controller can be told; see the actions of the same names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Open it, or if it is open ask it again who it is.
    Open,
    /// Read all of it.
    Read,
    /// Bring the stored settings to these.
    Configure(Vec<SegmentSettings>),
    /// Arm the dead-man with this period.
    Arm(std::time::Duration),
    /// The host is trusted until then.
    Kick(Instant),
    /// Stop the dead-man.
    Disarm,
    /// Ask for a ticket.
    TakeTicket(usize),
    /// Put a segment into `Normal`.
    Close(usize, Ticket, CloseProof),
    /// Ask for a ticket for the pair's claim.
    TakePairTicket,
    /// Hold the peer's latch.
    Fence {
        /// Echoed.
        nonce: u64,
        /// Echoed.
        means: usize,
        /// When this was decided.
        decided: Instant,
    },
    /// Let the peer's latch go.
    Unfence(usize),
    /// Read controller and fence lines.
    ReadFence(u64),
    /// Take the host off a segment.
    Cut(usize, CutState),
    /// Note where segments are left. Touches no hardware and is not answered; it is here to keep its
    /// place before the close it belongs to.
    RememberLeft(Left),
}

impl Order {
    /// Lower goes first.
    const fn rank(&self) -> u8 {
        match self {
            Self::Kick(_) => 0,
            Self::Cut(..) => 1,
            _ => 2,
        }
    }

    /// The answer when it could not even be tried.
    fn failed(self, fault: Fault) -> Option<Event> {
        Some(match self {
            Self::Open => Event::ControllerOpened {
                outcome: Err(fault),
            },
            Self::Read => Event::ControllerRead {
                outcome: Err(fault),
            },
            Self::Configure(_) => Event::Configured {
                outcome: Err(fault),
            },
            Self::Arm(_) => Event::DeadManArmed {
                outcome: Err(fault),
            },
            Self::Kick(_) => Event::Kicked {
                outcome: Err(fault),
            },
            Self::Disarm => Event::DeadManDisarmed {
                outcome: Err(fault),
            },
            Self::TakeTicket(segment) => Event::TicketTaken {
                segment,
                outcome: Err(fault),
            },
            Self::TakePairTicket => pair(PairEvent::TicketTaken {
                outcome: Err(fault),
            }),
            Self::Fence { nonce, means, .. } => pair(PairEvent::Fenced {
                nonce,
                means,
                outcome: FenceReport::Refused(fault.to_string()),
            }),
            Self::Unfence(means) => pair(PairEvent::Unfenced {
                means,
                outcome: Err(fault.to_string()),
            }),
            Self::ReadFence(sequence) => pair(PairEvent::FenceRead {
                sequence,
                outcome: Err(fault),
            }),
            Self::Close(segment, ..) => Event::SegmentClosed {
                segment,
                outcome: Err(fault),
            },
            Self::Cut(segment, state) => Event::SegmentCut {
                segment,
                state,
                outcome: Err(fault),
            },
            Self::RememberLeft(_) => return None,
        })
    }
}

/// The control thread's end.
pub struct ControllerOrders {
    queue: Sender<Order>,
    board: String,
}

impl ControllerOrders {
    /// Give an order. Comes back with its answer at once if it cannot even be queued.
    pub fn give(&self, order: Order) -> Option<Event> {
        let (order, error) = match self.queue.send(order) {
            Ok(()) => return None,
            Err(Rejected::Full(order)) => (
                order,
                "its bus has not answered for so long that the queue of orders is full",
            ),
            Err(Rejected::Closed(order)) => (
                order,
                "its thread has ended after an internal error; restart the agent",
            ),
        };
        let what = format!("controller of {}", self.board);
        order.failed(Fault::Bus(BusError::Io {
            what,
            error: error.to_owned(),
        }))
    }
}

/// Start the thread. `board` is its name in errors, `left` the note it keeps of where segments are left.
pub fn start(
    board: &str,
    opener: Opener,
    left: LeftNote,
    answers: Inlet,
    priority: Priority,
) -> std::io::Result<(ControllerOrders, JoinHandle<()>)> {
    let (queue, orders) = mailbox(ORDERS_MAX);
    let thread = std::thread::Builder::new()
        .name("fp-controller".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            realtime::prepare_this_thread("controller", priority);
            let mut thread = Thread {
                controller: None,
                opener,
                left,
            };
            while let Received::Item(order) = orders.take_by(None, most_urgent) {
                if let Some(answer) = thread.carry_out(order) {
                    // Nobody left to tell: the agent is ending, and what was ordered was done.
                    let _ended = answers.tell(answer);
                }
            }
        })?;
    Ok((
        ControllerOrders {
            queue,
            board: board.to_owned(),
        },
        thread,
    ))
}

struct Thread {
    controller: Option<Box<dyn Controller>>,
    opener: Opener,
    left: LeftNote,
}

impl Thread {
    fn carry_out(&mut self, order: Order) -> Option<Event> {
        let Some(controller) = &mut self.controller else {
            return match order {
                Order::Open => Some(self.open()),
                Order::RememberLeft(left) => self.remember(&left),
                order => order.failed(not_open()),
            };
        };
        Some(match order {
            Order::Open => self.reopen(),
            Order::Read => Event::ControllerRead {
                outcome: controller.read(),
            },
            Order::Configure(settings) => Event::Configured {
                outcome: controller.configure(&settings),
            },
            Order::Arm(period) => Event::DeadManArmed {
                outcome: controller.arm(period),
            },
            Order::Kick(until) => Event::Kicked {
                outcome: controller.kick(until),
            },
            Order::Disarm => Event::DeadManDisarmed {
                outcome: controller.disarm(),
            },
            Order::TakeTicket(segment) => Event::TicketTaken {
                segment,
                outcome: controller.take_ticket(),
            },
            Order::Close(segment, ticket, proof) => Event::SegmentClosed {
                segment,
                outcome: controller.close_on(segment, ticket, proof),
            },
            Order::TakePairTicket => pair(PairEvent::TicketTaken {
                outcome: controller.take_ticket(),
            }),
            Order::Fence {
                nonce,
                means,
                decided,
            } => pair(PairEvent::Fenced {
                nonce,
                means,
                outcome: match controller.fence(decided) {
                    Ok(()) => FenceReport::Ordered,
                    Err(fault) => FenceReport::Refused(fault.to_string()),
                },
            }),
            Order::Unfence(means) => pair(PairEvent::Unfenced {
                means,
                outcome: controller.unfence().map_err(|fault| fault.to_string()),
            }),
            Order::ReadFence(sequence) => pair(PairEvent::FenceRead {
                sequence,
                outcome: controller.read_fence(),
            }),
            Order::Cut(segment, state) => Event::SegmentCut {
                segment,
                state,
                outcome: controller.cut(segment, state),
            },
            Order::RememberLeft(left) => return self.remember(&left),
        })
    }

    /// Asked to open what is open: if it still answers, keep it. Closing releases its GPIO lines, which on
    /// some boards moves the relays.
    fn reopen(&mut self) -> Event {
        if let Some(open) = &mut self.controller
            && let Ok(identity) = open.identify()
        {
            return Event::ControllerOpened {
                outcome: Ok(identity),
            };
        }
        self.controller = None;
        self.open()
    }

    fn open(&mut self) -> Event {
        let outcome = (self.opener)().and_then(|mut opened| {
            let identity = opened.identify();
            self.controller = Some(opened);
            identity
        });
        Event::ControllerOpened { outcome }
    }

    fn remember(&self, left: &Left) -> Option<Event> {
        if let Err(error) = self.left.write(left) {
            tracing::warn!(
                "where segments are left cannot be noted: {error}; a restart will prove them anew"
            );
        }
        None
    }
}

fn pair(event: PairEvent) -> Event {
    Event::Pair(Box::new(event))
}

fn not_open() -> Fault {
    Fault::Bus(BusError::Absent {
        what: "an open controller".to_owned(),
        advice: "the agent opens it again by itself".to_owned(),
    })
}

/// Index of the order to carry out next.
fn most_urgent(waiting: &VecDeque<Order>) -> usize {
    waiting
        .iter()
        .enumerate()
        .min_by_key(|(at, order)| (order.rank(), *at))
        .map_or(0, |(at, _)| at)
}

#[cfg(test)]
#[path = "controller_thread_tests.rs"]
mod tests;
