//! `SIGTERM` and `SIGINT` as events.
//!
//! The signals are blocked in every thread and taken by one that does nothing else, so that an order to stop
//! is heard even if everything else is busy. Programs run by checks get an empty mask from the standard
//! library. What if this thread dies? The service manager waits, then kills; the dead-man takes over.

use std::io;
use std::thread::JoinHandle;

use nix::sys::signal::{SigSet, Signal};

use super::inbox::Inlet;
use crate::node::{Event, Stop};

fn stopping() -> SigSet {
    SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT])
}

/// Block them in the calling thread and all it starts from now on.
pub fn block() -> io::Result<()> {
    Ok(stopping().thread_block()?)
}

/// Start the thread. A handover is not ordered by signal but over the control socket.
pub fn start(inlet: Inlet) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("fp-signals".to_owned())
        .stack_size(128 * 1024)
        .spawn(move || while take_one(&inlet).is_ok() {})
}

fn take_one(inlet: &Inlet) -> io::Result<()> {
    let signal = stopping().wait()?;
    tracing::warn!("{signal}: stopping");
    let stop = Stop::Ordered;
    if inlet.tell(Event::StopRequested { stop }).is_err() {
        tracing::error!("{signal} was not taken: the agent is behind");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nix::sys::signal::raise;

    use super::*;
    use crate::io::inbox::inbox;

    #[test]
    fn a_signal_becomes_an_ordered_stop() {
        let (inlets, inbox) = inbox();
        inbox.attend();
        block().unwrap();
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            // To this thread alone: other tests' threads do not block it.
            raise(signal).unwrap();
            take_one(&inlets.ordinary).unwrap();
            let stop = Stop::Ordered;
            assert_eq!(
                inbox.next(Some(Duration::ZERO)),
                Some(Event::StopRequested { stop })
            );
        }
    }
}
