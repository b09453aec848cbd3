//! A switch of the network around the appliances: every frame goes to every other port.
//!
//! It does not learn: a real switch that has forgotten an address floods too, and what is under test must bear it.

use std::sync::Arc;

use super::{SharedPort, Threads};

/// Whether a frame that came in at this port goes on.
pub type Passes = Arc<dyn Fn(usize, &[u8]) -> bool + Send + Sync>;

/// Joined cable ends; they are joined as long as it lives.
pub struct Hub {
    _threads: Threads,
}

impl Hub {
    /// Joins `ports`.
    pub fn join(ports: &[SharedPort]) -> Self {
        Self::filter(ports, &(Arc::new(|_, _: &[u8]| true) as Passes))
    }

    /// Joins `ports`; a frame that does not pass is lost.
    pub fn filter(ports: &[SharedPort], passes: &Passes) -> Self {
        let mut threads = Threads::default();
        for (index, port) in ports.iter().enumerate() {
            let others: Vec<SharedPort> = ports
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != index)
                .map(|(_, port)| SharedPort::clone(port))
                .collect();
            let passes = Arc::clone(passes);
            threads.receive(SharedPort::clone(port), move |frame| {
                if passes(index, frame) {
                    others.iter().for_each(|other| other.send(frame));
                }
            });
        }
        Self { _threads: threads }
    }
}
