//! The pair's beds: two owners are seen, the fence cable fences, and a fenced host is not heard.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use fencepost::board::RelayState;
use fencepost_hil::pair::by_hand::{close, fence};
use fencepost_hil::pair::host::Host as _;
use fencepost_hil::pair::{Bed, Cabling, VIP, machine, native};
use fencepost_hil::wire::neighbour::Seen;

/// For anything that is to happen.
const LONG: Duration = Duration::from_secs(20);
/// For two machines to boot.
const BOOT: Duration = Duration::from_secs(240);
/// Watched for so long at a time.
const WATCH: Duration = Duration::from_millis(500);
/// Likewise.
const WATCH_MACHINES: Duration = Duration::from_secs(5);
/// What may still be under way after this is lost.
const LATE: Duration = Duration::from_millis(200);
/// No agent runs.
const UNUSED_KEY: &str = "00";
const POLL: Duration = Duration::from_millis(2);

/// In namespaces.
pub(super) fn run() -> Result<()> {
    let (bed, places) = native::build(Cabling::Hot)?;
    owners(&bed, WATCH, &|index| {
        places[index]
            .namespace
            .address("lan0", &format!("{VIP}/24"))?;
        Ok(())
    })
}

/// With machines, which answer late.
pub(super) fn run_machines(program: &Path) -> Result<()> {
    let (bed, mut machines) = machine::build(program, UNUSED_KEY, &machine::wishes())?;
    for machine in &mut machines {
        machine.power_on()?;
    }
    for machine in &machines {
        machine.wait_up(BOOT)?;
        machine.shell("systemctl stop fencepost")?;
    }
    owners(&bed, WATCH_MACHINES, &|index| {
        machines[index].shell(&format!("ip address add {VIP}/24 dev eth0"))?;
        Ok(())
    })
}

/// `own` gives one side the vip.
fn owners(bed: &Bed, span: Duration, own: &dyn Fn(usize) -> Result<()>) -> Result<()> {
    for side in &bed.sides {
        close(bed, side)?;
        ensure!(
            wait(|| side.relay() == RelayState::Normal),
            "a close did not move the relay"
        );
    }
    let [a, b] = &bed.sides;
    own(0)?;
    ensure!(
        bed.neighbour.wait_answered(bed.now(), LONG),
        "nobody answered for the vip"
    );
    let seen = watch(bed, span);
    ensure!(
        seen.owners[0] > 0 && seen.owners[1] == 0 && seen.dual_ms == 0,
        "one owner was expected: {seen:?}"
    );
    println!("hil: ok  the neighbour sees one owner: {}", told(&seen));

    own(1)?;
    let seen = watch(bed, span);
    ensure!(seen.dual_ms > 0, "two owners were not seen: {seen:?}");
    println!("hil: ok  the neighbour sees two owners: {}", told(&seen));

    fence(bed, a)?;
    ensure!(
        wait(|| b.relay() == RelayState::Disconnect),
        "the fence cable did not open the other's relay"
    );
    // What was under way when the relay moved has come or is lost.
    std::thread::sleep(LATE);
    let seen = watch(bed, span);
    ensure!(
        seen.owners[1] == 0 && seen.dual_ms == 0 && seen.owners[0] > 0,
        "a fenced host was heard, or the other was not: {seen:?}"
    );
    // As a user, the neighbour may still ask the fenced one: nobody has announced anything. That is an outage, and is seen as one.
    println!("hil: ok  a fenced owner is off the wire: {}", told(&seen));
    Ok(())
}

fn watch(bed: &Bed, span: Duration) -> Seen {
    let from = bed.now();
    std::thread::sleep(span);
    let to = bed.now();
    // Answers to the last questions.
    std::thread::sleep(LATE);
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
