//! Everything that can happen to the node, on its way to the control thread.
//!
//! Two lanes: *urgent* for the answers of hardware threads, *ordinary* for everything else. A flood of
//! check results or requests can fill its own lane only, and a thread of normal priority that is put
//! aside while it holds the ordinary lane delays no answer of the hardware.

use std::time::Duration;

use super::mailbox::{Receiver, Rejected, Sender, mailbox};
use crate::node::Event;

/// Most answers that can wait. More than all orders that can be under way together.
const URGENT_MAX: usize = 128;
/// Most other events that can wait.
const ORDINARY_MAX: usize = 512;

/// Both lanes, with the end that the control thread reads.
pub fn inbox() -> (Inlets, Inbox) {
    let (urgent_in, urgent) = mailbox(URGENT_MAX);
    let (ordinary_in, ordinary) = mailbox(ORDINARY_MAX);
    (
        Inlets {
            urgent: Inlet(urgent_in),
            ordinary: Inlet(ordinary_in),
        },
        Inbox { urgent, ordinary },
    )
}

/// The sending ends.
#[derive(Clone)]
pub struct Inlets {
    /// For hardware threads.
    pub urgent: Inlet,
    /// For everybody else.
    pub ordinary: Inlet,
}

/// One sending end.
#[derive(Clone)]
pub struct Inlet(Sender<Event>);

/// An event was not taken: the control thread is behind by the whole queue, or gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the agent is behind: its event queue is full, or its control thread has ended")]
pub struct Behind;

impl Inlet {
    /// Tell the node. Never waits for the control thread.
    pub fn tell(&self, event: Event) -> Result<(), Behind> {
        self.0.send(event).map_err(|rejected| match rejected {
            Rejected::Full(_) | Rejected::Closed(_) => Behind,
        })
    }
}

/// The end that the control thread reads.
pub struct Inbox {
    urgent: Receiver<Event>,
    ordinary: Receiver<Event>,
}

impl Inbox {
    /// Let the lanes wake the calling thread; once, by the control thread, before it reads.
    pub fn attend(&self) {
        self.urgent.attend();
        self.ordinary.attend();
    }

    /// The next event, urgent ones first; waits up to `wait` (`None`: until something comes). May return
    /// early with nothing: the caller has a deadline to look at anyway.
    pub fn next(&self, wait: Option<Duration>) -> Option<Event> {
        self.ready().or_else(|| {
            match wait {
                None => std::thread::park(),
                Some(Duration::ZERO) => {}
                Some(wait) => std::thread::park_timeout(wait),
            }
            self.ready()
        })
    }

    fn ready(&self) -> Option<Event> {
        self.urgent.try_take().or_else(|| self.ordinary.try_take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Stop;

    #[test]
    fn answers_of_the_hardware_come_first() {
        let (inlets, inbox) = inbox();
        inbox.attend();
        let stop = Event::StopRequested {
            stop: Stop::Ordered,
        };
        let kicked = Event::Kicked { outcome: Ok(()) };
        inlets.ordinary.tell(stop.clone()).unwrap();
        inlets.urgent.tell(kicked.clone()).unwrap();
        assert_eq!(inbox.next(None), Some(kicked));
        assert_eq!(inbox.next(None), Some(stop));
        assert_eq!(inbox.next(Some(Duration::ZERO)), None);
    }

    #[test]
    fn a_flood_fills_its_own_lane_only() {
        let (inlets, _inbox) = inbox();
        let stop = Event::StopRequested {
            stop: Stop::Ordered,
        };
        let taken = (0..10_000)
            .filter(|_| inlets.ordinary.tell(stop.clone()).is_ok())
            .count();
        assert_eq!(taken, ORDINARY_MAX);
        assert_eq!(inlets.urgent.tell(stop), Ok(()));
    }
}
