//! Bounded queues that never make the control thread wait for a slower one.
//!
//! The channels of the standard library take an internal lock, or spin, while the other end is in the middle
//! of an operation. When that other end is a thread of normal priority that the scheduler has just put
//! aside, a real-time thread would wait for it: exactly on the machine that is already starved. Here
//! the control thread only ever *tries* the lock; what it could not hand over waits in its own backlog
//! until the next turn, and what it could not fetch is announced again by the sender's wake-up.
//!
//! What if the other end dies? A sender is told [`Rejected::Closed`]; a receiver is told
//! [`Received::Closed`] once the queue is empty. A full queue refuses; nothing grows without limit.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// A queue of at most `capacity` items for one receiving thread.
pub fn mailbox<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        queue: Mutex::new(VecDeque::with_capacity(capacity)),
        capacity,
        reader: OnceLock::new(),
        senders: AtomicUsize::new(1),
        receiver_gone: AtomicBool::new(false),
    });
    (
        Sender {
            shared: Arc::clone(&shared),
        },
        Receiver { shared },
    )
}

struct Shared<T> {
    queue: Mutex<VecDeque<T>>,
    capacity: usize,
    reader: OnceLock<Thread>,
    senders: AtomicUsize,
    receiver_gone: AtomicBool,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, VecDeque<T>>> {
        match self.queue.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn wake(&self) {
        if let Some(reader) = self.reader.get() {
            reader.unpark();
        }
    }
}

/// Why an item was not taken; it comes back with the answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Rejected<T> {
    /// The queue is full.
    Full(T),
    /// Nobody will ever read it.
    Closed(T),
}

/// The sending end for threads that may wait for a lock held for the length of a push.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Put one item into the queue, or get it back.
    pub fn send(&self, item: T) -> Result<(), Rejected<T>> {
        if self.shared.receiver_gone.load(Ordering::Acquire) {
            return Err(Rejected::Closed(item));
        }
        {
            let mut queue = self.shared.lock();
            if queue.len() >= self.shared.capacity {
                return Err(Rejected::Full(item));
            }
            queue.push_back(item);
        }
        self.shared.wake();
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.senders.fetch_add(1, Ordering::AcqRel);
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.senders.fetch_sub(1, Ordering::AcqRel);
        self.shared.wake();
    }
}

/// The sending end for the control thread: never waits; keeps its own bounded backlog instead.
pub struct Outbox<T> {
    sender: Sender<T>,
    backlog: VecDeque<T>,
}

impl<T> Outbox<T> {
    /// A non-waiting sending end.
    pub fn new(sender: Sender<T>) -> Self {
        Self {
            backlog: VecDeque::with_capacity(sender.shared.capacity),
            sender,
        }
    }

    /// Hand over one item, now or at the next [`Outbox::flush`], in order; or get it back.
    pub fn push(&mut self, item: T) -> Result<(), Rejected<T>> {
        if self.sender.shared.receiver_gone.load(Ordering::Acquire) {
            return Err(Rejected::Closed(item));
        }
        if self.backlog.len() >= self.sender.shared.capacity {
            return Err(Rejected::Full(item));
        }
        self.backlog.push_back(item);
        self.flush();
        Ok(())
    }

    /// Hand over what the backlog holds, as far as that is possible without waiting.
    pub fn flush(&mut self) -> Flushed {
        if self.backlog.is_empty() {
            return Flushed::All;
        }
        let shared = &self.sender.shared;
        if shared.receiver_gone.load(Ordering::Acquire) {
            self.backlog.clear();
            return Flushed::All;
        }
        if let Some(mut queue) = shared.try_lock() {
            let room = shared
                .capacity
                .saturating_sub(queue.len())
                .min(self.backlog.len());
            queue.extend(self.backlog.drain(..room));
        }
        shared.wake();
        if self.backlog.is_empty() {
            Flushed::All
        } else {
            Flushed::Partly
        }
    }
}

/// Whether a backlog is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flushed {
    /// Everything was handed over.
    All,
    /// Something still waits; flush again later.
    Partly,
}

/// What a receiver got.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<T> {
    /// One item, the oldest.
    Item(T),
    /// None came in time.
    Timeout,
    /// The queue is empty and every sender is gone.
    Closed,
}

/// The receiving end. One thread, always the same one, receives.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Receiver<T> {
    /// Let senders wake the calling thread.
    pub fn attend(&self) {
        let _already = self.shared.reader.set(std::thread::current());
    }

    /// The oldest item, if there is one and nobody is holding the queue at this very moment (who does
    /// wakes this thread when done).
    pub fn try_take(&self) -> Option<T> {
        self.shared
            .try_lock()
            .and_then(|mut queue| queue.pop_front())
    }

    /// The item `pick` chooses by index among those waiting; waits up to `wait` for the first, forever on
    /// `None`. May wait for a lock: not for the control thread.
    pub fn take_by(
        &self,
        wait: Option<Duration>,
        pick: impl Fn(&VecDeque<T>) -> usize,
    ) -> Received<T> {
        self.attend();
        let until = wait.map(|wait| Instant::now() + wait);
        loop {
            // Read before the look into the queue: a sender's last item is in it when the count drops.
            let closed = self.shared.senders.load(Ordering::Acquire) == 0;
            {
                let mut queue = self.shared.lock();
                let at = pick(&queue);
                if let Some(item) = queue.remove(at) {
                    return Received::Item(item);
                }
            }
            if closed {
                return Received::Closed;
            }
            match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => std::thread::park(),
                Some(Duration::ZERO) => return Received::Timeout,
                Some(left) => std::thread::park_timeout(left),
            }
        }
    }

    /// The oldest item; waits up to `wait` for it, forever on `None`. Not for the control thread.
    pub fn take(&self, wait: Option<Duration>) -> Received<T> {
        self.take_by(wait, |_| 0)
    }

    /// Whether every sender is gone.
    pub fn is_closed(&self) -> bool {
        self.shared.senders.load(Ordering::Acquire) == 0
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.receiver_gone.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_queue_refuses_and_gives_the_item_back() {
        let (sender, receiver) = mailbox(1);
        assert_eq!(sender.send(1), Ok(()));
        assert_eq!(sender.send(2), Err(Rejected::Full(2)));
        assert_eq!(receiver.take(None), Received::Item(1));
        assert_eq!(sender.send(3), Ok(()));
    }

    #[test]
    fn outbox_waits_for_nobody_and_keeps_order() {
        let (sender, receiver) = mailbox(8);
        let mut outbox = Outbox::new(sender);
        let held = receiver.shared.lock();
        assert_eq!(outbox.push(1), Ok(()));
        assert_eq!(outbox.flush(), Flushed::Partly);
        drop(held);
        assert_eq!(outbox.push(2), Ok(()));
        assert_eq!(receiver.take(None), Received::Item(1));
        assert_eq!(receiver.take(None), Received::Item(2));
    }

    #[test]
    fn try_take_does_not_wait_for_a_holder() {
        let (sender, receiver) = mailbox(8);
        assert_eq!(sender.send(1), Ok(()));
        let held = receiver.shared.lock();
        assert_eq!(receiver.try_take(), None);
        drop(held);
        assert_eq!(receiver.try_take(), Some(1));
    }

    #[test]
    fn last_item_is_read_before_closed() {
        let (sender, receiver) = mailbox(8);
        let other = std::thread::spawn(move || sender.send(7).is_ok());
        assert!(other.join().unwrap());
        assert_eq!(receiver.take(None), Received::Item(7));
        assert_eq!(receiver.take(None), Received::Closed);
    }

    #[test]
    fn sender_learns_that_nobody_reads() {
        let (sender, receiver) = mailbox(8);
        let mut outbox = Outbox::new(sender.clone());
        drop(receiver);
        assert_eq!(sender.send(1), Err(Rejected::Closed(1)));
        assert_eq!(outbox.push(1), Err(Rejected::Closed(1)));
    }

    #[test]
    fn many_senders_lose_nothing() {
        let (sender, receiver) = mailbox(64);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let sender = sender.clone();
                std::thread::spawn(move || {
                    for n in 0..1000_u32 {
                        let mut item = n;
                        while let Err(Rejected::Full(back)) = sender.send(item) {
                            item = back;
                            std::thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        drop(sender);
        let mut count = 0;
        while let Received::Item(_) = receiver.take(None) {
            count += 1;
        }
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(count, 4000);
    }
}
