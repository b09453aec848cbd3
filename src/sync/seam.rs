//! Where a test lets the disk fail: every call that changes something asks here first.

/// Asked before every change of the disk; says no only in tests.
#[cfg(not(test))]
#[inline]
pub(crate) fn before_change() -> rustix::io::Result<()> {
    Ok(())
}

/// Told after something was made durable; listens only in tests.
#[cfg(not(test))]
#[inline]
pub(crate) fn synced(_: impl std::os::fd::AsFd) {}

/// Told after a whole file system was made durable; listens only in tests.
#[cfg(not(test))]
#[inline]
pub(crate) fn synced_all() {}

/// Told before an entry is moved; listens only in tests.
#[cfg(not(test))]
#[inline]
pub(crate) fn moves(_: impl std::os::fd::AsFd, _: &[u8]) {}

#[cfg(test)]
pub(crate) use faulty::*;

#[cfg(test)]
mod faulty {
    use std::cell::{Cell, RefCell};
    use std::os::fd::AsFd;

    use rustix::fs::{AtFlags, fstat, statat};
    use rustix::io::{Errno, Result};

    /// What is to happen on this thread.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Fault {
        /// Nothing changes any more after this many changes: as if the process had been killed.
        Die(usize),
        /// The change after this many fails, once, like this.
        Fail(usize, Errno),
    }

    /// What matters for the order in which things are durable.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Trace {
        /// This inode, file or directory, was made durable.
        Synced(u64),
        /// All of a file system was.
        SyncedAll,
        /// This inode is about to get another name.
        Moves(u64),
    }

    thread_local! {
        static TRACE: RefCell<Vec<Trace>> = const { RefCell::new(Vec::new()) };
        static FAULT: Cell<Option<Fault>> = const { Cell::new(None) };
        static CHANGES: Cell<usize> = const { Cell::new(0) };
    }

    /// Lets this happen from now on; counts from zero.
    pub(crate) fn inject(fault: Option<Fault>) {
        FAULT.set(fault);
        CHANGES.set(0);
    }

    /// What was traced on this thread since it was last asked.
    pub(crate) fn trace() -> Vec<Trace> {
        TRACE.take()
    }

    pub(crate) fn synced(file: impl AsFd) {
        if let Ok(stat) = fstat(file) {
            TRACE.with_borrow_mut(|trace| trace.push(Trace::Synced(stat.st_ino)));
        }
    }

    pub(crate) fn synced_all() {
        TRACE.with_borrow_mut(|trace| trace.push(Trace::SyncedAll));
    }

    pub(crate) fn moves(dir: impl AsFd, name: &[u8]) {
        if let Ok(stat) = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            TRACE.with_borrow_mut(|trace| trace.push(Trace::Moves(stat.st_ino)));
        }
    }

    /// Changes since.
    pub(crate) fn changes() -> usize {
        CHANGES.get()
    }

    pub(crate) fn before_change() -> Result<()> {
        let done = CHANGES.get();
        CHANGES.set(done + 1);
        match FAULT.get() {
            Some(Fault::Die(after)) if done >= after => Err(Errno::IO),
            Some(Fault::Fail(after, error)) if done == after => Err(error),
            _ => Ok(()),
        }
    }
}
