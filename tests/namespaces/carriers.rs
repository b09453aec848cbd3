//! Ports that lose their carrier, as the kernel tells it.

use std::time::Duration;

use fencepost::board::profile::PortRef;
use fencepost::config::{Check, CheckKind};
use fencepost::io::carriers;
use fencepost::io::inbox::{Inbox, inbox};
use fencepost::io::realtime::Priority;
use fencepost::node::Event;
use fencepost::node::policy::CheckSeverity;

use crate::world::{Lan, eventually};

fn watch(name: &str) -> Check {
    Check {
        name: format!("carrier-{name}"),
        severity: CheckSeverity::Failover,
        segments: Vec::new(),
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        rise: 1,
        fall: 2,
        kind: CheckKind::Carrier {
            port: PortRef::Interface(name.to_owned()),
        },
    }
}

fn losses(inbox: &Inbox) -> Vec<usize> {
    let told = std::iter::from_fn(|| inbox.next(Some(Duration::ZERO)));
    told.filter_map(|event| match event {
        Event::CarrierLost { check, .. } => Some(check),
        _ => None,
    })
    .collect()
}

pub(crate) fn a_port_that_goes_dark_is_told_once_per_loss() {
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    host.ip("link add other0 type veth peer name other1");
    let (inlets, inbox) = inbox();
    let checks = [watch("other0"), watch("eth0")];
    let listening = host.inside(|| carriers::start(&checks, inlets.ordinary, Priority::BUS));
    assert!(listening.unwrap().is_some());
    let has = |state: &str| host.ip("link show dev eth0").contains(state);
    eventually("the port has carrier", || has("LOWER_UP"));
    // Whatever was seen while the listener looked for the first time.
    std::thread::sleep(Duration::from_millis(200));
    let _before = losses(&inbox);

    for _ in 0..2 {
        lan.cable(0, "down");
        let mut told = Vec::new();
        eventually("the loss is told", || {
            told.extend(losses(&inbox));
            !told.is_empty()
        });
        // More words of the kernel about a port that is known to be dark, and about one that always was.
        host.ip("link set eth0 txqueuelen 500");
        host.ip("link set other0 txqueuelen 500");
        std::thread::sleep(Duration::from_millis(200));
        told.extend(losses(&inbox));
        assert_eq!(told, [1]);
        lan.cable(0, "up");
        eventually("the port is back", || has("LOWER_UP"));
        std::thread::sleep(Duration::from_millis(200));
        assert!(losses(&inbox).is_empty(), "a return is found by looking");
    }
}
