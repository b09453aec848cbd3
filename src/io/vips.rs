//! One thread that serves: it holds, renews, announces and drops the vips, in the order it is told.
//!
//! Every order is carried out by this thread itself, in the agent's own process, and answered once, when nothing of it
//! is under way any more. Strictly in order: a drop that overtook the hold before it would be undone by it.
//! The one order that lasts, an announcement with its repeats, ends early when a drop comes, and is answered before the
//! drop is.
//!
//! What if this thread dies? Its queue closes, every later order is refused at once ([`VipOrders::give`]), nothing is
//! renewed any more and the kernel takes the vips away. What if it hangs in the kernel? Its answers stop; the node is not
//! quiet and waits.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use super::announce::{Announcer, schedule};
use super::clock::Clock;
use super::mailbox::{Received, Receiver, Rejected, Sender, mailbox};
use super::netlink::{AddressError, Addresses, Found, Vip};
use super::realtime::{self, Priority};
use crate::node::Instant;

/// Most orders waiting at once; the node has at most a few under way.
const ORDERS_MAX: usize = 32;
/// Stack of the thread in bytes. Locked into memory as a whole, so it is kept small.
const STACK_BYTES: usize = 512 * 1024;

/// What the thread can be told. The number comes back with the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VipOrder {
    /// Echoed.
    pub number: u64,
    /// What to do with all of the vips.
    pub what: VipVerb,
}

/// What can be done with the vips.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VipVerb {
    /// Take away what an earlier agent left: the vips, and whatever else bears our mark.
    Purge,
    /// Hold all, and read them back.
    Hold,
    /// Renew their lifetime.
    Renew,
    /// Take all away, and read that they are gone.
    Drop,
    /// Tell which are there.
    Look,
    /// Announce all, with all repeats; a drop ends it.
    Announce,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VipAnswer {
    /// Of the order.
    pub number: u64,
    /// Its verb.
    pub what: VipVerb,
    /// It is so, with what was found ([`Presence::Unread`] unless the verb reads), or why not.
    pub outcome: Result<Presence, String>,
}

/// Which of the vips the kernel has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// This verb does not read.
    Unread,
    /// None, on no interface, with no prefix.
    Absent,
    /// Some, or some where they should not be.
    Partial,
    /// All, each on its interface.
    Present,
}

/// The control thread's end.
pub struct VipOrders {
    queue: Sender<VipOrder>,
}

impl VipOrders {
    /// Give an order. Comes back with its answer at once if it cannot even be queued: then nothing of it was or will
    /// be done.
    pub fn give(&self, order: VipOrder) -> Option<VipAnswer> {
        let (order, why) = match self.queue.send(order) {
            Ok(()) => return None,
            Err(Rejected::Full(order)) => (
                order,
                "the kernel has not answered about addresses for so long that the queue of orders is full",
            ),
            Err(Rejected::Closed(order)) => (
                order,
                "the thread for addresses has ended after an internal error; restart the agent",
            ),
        };
        Some(VipAnswer {
            number: order.number,
            what: order.what,
            outcome: Err(why.to_owned()),
        })
    }
}

/// Start the thread, for these vips, each held for `lifetime` at a time. `before` is done before each hold and must end within a
/// limit of its own. It works in the network namespace of the caller.
///
/// # Errors
/// No thread.
pub fn start(
    vips: Vec<Vip>,
    lifetime: Duration,
    before: impl FnMut() + Send + 'static,
    answer: impl FnMut(VipAnswer) + Send + 'static,
    priority: Priority,
) -> io::Result<(VipOrders, JoinHandle<()>)> {
    let (queue, orders) = mailbox(ORDERS_MAX);
    let thread = std::thread::Builder::new()
        .name("fp-vips".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            realtime::prepare_this_thread("vips", priority);
            Thread {
                vips,
                lifetime,
                before,
                answer,
                kernel: None,
                announcer: Announcer::default(),
                burst: None,
            }
            .run(&orders);
        })?;
    Ok((VipOrders { queue }, thread))
}

struct Thread<B, A> {
    vips: Vec<Vip>,
    lifetime: Duration,
    before: B,
    answer: A,
    kernel: Option<Addresses>,
    announcer: Announcer,
    burst: Option<Burst>,
}

/// An announcement and its repeats.
struct Burst {
    number: u64,
    since: Instant,
    done: u32,
    /// Why the last one was not made, if it was not.
    error: Option<String>,
}

impl<B: FnMut(), A: FnMut(VipAnswer)> Thread<B, A> {
    fn run(&mut self, orders: &Receiver<VipOrder>) {
        loop {
            let wait = self.burst.as_ref().map(Burst::next);
            let wait = wait.map(|at| at.since(Clock.now()));
            match orders.take(wait) {
                Received::Item(order) => self.carry_out(order),
                Received::Timeout => self.announce_again(),
                Received::Closed => return,
            }
        }
    }

    fn carry_out(&mut self, order: VipOrder) {
        let VipOrder { number, what } = order;
        if matches!(what, VipVerb::Drop | VipVerb::Purge | VipVerb::Announce) {
            self.end_burst();
        }
        if what == VipVerb::Hold {
            (self.before)();
        }
        let unread = |done: Result<(), AddressError>| done.map(|()| Presence::Unread);
        let (vips, lifetime) = (self.vips.clone(), self.lifetime);
        let outcome = match what {
            VipVerb::Purge => self.with(|kernel| unread(kernel.purge(&vips))),
            VipVerb::Hold => self.with(|kernel| unread(kernel.hold(&vips, lifetime))),
            VipVerb::Renew => self.with(|kernel| unread(kernel.renew(&vips, lifetime))),
            VipVerb::Drop => self.with(|kernel| unread(kernel.withdraw(&vips))),
            VipVerb::Look => self.with(|kernel| look(kernel, &vips)),
            VipVerb::Announce => {
                self.burst = Some(Burst {
                    number,
                    since: Clock.now(),
                    done: 0,
                    error: None,
                });
                return self.announce_again();
            }
        };
        self.tell(number, what, outcome);
    }

    /// With the way to the kernel; opened again if it could not be had or used the last time.
    fn with<R>(
        &mut self,
        act: impl FnOnce(&mut Addresses) -> Result<R, AddressError>,
    ) -> Result<R, String> {
        let kernel = match &mut self.kernel {
            Some(kernel) => kernel,
            none => none.insert(Addresses::open().map_err(|error| error.to_string())?),
        };
        let done = act(kernel);
        if let Err(AddressError::Socket { .. }) = &done {
            self.kernel = None;
        }
        done.map_err(|error| error.to_string())
    }

    fn announce_again(&mut self) {
        let Some(burst) = &mut self.burst else {
            return;
        };
        if self.kernel.is_none() {
            self.kernel = Addresses::open().ok();
        }
        let kernel = &mut self.kernel;
        let announced = self.announcer.announce(&self.vips, |name| {
            let kernel = kernel.as_mut();
            let kernel = kernel.ok_or_else(|| io::Error::other("no netlink socket"))?;
            kernel.interface(name).map_err(io::Error::other)
        });
        burst.error = announced
            .error
            .map(|error| format!("{} announcements were not sent: {error}", announced.unsent));
        burst.done += 1;
        if burst.is_over() {
            self.end_burst();
        }
    }

    fn end_burst(&mut self) {
        if let Some(burst) = self.burst.take() {
            let outcome = burst.error.map_or(Ok(Presence::Unread), Err);
            self.tell(burst.number, VipVerb::Announce, outcome);
        }
    }

    fn tell(&mut self, number: u64, what: VipVerb, outcome: Result<Presence, String>) {
        (self.answer)(VipAnswer {
            number,
            what,
            outcome,
        });
    }
}

impl Burst {
    fn next(&self) -> Instant {
        schedule::next(self.since, self.done, schedule::REFRESH)
    }

    fn is_over(&self) -> bool {
        usize::try_from(self.done).is_ok_and(|done| done >= schedule::BURST_MS.len())
    }
}

fn look(kernel: &mut Addresses, vips: &[Vip]) -> Result<Presence, AddressError> {
    let found = kernel.find(vips)?;
    if found.is_empty() {
        return Ok(Presence::Absent);
    }
    let interfaces: BTreeSet<&str> = vips.iter().map(|vip| vip.interface.as_str()).collect();
    let mut present = BTreeSet::new();
    for name in interfaces {
        // An interface that is missing holds nothing.
        let Ok(interface) = kernel.interface(name) else {
            continue;
        };
        let here = found.iter().filter(|one| one.interface == interface.index);
        present.extend(here.map(|Found { address, .. }| (name, *address)));
    }
    let in_place = |vip: &Vip| present.contains(&(vip.interface.as_str(), vip.address));
    let distinct: BTreeSet<IpAddr> = found.iter().map(|one| one.address).collect();
    if vips.iter().all(in_place) && distinct.len() == found.len() {
        Ok(Presence::Present)
    } else {
        Ok(Presence::Partial)
    }
}
