//! One trial of the pair: a bed, two hosts with their agents, and what is asked of them.

use std::path::Path;
use std::time::Duration;

use fencepost::control::Request;
use fencepost::node::Instant;
use fencepost::node::pair::{PairCommand, PairStatus};
use fencepost::sim::chips::Power;
use fencepost::wire::Role;

use super::agent::Agent;
use super::host::{Host, Kind, Pace};
use super::site::{Part, Wishes};
use super::{Bed, Cabling, Side, by_hand, machine, native};
use crate::error::{Result, RigError};
use crate::outcome::Moment;
use crate::wire::neighbour::Seen;

/// A bed with two hosts. They end first: their files are in the bed's folder.
pub struct Trial {
    /// The hosts, in the order of the bed's sides.
    pub hosts: [Box<dyn Host>; 2],
    /// What is around them.
    pub bed: Bed,
    /// How long things take here.
    pub pace: Pace,
    /// How the two are cabled.
    pub cabling: Cabling,
    /// What was done and seen.
    pub moments: Vec<Moment>,
    began: Instant,
    /// No node fences before this.
    held_until: Instant,
    boot_hold: Duration,
}

/// What came of a span of a trial.
#[derive(Debug, Clone)]
pub struct Span {
    /// What the neighbour saw.
    pub seen: Seen,
    /// Of the span, milliseconds.
    pub length_ms: f64,
}

/// The other one of two.
pub fn other(index: usize) -> usize {
    1 - index
}

impl Trial {
    /// Makes the bed and both hosts; starts nothing. `program`: the agent's.
    pub fn prepare(kind: Kind, program: &Path, wishes: &Wishes) -> Result<Self> {
        let key = fresh_key()?;
        let (bed, hosts): (Bed, [Box<dyn Host>; 2]) = match kind {
            Kind::Namespaces => {
                let (bed, [a, b]) = native::build(wishes.cabling)?;
                if !wishes.cabling.has_relays() {
                    for side in &bed.sides {
                        by_hand::close(&bed, side)?;
                    }
                }
                let a = Agent::prepare(program, a, Part::Primary, &key, wishes)?;
                let b = Agent::prepare(program, b, Part::Secondary, &key, wishes)?;
                (bed, [Box::new(a), Box::new(b)])
            }
            Kind::Qemu => {
                let (bed, [a, b]) = machine::build(program, &key, wishes)?;
                (bed, [Box::new(a), Box::new(b)])
            }
        };
        let mut trial = Self::with(bed, hosts, kind.pace(), wishes.boot_hold());
        trial.cabling = wishes.cabling;
        Ok(trial)
    }

    /// The same in namespaces with keepalived in the agents' place: relays closed by hand, and nothing that moves them.
    pub fn keepalived(version: u8, advert: &str) -> Result<Self> {
        let (bed, [a, b]) = native::build(Cabling::Hot)?;
        for side in &bed.sides {
            by_hand::close(&bed, side)?;
        }
        let a = Agent::keepalived(a, Part::Primary, version, advert)?;
        let b = Agent::keepalived(b, Part::Secondary, version, advert)?;
        let pace = Kind::Namespaces.pace();
        Ok(Self::with(
            bed,
            [Box::new(a), Box::new(b)],
            pace,
            Duration::ZERO,
        ))
    }

    fn with(bed: Bed, hosts: [Box<dyn Host>; 2], pace: Pace, boot_hold: Duration) -> Self {
        let began = bed.now();
        Self {
            bed,
            hosts,
            pace,
            cabling: Cabling::Hot,
            moments: Vec::new(),
            began,
            held_until: began,
            boot_hold,
        }
    }

    /// Starts one agent.
    pub fn start(&mut self, index: usize) -> Result<()> {
        self.note(&format!("agent {} started", name(index)));
        self.hold();
        self.hosts[index].start()
    }

    /// An agent ends at once, and its supervisor starts it again.
    pub fn crash(&mut self, index: usize) -> Result<()> {
        self.note(&format!(
            "{}: its agent is killed and started again",
            name(index)
        ));
        self.hold();
        self.hosts[index].crash()
    }

    /// An agent starts about now: it will not fence for a while.
    fn hold(&mut self) {
        self.held_until = self.bed.now() + self.pace.start + self.boot_hold;
    }

    /// Starts both and waits until one serves and the other would take over; which one serves.
    pub fn stand(&mut self) -> Result<usize> {
        self.start(0)?;
        self.start(1)?;
        self.wait_stands()
    }

    /// Like [`Trial::stand`], and both have run for long enough to fence.
    pub fn stand_ready(&mut self) -> Result<usize> {
        let serving = self.stand()?;
        self.pass(self.held_until.since(self.bed.now()));
        Ok(serving)
    }

    /// Starts both and waits until exactly one has answered for so long, whatever runs there; which one.
    pub fn stand_by_answers(&mut self, span: Duration) -> Result<usize> {
        self.start(0)?;
        self.start(1)?;
        let mut serving = None;
        self.wait("one owner that answers without a break", |trial| {
            let from = trial.bed.now();
            trial.pass(span);
            let seen = trial.since(from).seen;
            let owners: Vec<usize> = (0..2).filter(|index| seen.owners[*index] > 0).collect();
            serving = match owners.as_slice() {
                [one] if seen.answered > 0 => Some(*one),
                _ => None,
            };
            serving.is_some()
        })?;
        serving.ok_or_else(|| RigError::Input("nobody serves".to_owned()))
    }

    /// Waits until one serves and the other is ready to; which one serves.
    pub fn wait_stands(&mut self) -> Result<usize> {
        let mut serving = None;
        self.wait(
            "one Active with traffic and a Backup that is ready",
            |trial| {
                serving = trial.stands();
                serving.is_some()
            },
        )?;
        let index = serving.ok_or_else(|| RigError::Input("nobody serves".to_owned()))?;
        self.note(&format!(
            "{} is Active, {} is ready",
            name(index),
            name(other(index))
        ));
        Ok(index)
    }

    fn stands(&self) -> Option<usize> {
        let parts = [self.hosts[0].pair()?, self.hosts[1].pair()?];
        let serving = parts.iter().position(|part| part.role == Role::Active)?;
        let backup = &parts[other(serving)];
        // Until the Active is bound by its lease, or cannot be, the pair has one way to take over less.
        let talks = |part: &PairStatus| part.links.iter().all(|link| link.heard_at.is_some());
        let bound = parts[serving].bound || !self.cabling.has_relays();
        let ready = bound
            && parts.iter().all(talks)
            && backup.role == Role::Backup
            && backup.quiet
            && !backup.quarantined
            && self.bed.sides[other(serving)].relay() == self.cabling.standby_relay();
        let now = self.bed.now();
        let answered = self.bed.neighbour.wait_answered(now, self.pace.answer);
        (ready && answered).then_some(serving)
    }

    /// Waits until `index` serves, as the neighbour sees it.
    pub fn wait_serves(&mut self, index: usize) -> Result<PairStatus> {
        let mut found = None;
        self.wait(&format!("{} serves", name(index)), |trial| {
            found = trial.hosts[index]
                .pair()
                .filter(|pair| pair.role == Role::Active);
            found.is_some()
        })?;
        let now = self.bed.now();
        if !self.bed.neighbour.wait_answered(now, self.pace.long) {
            return Err(self.late(&format!("an answer from {} for the vip", name(index))));
        }
        let status = found.ok_or_else(|| RigError::Input("nobody serves".to_owned()))?;
        self.note(&format!(
            "{} serves, epoch {}: {}",
            name(index),
            status.epoch,
            status.proof.as_deref().unwrap_or("no proof")
        ));
        Ok(status)
    }

    /// Waits for something.
    pub fn wait(&mut self, what: &str, mut good: impl FnMut(&Self) -> bool) -> Result<()> {
        let until = std::time::Instant::now() + self.pace.long;
        while !good(self) {
            if std::time::Instant::now() > until {
                return Err(self.late(what));
            }
            std::thread::sleep(self.pace.poll);
        }
        Ok(())
    }

    fn late(&self, what: &str) -> RigError {
        let limit = self.pace.long.as_secs();
        RigError::Broken(format!("{what}: it did not come within {limit} s"))
    }

    /// How both see themselves, and the last of what they said.
    pub fn said(&self) -> String {
        let said = |index: usize| {
            let host = &self.hosts[index];
            let pair = host.pair().map(|pair| format!("{pair:#?}"));
            let relay = self.bed.sides[index].relay();
            format!(
                "{}: relay {relay:?}\n{}\n{}\n",
                name(index),
                pair.unwrap_or_else(|| "no answer".to_owned()),
                host.said()
            )
        };
        said(0) + &said(1)
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        std::thread::sleep(time);
    }

    /// Now, and what the neighbour saw since `from`.
    pub fn since(&self, from: Instant) -> Span {
        let to = self.bed.now();
        std::thread::sleep(self.pace.last_answers);
        Span {
            seen: self.bed.neighbour.seen(from, to),
            length_ms: to.since(from).as_secs_f64() * 1000.0,
        }
    }

    /// What the neighbour saw since the trial began.
    pub fn seen(&self) -> Seen {
        self.since(self.began).seen
    }

    /// Remembers what happened.
    pub fn note(&mut self, text: &str) {
        let t_ms = self.bed.now().since(self.began).as_secs_f64() * 1000.0;
        tracing::info!("{t_ms:.0} ms: {text}");
        self.moments.push(Moment {
            t_ms,
            text: text.to_owned(),
        });
    }

    /// Gives an order; it must be obeyed.
    pub fn order(&mut self, index: usize, request: Request) -> Result<()> {
        let asked = self.hosts[index].ask(request);
        asked
            .map(drop)
            .map_err(|error| RigError::Broken(format!("{}: {error}", name(index))))
    }

    /// Orders a switchover of the Active `index` until it is obeyed: a peer that has just come may not be ready yet.
    pub fn switch_over(&mut self, index: usize, reason: &str) -> Result<()> {
        let command = PairCommand::Switchover {
            reason: reason.to_owned(),
        };
        let request = Request::Pair { command };
        self.note(&format!("switchover, asked of {}", name(index)));
        self.wait("a switchover that is obeyed", |trial| {
            trial.hosts[index].ask(request.clone()).is_ok()
        })
    }

    /// Whether heartbeats pass, over the cable and through the network.
    pub fn heartbeats(&self, pass: bool) {
        for from in 0..2 {
            self.bed.silence(from, !pass);
        }
    }

    /// Host and board of one side lose power, and its cables their light.
    pub fn power_off(&mut self, index: usize) -> Result<()> {
        self.hosts[index].power_off()?;
        let now = self.bed.now();
        self.side(index).board().power(now, Power::Off);
        Ok(())
    }

    /// Power again; where no supervisor does, nobody starts the agent.
    pub fn power_on(&mut self, index: usize) -> Result<()> {
        let now = self.bed.now();
        self.side(index).board().power(now, Power::On);
        if !self.cabling.has_relays() {
            by_hand::close(&self.bed, self.side(index))?;
        }
        self.hosts[index].power_on()
    }

    /// What was done from `from` on, told from there.
    pub fn moments_since(&self, from: Instant) -> Vec<Moment> {
        let skipped = from.since(self.began).as_secs_f64() * 1000.0;
        let later = self.moments.iter().filter(|moment| moment.t_ms >= skipped);
        later
            .map(|moment| Moment {
                t_ms: moment.t_ms - skipped,
                text: moment.text.clone(),
            })
            .collect()
    }

    /// Whether any relay has moved since `from`.
    pub fn moved_since(&self, from: Instant) -> bool {
        let mut moves = self
            .bed
            .sides
            .iter()
            .flat_map(|side| side.segment().moves());
        moves.any(|it| it.at >= from)
    }

    /// One side.
    pub fn side(&self, index: usize) -> &Side {
        &self.bed.sides[index]
    }
}

/// As people call it.
pub fn name(index: usize) -> &'static str {
    ["primary", "secondary"][index]
}

fn fresh_key() -> Result<String> {
    use std::fmt::Write as _;
    use std::io::Read as _;
    let mut bytes = [0; 32];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    crate::error::AtPath::at(read, "cannot read", "/dev/urandom")?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
