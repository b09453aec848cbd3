//! A switch of the network around the appliances: every frame goes to every other port.
//!
//! It does not learn: a real switch that has forgotten an address floods too, and what is under test must bear it.

use super::{SharedPort, Threads};

/// Joined cable ends; they are joined as long as it lives.
pub struct Hub {
    _threads: Threads,
}

impl Hub {
    /// Joins `ports`.
    pub fn join(ports: &[SharedPort]) -> Self {
        let mut threads = Threads::default();
        for (index, port) in ports.iter().enumerate() {
            let others: Vec<SharedPort> = ports
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != index)
                .map(|(_, port)| SharedPort::clone(port))
                .collect();
            threads.receive(SharedPort::clone(port), move |frame| {
                others.iter().for_each(|other| other.send(frame));
            });
        }
        Self { _threads: threads }
    }
}
