//! Where a test lets the disk fail: every call that changes something asks here first.

/// Asked before every change of the disk; says no only in tests.
#[cfg(not(test))]
#[inline]
pub(crate) fn before_change() -> rustix::io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub(crate) use faulty::*;

#[cfg(test)]
mod faulty {
    use std::cell::Cell;

    use rustix::io::{Errno, Result};

    /// What is to happen on this thread.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Fault {
        /// Nothing changes any more after this many changes: as if the process had been killed.
        Die(usize),
        /// The change after this many fails, once, like this.
        Fail(usize, Errno),
    }

    thread_local! {
        static FAULT: Cell<Option<Fault>> = const { Cell::new(None) };
        static CHANGES: Cell<usize> = const { Cell::new(0) };
    }

    /// Lets this happen from now on; counts from zero.
    pub(crate) fn inject(fault: Option<Fault>) {
        FAULT.set(fault);
        CHANGES.set(0);
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
