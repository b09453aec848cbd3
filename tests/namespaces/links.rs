//! Heartbeat links over interfaces: bound to them, their carrier told, cables pulled.

use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use fencepost::io::links::{LinkOrder, LinkOrders, LinkReport, LinkSpec, LinksView, start};
use fencepost::io::netlink::Carrier;
use fencepost::io::realtime::Priority;
use fencepost::wire::{Ask, AskReason, BootId, Identity, KeyRing, Message, Secret, Side};

use crate::world::{Lan, Namespace, eventually};

struct Node {
    orders: LinkOrders,
    view: LinksView,
    reports: Receiver<LinkReport>,
    counter: u64,
}

impl Node {
    fn start(host: &Namespace, side: Side, links: &[(&str, &str, &str)]) -> Self {
        let specs = links.iter().map(|(name, local, peer)| LinkSpec {
            name: (*name).to_owned(),
            local: local.parse::<SocketAddr>().unwrap(),
            peer: peer.parse().unwrap(),
            interface: Some("eth0".to_owned()),
        });
        let specs: Vec<LinkSpec> = specs.collect();
        let (tell, reports) = mpsc::channel();
        let seed: [u8; 32] = core::array::from_fn(|at| u8::try_from(at).unwrap() ^ side as u8);
        let keys = KeyRing::new(&[Secret::new(core::array::from_fn(|at| {
            u8::try_from(at).unwrap()
        }))]);
        let identity = Identity {
            side,
            boot: BootId(1 + side as u64),
            seed,
        };
        let (orders, view, _thread) = host.inside(move || {
            let report = move |report| {
                let _gone = tell.send(report);
            };
            start(specs, identity, keys.unwrap(), report, Priority::NORMAL).unwrap()
        });
        Self {
            orders,
            view,
            reports,
            counter: 0,
        }
    }

    fn say(&mut self) {
        self.counter += 1;
        let message = Message::Ask(Ask {
            number: 1,
            epoch: 1,
            reason: AskReason::Election,
        });
        let order = LinkOrder::Send {
            links: 0xFF,
            counter: self.counter,
            message,
        };
        self.orders.send(order).unwrap();
    }

    fn told(&self, what: impl Fn(&LinkReport) -> bool) -> bool {
        self.reports.try_iter().any(|report| what(&report))
    }
}

const A: [(&str, &str, &str); 2] = [
    ("four", "192.0.2.1:7694", "192.0.2.2:7694"),
    ("six", "[2001:db8::1]:7694", "[2001:db8::2]:7694"),
];
const B: [(&str, &str, &str); 2] = [
    // In another order than at the peer: names count.
    ("six", "[2001:db8::2]:7694", "[2001:db8::1]:7694"),
    ("four", "192.0.2.2:7694", "192.0.2.1:7694"),
];

fn heard(by: usize) -> impl Fn(&LinkReport) -> bool {
    move |report| matches!(report, LinkReport::Heard { link, .. } if *link == by)
}

fn carrier(state: Carrier) -> impl Fn(&LinkReport) -> bool {
    move |report| matches!(report, LinkReport::Carrier { link: 0, carrier } if *carrier == state)
}

fn talk(a: &mut Node, b: &mut Node, what: &str, is_so: impl Fn(&Node, &Node) -> bool) -> Duration {
    eventually(what, || {
        a.say();
        b.say();
        is_so(a, b)
    })
}

pub(crate) fn a_pulled_cable_is_told_and_survived() {
    let lan = Lan::new(2);
    let mut a = Node::start(&lan.hosts[0], Side::Preferred, &A);
    let mut b = Node::start(&lan.hosts[1], Side::Other, &B);
    talk(&mut a, &mut b, "carrier at the start", |a, _| {
        a.told(carrier(Carrier::Up))
    });
    for link in [0, 1] {
        talk(&mut a, &mut b, "a hears", |a, _| a.told(heard(link)));
        talk(&mut a, &mut b, "b hears", |_, b| b.told(heard(link)));
    }
    let _old = a.told(|_| false);
    lan.cable(0, "down");
    eventually("a notices", || a.told(carrier(Carrier::Down)));
    for _ in 0..20 {
        a.say();
        b.say();
    }
    std::thread::sleep(Duration::from_millis(50));
    assert!(!a.told(heard(0)) && !a.told(heard(1)));
    lan.cable(0, "up");
    for link in [0, 1] {
        talk(&mut a, &mut b, "a hears again", |a, _| a.told(heard(link)));
    }
    // What was sent into the void counts as lost, once something came after it.
    talk(&mut a, &mut b, "the loss is seen", |a, _| {
        a.view.read().links.iter().all(|link| link.quality.lost > 0)
    });
}

pub(crate) fn an_interface_that_comes_late_is_used() {
    let lan = Lan::new(2);
    let [one, other] = &lan.hosts[..] else {
        unreachable!()
    };
    one.ip("addr del 192.0.2.1/24 dev eth0");
    one.ip("addr del 2001:db8::1/64 dev eth0");
    let mut a = Node::start(one, Side::Preferred, &A);
    let mut b = Node::start(other, Side::Other, &B);
    talk(&mut a, &mut b, "the fault is told", |a, _| {
        let links = a.view.read().links;
        !links.is_empty() && links.iter().all(|link| link.fault.is_some())
    });
    let fault = a.view.read().links[0].fault.clone().unwrap();
    assert!(
        fault.starts_with("Cannot assign requested address"),
        "{fault}"
    );
    one.ip("addr add 192.0.2.1/24 dev eth0");
    one.ip("addr add 2001:db8::1/64 dev eth0 nodad");
    for link in [0, 1] {
        talk(&mut a, &mut b, "a hears", |a, _| a.told(heard(link)));
    }
    eventually("it is counted", || a.view.read().counts.fresh > 0);
}
