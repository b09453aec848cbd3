//! Units that run where the vips are: started and stopped through the service manager, on a thread of its own.
//!
//! Started in the configured order, each once the one before it is up; stopped in the opposite order. Nothing the node does
//! waits for it, and what it does is no serve action: an address moves however slow a unit is. A newer order ends the one
//! under way: who has just lost the vips must not first wait for its own start.
//!
//! What if this thread dies, or the service manager hangs? Roles change as before; orders are answered with a refusal, and shown.

use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use super::mailbox::{Outbox, Received, Receiver, mailbox};
use super::program;
use crate::node::pair::ServicesWanted;

/// Most orders that wait; only the last one counts.
const WAITING_MAX: usize = 16;

/// Which units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicesSpec {
    /// Names with their suffix, in the order in which they are started.
    pub units: Vec<String>,
    /// For each unit.
    pub limit: Duration,
}

/// An order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServicesOrder {
    /// Comes back with the answer.
    pub number: u64,
    /// How all of them should be.
    pub wanted: ServicesWanted,
}

/// Starts the thread; `report` hears what became of each order that was not overtaken.
///
/// # Errors
/// No thread.
pub fn start(
    spec: ServicesSpec,
    report: impl FnMut(ServicesOrder, Result<(), String>) + Send + 'static,
) -> io::Result<(Outbox<ServicesOrder>, JoinHandle<()>)> {
    start_with("systemctl".to_owned(), spec, report)
}

fn start_with(
    client: String,
    spec: ServicesSpec,
    mut report: impl FnMut(ServicesOrder, Result<(), String>) + Send + 'static,
) -> io::Result<(Outbox<ServicesOrder>, JoinHandle<()>)> {
    let (sender, orders) = mailbox(WAITING_MAX);
    let thread = std::thread::Builder::new()
        .name("fp-services".to_owned())
        .spawn(move || {
            let mut waiting = None;
            while let Some(order) = next(&orders, waiting.take()) {
                let outcome = carry_out(&client, &spec, order.wanted, || {
                    waiting = orders.try_take().or(waiting);
                    waiting.is_some()
                });
                if waiting.is_none() {
                    report(order, outcome);
                }
            }
        })?;
    Ok((Outbox::new(sender), thread))
}

/// The newest order of those that wait; `None` once there will be no more.
fn next(orders: &Receiver<ServicesOrder>, waiting: Option<ServicesOrder>) -> Option<ServicesOrder> {
    let mut newest = match waiting {
        Some(order) => order,
        None => match orders.take(None) {
            Received::Item(order) => order,
            Received::Timeout | Received::Closed => return None,
        },
    };
    while let Some(newer) = orders.try_take() {
        newest = newer;
    }
    Some(newest)
}

/// A start ends at the first unit that fails: what follows may need it. A stop goes on: each unit that is down is one less.
fn carry_out(
    client: &str,
    spec: &ServicesSpec,
    wanted: ServicesWanted,
    mut overtaken: impl FnMut() -> bool,
) -> Result<(), String> {
    let mut run = |verb: &str, unit: &String| {
        let argv = [client, "--no-ask-password", verb, "--", unit];
        let ran = program::run(&argv, &[], spec.limit, &mut overtaken);
        ran.map_err(|error| format!("unit {unit} did not {verb}: {error}"))
    };
    match wanted {
        ServicesWanted::Started => spec.units.iter().try_for_each(|unit| run("start", unit)),
        ServicesWanted::Stopped => {
            let mut outcome = Ok(());
            for unit in spec.units.iter().rev() {
                let end = run("stop", unit);
                outcome = outcome.and(end);
            }
            outcome
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::io::stand_in;

    const LONG: Duration = Duration::from_secs(60);

    /// A `systemctl` that writes down what it is asked; what `script` says comes first.
    struct Manager {
        folder: tempfile::TempDir,
    }

    type Told = Receiver<(ServicesOrder, Result<(), String>)>;

    impl Manager {
        fn new(script: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("systemctl");
            let log = folder.path().join("log");
            let text = format!("#!/bin/sh\n{script}\necho \"$2 $4\" >> {}\n", log.display());
            stand_in::write(&path, &text);
            Self { folder }
        }

        fn start(&self) -> (Outbox<ServicesOrder>, Told) {
            let (sender, told) = channel();
            let client = self.folder.path().join("systemctl");
            let spec = ServicesSpec {
                units: vec!["proxy.service".to_owned(), "web.service".to_owned()],
                limit: LONG,
            };
            let report = move |order, outcome| {
                let _gone = sender.send((order, outcome));
            };
            let (orders, _thread) =
                start_with(client.to_string_lossy().into_owned(), spec, report).unwrap();
            (orders, told)
        }

        fn log(&self) -> String {
            fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
        }
    }

    fn order(number: u64, wanted: ServicesWanted) -> ServicesOrder {
        ServicesOrder { number, wanted }
    }

    #[test]
    fn started_in_order_and_stopped_in_the_opposite_one() {
        let manager = Manager::new("");
        let (mut orders, told) = manager.start();
        orders.push(order(1, ServicesWanted::Started)).unwrap();
        assert_eq!(told.recv_timeout(LONG).unwrap().1, Ok(()));
        orders.push(order(2, ServicesWanted::Stopped)).unwrap();
        assert_eq!(told.recv_timeout(LONG).unwrap().0.number, 2);
        assert_eq!(
            manager.log(),
            "start proxy.service\nstart web.service\nstop web.service\nstop proxy.service\n"
        );
    }

    #[test]
    fn a_start_ends_at_the_first_failure_and_a_stop_goes_on() {
        let manager = Manager::new("[ $4 = proxy.service ] && exit 1");
        let (mut orders, told) = manager.start();
        orders.push(order(1, ServicesWanted::Started)).unwrap();
        let error = told.recv_timeout(LONG).unwrap().1.unwrap_err();
        assert!(
            error.starts_with("unit proxy.service did not start:"),
            "{error}"
        );
        assert_eq!(manager.log(), "");
        orders.push(order(2, ServicesWanted::Stopped)).unwrap();
        let error = told.recv_timeout(LONG).unwrap().1.unwrap_err();
        assert!(
            error.starts_with("unit proxy.service did not stop:"),
            "{error}"
        );
        assert_eq!(manager.log(), "stop web.service\n");
    }

    #[test]
    fn a_newer_order_does_not_wait_for_a_unit_that_does_not_come_up() {
        let manager = Manager::new("[ $2 = start ] && sleep 600");
        let (mut orders, told) = manager.start();
        orders.push(order(1, ServicesWanted::Started)).unwrap();
        orders.push(order(2, ServicesWanted::Stopped)).unwrap();
        let (first, outcome) = told.recv_timeout(LONG).unwrap();
        assert_eq!((first.number, outcome), (2, Ok(())));
    }
}
