//! Heartbeat links: one thread that seals what the node says and opens what the peer says.
//!
//! It owns the sockets and the [`Channel`], so that a flood of forged frames costs this thread a bounded share of time
//! and the control thread nothing: only authentic, current messages are told. Refused ports and carrier are told as
//! hints. Nothing here decides who lives.
//!
//! What if this thread dies? Nothing is sent and nothing heard; every later order is refused at once
//! ([`LinkOrders::send`]); the peer sees silence, and so do we. What if one link breaks? It says why, the others go on,
//! and it is tried again.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

mod port;
mod status;
mod thread;

pub use port::LinkSpec;
pub use status::{LinkStatus, LinksStatus, LinksView};

use super::mailbox::{Rejected, Sender, mailbox};
use super::netlink::Carrier;
use super::realtime::{self, Priority};
use crate::wire::{Channel, Envelope, Identity, KeyRing, LINKS_MAX, LinkId, Message};
use thread::Thread;

/// Most orders waiting at once: some heartbeats, requests and answers.
const ORDERS_MAX: usize = 64;
/// Stack of the thread in bytes. Locked into memory as a whole, so it is kept small.
const STACK_BYTES: usize = 512 * 1024;
/// How long the thread sleeps at most: broken links are tried again and the status is published by then.
const TICK: Duration = Duration::from_millis(100);

/// What the thread can be told.
#[derive(Debug)]
pub enum LinkOrder {
    /// Send a message over these links (bit 0 is the first). Not answered.
    Send {
        /// Which links.
        links: u8,
        /// Rises with every message of this start.
        counter: u64,
        /// What.
        message: Message,
    },
    /// Use other keys from now on.
    UseKeys(KeyRing),
}

/// What the thread tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkReport {
    /// An authentic message of the peer's present start; the same one may come again by another link.
    Heard {
        /// By which link.
        link: usize,
        /// Who sent it, and which it is.
        envelope: Envelope,
        /// What it says.
        message: Message,
    },
    /// The carrier of a link's interface, at the start and at every change.
    Carrier {
        /// Which link.
        link: usize,
        /// How it is.
        carrier: Carrier,
    },
    /// How each link does, about once a second.
    Measured {
        /// All of them, in order.
        links: Vec<LinkStatus>,
    },
    /// The peer told its wall clock: by how many milliseconds it is ahead of ours, less the way here.
    ClocksCompared {
        /// Negative: behind.
        ahead_ms: i64,
    },
    /// The peer's kernel says that nobody listens there.
    Refused {
        /// Which link.
        link: usize,
    },
}

/// The control thread's end.
pub struct LinkOrders {
    queue: Sender<LinkOrder>,
    wake: Arc<EventFd>,
}

/// An order was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinksGone {
    /// The thread is behind by the whole queue.
    #[error("the thread for heartbeat links is behind: its queue is full")]
    Behind,
    /// There is no thread any more.
    #[error("the thread for heartbeat links has ended after an internal error; restart the agent")]
    Ended,
}

impl LinkOrders {
    /// Give an order.
    ///
    /// # Errors
    /// It was not taken; nothing of it will be done.
    pub fn send(&self, order: LinkOrder) -> Result<(), LinksGone> {
        self.queue.send(order).map_err(|rejected| match rejected {
            Rejected::Full(_) => LinksGone::Behind,
            Rejected::Closed(_) => LinksGone::Ended,
        })?;
        // It can fail only when it is signalled already.
        let _awake = self.wake.write(1);
        Ok(())
    }
}

impl Drop for LinkOrders {
    fn drop(&mut self) {
        let _awake = self.wake.write(1);
    }
}

/// Start the thread over these links, at most [`LINKS_MAX`]. It works in the network namespace of the caller.
///
/// # Errors
/// No thread, or no descriptor to wake it.
pub fn start(
    specs: Vec<LinkSpec>,
    identity: Identity,
    keys: KeyRing,
    report: impl FnMut(LinkReport) + Send + 'static,
    priority: Priority,
) -> io::Result<(LinkOrders, LinksView, JoinHandle<()>)> {
    let (queue, orders) = mailbox(ORDERS_MAX);
    let wake = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
    let wake = Arc::new(wake);
    let view = LinksView::default();
    let ids: Vec<LinkId> = specs.iter().map(|spec| LinkId::of(&spec.name)).collect();
    let channel = Channel::new(identity, keys, &ids);
    let (woken, published) = (Arc::clone(&wake), view.clone());
    let thread = std::thread::Builder::new()
        .name("fp-links".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            realtime::prepare_this_thread("links", priority);
            let mut thread = Thread::new(specs, channel, published, report);
            thread.look_at_carriers();
            thread.publish();
            loop {
                wait(&thread, &woken);
                // Drained before the orders are: a wake-up in between is not lost.
                let _count = woken.read();
                // Looked at before the orders are: the last ones are still sent.
                let closed = orders.is_closed();
                while let Some(order) = orders.try_take() {
                    thread.carry_out(order);
                }
                thread.turn();
                if closed {
                    return;
                }
            }
        })?;
    Ok((LinkOrders { queue, wake }, view, thread))
}

/// Until something can be read, an order is there, or it is time for a look.
fn wait<R>(thread: &Thread<R>, wake: &EventFd) {
    let mut watched = Vec::with_capacity(LINKS_MAX + 2);
    watched.push(PollFd::new(wake.as_fd(), PollFlags::POLLIN));
    let sources = thread.sources();
    watched.extend(sources.map(|source| PollFd::new(source, PollFlags::POLLIN)));
    let timeout = PollTimeout::try_from(thread.patience(TICK)).unwrap_or(PollTimeout::ZERO);
    // Interrupted or not, a look does no harm.
    let _ready = poll(&mut watched, timeout);
}

#[cfg(test)]
#[path = "links/tests.rs"]
mod tests;
