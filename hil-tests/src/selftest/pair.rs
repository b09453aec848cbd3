//! The pair's bed: two owners are seen, the fence cable fences, and a fenced host is not heard.

use std::time::Duration;

use anyhow::{Result, ensure};
use fencepost::board::RelayState;
use fencepost_hil::pair::by_hand::{close, fence};
use fencepost_hil::pair::{Bed, Cabling, VIP, native};
use fencepost_hil::wire::neighbour::Seen;

/// For anything that is to happen.
const LONG: Duration = Duration::from_secs(20);
/// Watched for so long at a time.
const WATCH: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(2);

pub(super) fn run() -> Result<()> {
    let (bed, [host_a, host_b]) = native::build(Cabling::Hot)?;
    for side in &bed.sides {
        close(&bed, side)?;
        ensure!(
            wait(|| side.relay() == RelayState::Normal),
            "a close did not move the relay"
        );
    }
    let [a, b] = &bed.sides;
    let vip = format!("{VIP}/24");
    host_a.namespace.address("lan0", &vip)?;
    ensure!(
        bed.neighbour.wait_answered(bed.now(), LONG),
        "nobody answered for the vip"
    );
    let seen = watch(&bed);
    ensure!(
        seen.owners[0] > 0 && seen.owners[1] == 0 && seen.dual_ms == 0,
        "one owner was expected: {seen:?}"
    );
    println!("hil: ok  the neighbour sees one owner: {}", told(&seen));

    host_b.namespace.address("lan0", &vip)?;
    let seen = watch(&bed);
    ensure!(seen.dual_ms > 0, "two owners were not seen: {seen:?}");
    println!("hil: ok  the neighbour sees two owners: {}", told(&seen));

    fence(&bed, a)?;
    ensure!(
        wait(|| b.relay() == RelayState::Disconnect),
        "the fence cable did not open the other's relay"
    );
    // What was under way when the relay moved has come or is lost.
    std::thread::sleep(Duration::from_millis(50));
    let seen = watch(&bed);
    ensure!(
        seen.owners[1] == 0 && seen.dual_ms == 0 && seen.owners[0] > 0,
        "a fenced host was heard, or the other was not: {seen:?}"
    );
    // As a user, the neighbour may still ask the fenced one: nobody has announced anything. That is an outage, and is seen as one.
    println!("hil: ok  a fenced owner is off the wire: {}", told(&seen));
    Ok(())
}

fn watch(bed: &Bed) -> Seen {
    let from = bed.now();
    std::thread::sleep(WATCH);
    let to = bed.now();
    // Answers to the last questions.
    std::thread::sleep(Duration::from_millis(50));
    bed.neighbour.seen(from, to)
}

fn told(seen: &Seen) -> String {
    format!(
        "{} of {} questions answered, owners {:?}, dual-active {} ms",
        seen.answered, seen.asked, seen.owners, seen.dual_ms
    )
}

fn wait(good: impl Fn() -> bool) -> bool {
    let until = std::time::Instant::now() + LONG;
    while !good() {
        if std::time::Instant::now() > until {
            return false;
        }
        std::thread::sleep(POLL);
    }
    true
}
