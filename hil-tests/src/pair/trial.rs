//! One trial of the pair: a bed, two agents, and what is asked of them.

use std::path::Path;
use std::time::Duration;

use fencepost::board::RelayState;
use fencepost::control::Request;
use fencepost::node::Instant;
use fencepost::node::pair::PairStatus;
use fencepost::sim::chips::Power;
use fencepost::wire::Role;

use super::agent::{Agent, Part, Wishes};
use super::{Bed, Side, VIP, by_hand};
use crate::error::{Result, RigError};
use crate::outcome::Moment;
use crate::wire::neighbour::Seen;

/// For anything that is to happen. Far above what it should take: a busy machine must not fail a trial.
const LONG: Duration = Duration::from_secs(30);
/// Between looks.
const POLL: Duration = Duration::from_millis(5);
/// For answers to the last questions of a span.
const LAST_ANSWERS: Duration = Duration::from_millis(100);

/// A bed with two agents.
pub struct Trial {
    /// What is around them.
    pub bed: Bed,
    /// The agents, in the order of the bed's sides.
    pub agents: [Agent; 2],
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
    /// Makes the bed and both agents' places; starts nothing.
    pub fn prepare(program: &Path, wishes: &Wishes) -> Result<Self> {
        let bed = Bed::build()?;
        let key = fresh_key()?;
        let [a, b] = &bed.sides;
        let agents = [
            Agent::prepare(program, a, Part::Primary, &key, wishes)?,
            Agent::prepare(program, b, Part::Secondary, &key, wishes)?,
        ];
        Ok(Self::with(bed, agents, wishes.boot_hold()))
    }

    /// The same with keepalived in the agents' place: relays closed by hand, and nothing that moves them.
    pub fn keepalived(version: u8, advert: &str) -> Result<Self> {
        let bed = Bed::build()?;
        let [a, b] = &bed.sides;
        for side in [a, b] {
            by_hand::close(&bed, side)?;
        }
        let agents = [
            Agent::keepalived(a, Part::Primary, version, advert)?,
            Agent::keepalived(b, Part::Secondary, version, advert)?,
        ];
        Ok(Self::with(bed, agents, Duration::ZERO))
    }

    fn with(bed: Bed, agents: [Agent; 2], boot_hold: Duration) -> Self {
        let began = bed.now();
        Self {
            bed,
            agents,
            moments: Vec::new(),
            began,
            held_until: began,
            boot_hold,
        }
    }

    /// Starts one agent.
    pub fn start(&mut self, index: usize) -> Result<()> {
        self.note(&format!("agent {} started", name(index)));
        self.held_until = self.bed.now() + self.boot_hold;
        self.agents[index].start(&self.bed.sides[index])
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
        let parts = [self.agents[0].pair()?, self.agents[1].pair()?];
        let serving = parts.iter().position(|part| part.role == Role::Active)?;
        let backup = &parts[other(serving)];
        // Until the Active is bound by its lease, or cannot be, the pair has one way to take over less.
        let talks = |part: &PairStatus| part.links.iter().all(|link| link.heard_at.is_some());
        let ready = parts[serving].bound
            && parts.iter().all(talks)
            && backup.role == Role::Backup
            && backup.quiet
            && !backup.quarantined
            && self.bed.sides[other(serving)].relay() == RelayState::Normal;
        let now = self.bed.now();
        let answered = self
            .bed
            .neighbour
            .wait_answered(now, Duration::from_millis(200));
        (ready && answered).then_some(serving)
    }

    /// Waits until `index` serves, as the neighbour sees it.
    pub fn wait_serves(&mut self, index: usize) -> Result<PairStatus> {
        let mut found = None;
        self.wait(&format!("{} serves", name(index)), |trial| {
            found = trial.agents[index]
                .pair()
                .filter(|pair| pair.role == Role::Active);
            found.is_some()
        })?;
        let now = self.bed.now();
        if !self.bed.neighbour.wait_answered(now, LONG) {
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
        let until = std::time::Instant::now() + LONG;
        while !good(self) {
            if std::time::Instant::now() > until {
                return Err(self.late(what));
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    fn late(&self, what: &str) -> RigError {
        RigError::Gone {
            what: what.to_owned(),
            reason: format!("it did not come within {} s", LONG.as_secs()),
        }
    }

    /// How both see themselves, and the last of what they said.
    pub fn said(&self) -> String {
        let said = |index: usize| {
            let agent = &self.agents[index];
            let pair = agent.pair().map(|pair| format!("{pair:#?}"));
            let relay = self.bed.sides[index].relay();
            format!(
                "{}: relay {relay:?}\n{}\n{}\n",
                name(index),
                pair.unwrap_or_else(|| "no answer".to_owned()),
                agent.said(400)
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
        std::thread::sleep(LAST_ANSWERS);
        Span {
            seen: self.bed.neighbour.seen(from, to),
            length_ms: to.since(from).as_secs_f64() * 1000.0,
        }
    }

    /// Milliseconds with two owners since the trial began.
    pub fn dual_active_ms(&self) -> usize {
        self.since(self.began).seen.dual_ms
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
        let asked = self.agents[index].ask(request);
        asked
            .map(drop)
            .map_err(|error| RigError::Input(format!("{}: {error}", name(index))))
    }

    /// Whether heartbeats pass, over the cable and through the network.
    pub fn heartbeats(&self, pass: bool) {
        for from in 0..2 {
            self.bed.silence(from, !pass);
        }
    }

    /// Host and board of one side lose power, and its cables their light.
    pub fn power_off(&mut self, index: usize) -> Result<()> {
        // All of it at one instant: nobody may act on a part of it, and the peer must not hear a kernel refuse what its
        // agent no longer takes.
        if self.agents[index].runs() {
            self.agents[index].freeze()?;
        }
        let namespace = &self.side(index).namespace;
        namespace.shell("ip link set ha0 down; ip link set lan0 down; ip link set wan0 down")?;
        let now = self.bed.now();
        self.side(index).board().power(now, Power::Off);
        self.agents[index].kill();
        // A kernel that was never there has no addresses.
        let lan = ["address", "del", &format!("{VIP}/32"), "dev", "lan0"];
        let _may_be_gone = self.side(index).namespace.ip(&lan);
        Ok(())
    }

    /// Power again; its agent is not started.
    pub fn power_on(&mut self, index: usize) -> Result<()> {
        let now = self.bed.now();
        self.side(index).board().power(now, Power::On);
        let namespace = &self.side(index).namespace;
        namespace
            .shell("ip link set ha0 up; ip link set lan0 up; ip link set wan0 up")
            .map(drop)
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
