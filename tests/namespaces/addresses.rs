//! Vips: held, announced, renewed, withdrawn.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use fencepost::io::announce::Announcer;
use fencepost::io::claims::{self, ForeignClaim};
use fencepost::io::netlink::{AddressError, Addresses, Vip};
use fencepost::io::realtime::Priority;
use fencepost::io::vips::{self, Presence, VipAnswer, VipOrder, VipVerb};

use crate::ping::answers;
use crate::world::{Lan, Namespace, eventually};

const LONG: Duration = Duration::from_secs(600);

fn v4(last: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, last).into()
}

fn v6(last: u16) -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).into()
}

fn vip(address: IpAddr) -> Vip {
    Vip {
        interface: "eth0".to_owned(),
        address,
        prefix: if address.is_ipv4() { 32 } else { 128 },
    }
}

fn both() -> Vec<Vip> {
    vec![vip(v4(100)), vip(v6(0x100))]
}

fn hold(host: &Namespace, vips: &[Vip], lifetime: Duration) {
    host.inside(|| Addresses::open().unwrap().hold(vips, lifetime).unwrap());
}

fn present(host: &Namespace, vips: &[Vip]) -> usize {
    host.inside(|| Addresses::open().unwrap().find(vips).unwrap().len())
}

fn pings(from: &Namespace, address: IpAddr) -> bool {
    from.inside(|| answers(address, 1_500))
}

fn announce(host: &Namespace, vips: &[Vip]) {
    let announced = host.inside(|| {
        let mut addresses = Addresses::open().unwrap();
        let find = |name: &str| addresses.interface(name).map_err(std::io::Error::other);
        Announcer::default().announce(vips, find)
    });
    assert_eq!((announced.unsent, announced.error), (0, None));
}

pub(crate) fn a_vip_appears_answers_and_goes() {
    let lan = Lan::new(2);
    let [holder, client] = &lan.hosts[..] else {
        unreachable!()
    };
    assert!(!pings(client, v4(100)), "nobody holds it yet");
    hold(holder, &both(), LONG);
    // No wait for duplicate address detection: the very first question is answered.
    assert!(pings(client, v6(0x100)), "IPv6 is usable at once");
    // The client asked in vain a moment ago, and asks again once a second.
    eventually("IPv4 answers", || pings(client, v4(100)));
    let shown = holder.ip("-6 addr show dev eth0 to 2001:db8::100");
    assert!(
        !shown.contains("tentative") && shown.contains("nodad"),
        "{shown}"
    );
    let found = holder.inside(|| Addresses::open().unwrap().find(&both()).unwrap());
    assert!(
        found.iter().all(|one| one.ours && one.valid.is_some()),
        "{found:?}"
    );

    holder.inside(|| Addresses::open().unwrap().withdraw(&both()).unwrap());
    assert!(!pings(client, v4(100)) && !pings(client, v6(0x100)));
    // Its own addresses were never touched, nor its routes.
    assert!(pings(client, v4(1)) && pings(client, v6(1)));
}

pub(crate) fn caches_of_third_hosts_follow() {
    let lan = Lan::new(3);
    let [one, other, client] = &lan.hosts[..] else {
        unreachable!()
    };
    hold(one, &both(), LONG);
    assert!(pings(client, v4(100)) && pings(client, v6(0x100)));
    let knows = |mac: &str| {
        let cache = client.ip("neigh show dev eth0");
        ["192.0.2.100 ", "2001:db8::100 "].iter().all(|address| {
            let line = cache.lines().find(|line| line.starts_with(address));
            line.is_some_and(|line| line.contains(mac))
        })
    };
    assert!(
        knows("02:00:00:00:00:01"),
        "{}",
        client.ip("neigh show dev eth0")
    );
    one.inside(|| Addresses::open().unwrap().withdraw(&both()).unwrap());
    hold(other, &both(), LONG);
    assert!(knows("02:00:00:00:00:01"), "nothing was said yet");
    // The client sends nothing: the announcement alone turns it.
    announce(other, &both());
    eventually("the cache points to the new holder", || {
        knows("02:00:00:00:00:02")
    });
    assert!(pings(client, v4(100)) && pings(client, v6(0x100)));
}

pub(crate) fn a_thousand_addresses_in_a_batch() {
    let lan = Lan::new(2);
    let [holder, client] = &lan.hosts[..] else {
        unreachable!()
    };
    let many: Vec<Vip> = (0..500_u16)
        .flat_map(|n| {
            let [high, low] = n.to_be_bytes();
            [
                vip(Ipv4Addr::new(198, 18, high, low).into()),
                vip(v6(0x1000 + n)),
            ]
        })
        .collect();
    let timed = |what: &str, act: &(dyn Fn(&mut Addresses) + Sync)| {
        let took = holder.inside(|| {
            let mut addresses = Addresses::open().unwrap();
            let begun = Instant::now();
            act(&mut addresses);
            begun.elapsed()
        });
        println!(
            "  {} addresses {what}: {:.1} ms",
            many.len(),
            took.as_secs_f64() * 1e3
        );
    };
    timed("held and read back", &|it| it.hold(&many, LONG).unwrap());
    timed("renewed", &|it| it.renew(&many, LONG).unwrap());
    timed("found", &|it| {
        assert_eq!(it.find(&many).unwrap().len(), many.len())
    });
    let begun = Instant::now();
    announce(holder, &many);
    println!(
        "  1500 frames announced: {:.1} ms",
        begun.elapsed().as_secs_f64() * 1e3
    );
    assert!(pings(client, v6(0x1000)) && pings(client, v6(0x11F3)));
    timed("dropped and read to be gone", &|it| {
        it.withdraw(&many).unwrap()
    });
    assert_eq!(present(holder, &many), 0);
}

pub(crate) fn the_kernel_withdraws() {
    let lan = Lan::new(2);
    let [holder, client] = &lan.hosts[..] else {
        unreachable!()
    };
    hold(holder, &both(), Duration::from_secs(2));
    // Renewed for longer than one lifetime, it stays.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        holder.inside(|| {
            let mut addresses = Addresses::open().unwrap();
            addresses.renew(&both(), Duration::from_secs(3)).unwrap();
        });
        assert_eq!(present(holder, &both()), 2);
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(pings(client, v4(100)) && pings(client, v6(0x100)));
    let after = eventually("the kernel withdraws", || present(holder, &both()) == 0);
    println!(
        "  lifetime 3 s, not renewed: gone after {:.1} s",
        after.as_secs_f64()
    );
    assert!(!pings(client, v4(100)) && !pings(client, v6(0x100)));
}

pub(crate) fn purge_leaves_nothing_of_ours() {
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    hold(host, &both(), LONG);
    // From a former configuration; and a vip that somebody put by hand, elsewhere and with another prefix.
    hold(host, &[vip(v4(200))], LONG);
    host.ip("link add other0 type bridge");
    host.ip("addr add 192.0.2.100/24 dev other0");
    assert_eq!(present(host, &both()), 3);
    host.inside(|| Addresses::open().unwrap().purge(&both()).unwrap());
    assert_eq!(present(host, &both()), 0);
    assert_eq!(present(host, &[vip(v4(200))]), 0, "it bore our mark");
    assert_eq!(
        present(host, &[vip(v4(1)), vip(v6(1))]),
        2,
        "its own addresses stay"
    );
}

pub(crate) fn what_the_kernel_refuses_is_named() {
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let mut absent = vip(v4(100));
    absent.interface = "eth7".to_owned();
    let error = host.inside(|| {
        Addresses::open()
            .unwrap()
            .hold(&[absent], LONG)
            .unwrap_err()
    });
    assert!(
        error
            .to_string()
            .starts_with("interface eth7: No such device"),
        "{error}"
    );

    let mut long = vip(v4(100));
    long.prefix = 33;
    let vips = [vip(v4(99)), long];
    let error = host.inside(|| Addresses::open().unwrap().hold(&vips, LONG).unwrap_err());
    let AddressError::NotSo {
        count: 1,
        of: 2,
        which,
        ..
    } = &error
    else {
        panic!("{error}")
    };
    assert!(
        which.starts_with("192.0.2.100 on eth0 (Invalid argument)"),
        "{which}"
    );
    // What could be held is, and goes with the rest.
    assert_eq!(present(host, &vips), 1);
    host.inside(|| Addresses::open().unwrap().withdraw(&vips).unwrap());
    assert_eq!(present(host, &vips), 0);
}

pub(crate) fn a_drop_ends_an_announcement_first() {
    let lan = Lan::new(2);
    let [holder, client] = &lan.hosts[..] else {
        unreachable!()
    };
    let (tell, told) = mpsc::channel();
    let (orders, thread) = holder.inside(|| {
        let answer = move |answer| tell.send(answer).unwrap();
        vips::start(both(), LONG, || {}, answer, Priority::NORMAL).unwrap()
    });
    let give = |number, what| assert_eq!(orders.give(VipOrder { number, what }), None);
    let next = || -> VipAnswer { told.recv_timeout(Duration::from_secs(30)).unwrap() };
    let said = |number, what, presence| VipAnswer {
        number,
        what,
        outcome: Ok(presence),
    };

    give(1, VipVerb::Purge);
    assert_eq!(next(), said(1, VipVerb::Purge, Presence::Unread));
    give(2, VipVerb::Hold);
    assert_eq!(next(), said(2, VipVerb::Hold, Presence::Unread));
    give(3, VipVerb::Announce);
    give(4, VipVerb::Look);
    // Its repeats last seconds; meanwhile others are answered.
    assert_eq!(next(), said(4, VipVerb::Look, Presence::Present));
    assert!(pings(client, v4(100)));
    give(5, VipVerb::Drop);
    assert_eq!(next(), said(3, VipVerb::Announce, Presence::Unread));
    assert_eq!(next(), said(5, VipVerb::Drop, Presence::Unread));
    give(6, VipVerb::Look);
    assert_eq!(next(), said(6, VipVerb::Look, Presence::Absent));
    drop(orders);
    thread.join().unwrap();
}

pub(crate) fn a_foreign_claim_is_told_and_an_own_is_not() {
    let lan = Lan::new(2);
    let [one, other] = &lan.hosts[..] else {
        unreachable!()
    };
    let (tell, told) = mpsc::channel();
    let _listening = one.inside(|| {
        let report = move |claim| {
            let _gone = tell.send(claim);
        };
        claims::start(&both(), report).unwrap()
    });
    hold(one, &both(), LONG);
    let mut first: Option<ForeignClaim> = None;
    eventually("the claim is heard", || {
        announce(one, &both());
        announce(other, &both());
        first = told.try_iter().next();
        first.is_some()
    });
    let claim = first.unwrap();
    let expected = ("eth0", Ipv4Addr::new(192, 0, 2, 100), [2, 0, 0, 0, 0, 2]);
    assert_eq!(
        (claim.interface.as_str(), claim.address, claim.by),
        expected
    );
    std::thread::sleep(Duration::from_millis(300));
    let _before = told.try_iter().count();
    for _ in 0..5 {
        announce(one, &both());
    }
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(told.try_iter().count(), 0);
}
