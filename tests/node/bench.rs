//! The smallest world a node can live in: one relay, one check, one disk, instant answers.

use std::collections::BTreeMap;
use std::time::Duration;

use fencepost::board::CutState;
use fencepost::board::bus::BusError;
use fencepost::board::controller::{
    ArmProof, Armed, DeadManReading, Evidence, Fault, Identity, Latch, Moved, Reading, RelayState,
    SegmentReading, SegmentSettings, Ticket,
};
use fencepost::node::policy::{
    Arming, CarrierRole, CheckPolicy, CheckSeverity, Commissioning, DeadManPolicy, ReadBackPolicy,
    SegmentPolicy, WatchdogPolicy,
};
use fencepost::node::{
    Action, Actor, Command, Event, Fact, Instant, Node, PersistentState, Policy, Saved, Status,
    Verdict, WatchdogFacts,
};

pub(crate) fn ms(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

pub(crate) struct Bench {
    pub(crate) now: Instant,
    pub(crate) relay: RelayState,
    pub(crate) moves: u32,
    pub(crate) kicks: u32,
    pub(crate) stuck: bool,
    pub(crate) bus_dead: bool,
    /// Readings leave out the last segment.
    pub(crate) reads_short: bool,
    pub(crate) disk_full: bool,
    /// Actions like these wait until [`Bench::release`].
    pub(crate) hold: fn(&Action) -> bool,
    pub(crate) keep_checking: bool,
    pub(crate) took: Vec<Action>,
    pub(crate) facts: Vec<Fact>,
    answers: Vec<Result<String, String>>,
    held: Vec<Action>,
    node: Node,
    policy: Policy,
    verdict: Verdict,
    check_at: Instant,
    saved: PersistentState,
    armed: Option<(Duration, Instant)>,
    expired: bool,
    ended: bool,
}

impl Bench {
    pub(crate) fn started() -> Self {
        Self::with(policy(1_000, Commissioning::Done))
    }

    pub(crate) fn with_period(period_ms: u64) -> Self {
        Self::with(policy(period_ms, Commissioning::Done))
    }

    pub(crate) fn uncommissioned() -> Self {
        Self::with(policy(1_000, Commissioning::Missing))
    }

    /// The check is the carrier of a port.
    pub(crate) fn with_carrier(carrier: CarrierRole, relink_ms: u64) -> Self {
        let mut policy = policy(1_000, Commissioning::Done);
        policy.checks[0].carrier = carrier;
        policy.segments[0].relink = Duration::from_millis(relink_ms);
        Self::with(policy)
    }

    pub(crate) fn serving() -> Self {
        let mut bench = Self::started();
        bench.check(Verdict::Ok);
        bench.run_until(ms(5_000), |bench| bench.relay == RelayState::Normal);
        bench
    }

    pub(crate) fn with(policy: Policy) -> Self {
        let node = Node::new(policy.clone(), Instant::ZERO);
        let mut bench = Self {
            now: Instant::ZERO,
            relay: RelayState::Bypass,
            moves: 0,
            kicks: 0,
            stuck: false,
            bus_dead: false,
            reads_short: false,
            disk_full: false,
            hold: |_| false,
            held: Vec::new(),
            keep_checking: true,
            took: Vec::new(),
            facts: Vec::new(),
            answers: Vec::new(),
            node,
            policy,
            verdict: Verdict::Unknown,
            check_at: Instant::ZERO,
            saved: PersistentState::default(),
            armed: None,
            expired: false,
            ended: false,
        };
        bench.give(Event::Started {
            saved: Saved::Nothing,
            left: BTreeMap::new(),
        });
        bench
    }

    pub(crate) fn restart_agent(&mut self) {
        self.restart_agent_slowly(0);
    }

    /// The new agent takes its time between its first breath and its first event.
    pub(crate) fn restart_agent_slowly(&mut self, millis: u64) {
        self.node = Node::new(self.policy.clone(), self.now);
        self.sleep(millis);
        let saved = Saved::State(self.saved.clone());
        self.give(Event::Started {
            saved,
            left: BTreeMap::new(),
        });
    }

    pub(crate) fn check(&mut self, verdict: Verdict) {
        self.verdict = verdict;
        self.report();
    }

    /// The kernel says that the port went dark; looks find the same from now on.
    pub(crate) fn lose_carrier(&mut self) {
        self.verdict = Verdict::Critical;
        let output = String::from("dark");
        self.give(Event::CarrierLost { check: 0, output });
    }

    pub(crate) fn order(&mut self, command: Command) {
        let actor = Actor {
            uid: 0,
            pid: 1,
            name: "root".into(),
        };
        self.give(Event::OperatorRequested {
            request: 7,
            actor,
            command,
        });
    }

    /// What was held is carried out now, oldest first.
    pub(crate) fn release(&mut self) {
        for action in std::mem::take(&mut self.held) {
            if let Some(event) = self.act(action) {
                self.give(event);
            }
        }
    }

    pub(crate) fn saved(&self) -> &PersistentState {
        &self.saved
    }

    pub(crate) fn answer(&self) -> Result<String, String> {
        self.answers
            .last()
            .cloned()
            .unwrap_or_else(|| Err("no answer".into()))
    }

    pub(crate) fn status(&self) -> Status {
        self.node.status(self.now)
    }

    pub(crate) fn recorded(&self, matches: impl Fn(&Fact) -> bool) -> bool {
        self.facts.iter().any(matches)
    }

    /// The host sleeps; the board does not.
    pub(crate) fn sleep(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
        self.tick_board();
    }

    /// A kick that came too late: the dead-man runs anew, what it cut is back, and no mark is left of it.
    pub(crate) fn wake_dead_man(&mut self) {
        let period = self.policy.dead_man.period;
        self.armed = Some((period, self.now + period));
        self.expired = false;
        self.relay = RelayState::Normal;
        self.held.clear();
        self.hold = |_| false;
        self.give(Event::Kicked { outcome: Ok(()) });
    }

    pub(crate) fn run_for(&mut self, millis: u64) {
        self.run(self.now + Duration::from_millis(millis));
    }

    pub(crate) fn run(&mut self, until: Instant) {
        self.run_until(until, |_| false);
    }

    pub(crate) fn run_until(&mut self, until: Instant, done: impl Fn(&Self) -> bool) {
        let mut turns = 0;
        while !done(self) && !self.ended {
            let due = self.node.poll_timeout().map_or(until, |(due, _)| due);
            let check = if self.keep_checking {
                self.check_at
            } else {
                until
            };
            let next = due.min(check).max(self.now);
            if next >= until {
                self.now = until;
                return;
            }
            turns = if next > self.now { 0 } else { turns + 1 };
            assert!(
                turns < 20,
                "the node spins on {:?}",
                self.node.poll_timeout()
            );
            self.now = next;
            self.tick_board();
            if self.keep_checking && next >= self.check_at {
                self.report();
            } else {
                self.node.handle_timeout(next);
                self.drain();
            }
        }
    }

    pub(crate) fn give(&mut self, event: Event) {
        self.node.handle(self.now, event);
        self.drain();
    }

    /// An action's name, for order; what repeats with time is left out.
    pub(crate) fn milestone(action: &Action) -> Option<&'static str> {
        Some(match action {
            Action::Open => "open",
            Action::Configure { .. } => "configure",
            Action::Arm { .. } => "arm",
            Action::TakeTicket { .. } => "ticket",
            Action::Close { .. } => "close",
            Action::Cut { .. } => "cut",
            Action::Persist { .. } => "persist",
            Action::RememberLeft { .. } => "remember",
            Action::Disarm => "disarm",
            Action::ReleaseWatchdog => "release watchdog",
            Action::Exit => "exit",
            _ => return None,
        })
    }

    fn report(&mut self) {
        self.check_at = self.now + Duration::from_millis(200);
        let output = String::from("said");
        self.give(Event::CheckReported {
            check: 0,
            verdict: self.verdict,
            output,
        });
    }

    fn drain(&mut self) {
        while let Some(action) = self.node.poll_action() {
            self.took.push(action.clone());
            if (self.hold)(&action) {
                self.held.push(action);
                continue;
            }
            if let Some(event) = self.act(action) {
                self.node.handle(self.now, event);
            }
        }
    }

    fn tick_board(&mut self) {
        if self.armed.is_some_and(|(_, at)| self.now >= at) {
            self.armed = None;
            self.expired = true;
            if !self.stuck {
                self.relay = RelayState::Bypass;
            }
        }
    }

    fn read(&self) -> SegmentReading {
        if self.policy.segments[0].read_back == ReadBackPolicy::Impossible {
            return SegmentReading {
                state: RelayState::Unknown,
                evidence: Evidence::Nothing,
            };
        }
        SegmentReading {
            state: self.relay,
            evidence: Evidence::Contacts,
        }
    }

    fn move_to(&mut self, wanted: RelayState) -> Result<Moved, Fault> {
        self.bus()?;
        let before = self.relay;
        if !self.stuck && before != wanted {
            self.relay = wanted;
            self.moves += 1;
        }
        if self.relay != wanted {
            return Err(Fault::NotMoved {
                segment: 0,
                wanted,
                read: self.relay,
            });
        }
        Ok(Moved {
            before,
            after: self.read(),
            commanded: before != wanted,
        })
    }

    fn bus(&self) -> Result<(), Fault> {
        if !self.bus_dead {
            return Ok(());
        }
        Err(Fault::Bus(BusError::Nack {
            adapter: "bench".into(),
            address: 0x42,
            transaction: "any".into(),
        }))
    }

    /// A controller that cannot be read is not spoken to for a look.
    fn look(&self) -> Result<(), Fault> {
        match self.policy.segments[0].read_back {
            ReadBackPolicy::Required => self.bus(),
            ReadBackPolicy::Impossible => Ok(()),
        }
    }

    fn act(&mut self, action: Action) -> Option<Event> {
        Some(match action {
            Action::Open => Event::ControllerOpened {
                outcome: self.look().map(|()| Identity::default()),
            },
            Action::Read => Event::ControllerRead {
                outcome: self.look().map(|()| self.reading()),
            },
            Action::Configure { .. } => Event::Configured {
                outcome: self.look(),
            },
            Action::Arm { period } => {
                let outcome = self.bus().map(|()| {
                    self.armed = Some((period, self.now + period));
                    self.expired = false;
                    Armed {
                        effective: period,
                        proof: ArmProof::ReadBack,
                    }
                });
                Event::DeadManArmed { outcome }
            }
            Action::Kick { alive_until } => {
                let outcome = self.bus();
                if let (Ok(()), Some((_, at))) = (&outcome, &mut self.armed) {
                    self.kicks += 1;
                    *at = alive_until;
                }
                Event::Kicked { outcome }
            }
            Action::Disarm => {
                self.armed = None;
                Event::DeadManDisarmed {
                    outcome: self.bus(),
                }
            }
            Action::TakeTicket { segment } => Event::TicketTaken {
                segment,
                outcome: self.bus().map(|()| Ticket(1)),
            },
            Action::Close { segment, .. } => Event::SegmentClosed {
                segment,
                outcome: self.move_to(RelayState::Normal),
            },
            Action::Cut { segment, state } => Event::SegmentCut {
                segment,
                state,
                outcome: self.move_to(state.into()),
            },
            Action::OpenWatchdog => {
                let facts = WatchdogFacts {
                    identity: "bench".into(),
                    timeout: Duration::from_secs(30),
                    pretimeout: None,
                    reset_by_watchdog: None,
                };
                Event::WatchdogOpened { outcome: Ok(facts) }
            }
            Action::Keepalive => Event::KeepaliveSent { outcome: Ok(()) },
            Action::Persist { sequence, state } => {
                let outcome = if self.disk_full {
                    Err("no space left".into())
                } else {
                    Ok(())
                };
                if outcome.is_ok() {
                    self.saved = state;
                }
                Event::Persisted { sequence, outcome }
            }
            Action::Record(record) => {
                self.facts.push(record.fact);
                return None;
            }
            Action::Reply { answer, .. } => {
                self.answers.push(answer);
                return None;
            }
            Action::Exit => {
                self.ended = true;
                return None;
            }
            Action::ReleaseWatchdog
            | Action::RememberLeft { .. }
            | Action::Tell(_)
            | Action::Pair(_) => return None,
        })
    }

    fn reading(&self) -> Reading {
        let dead_man = match self.armed {
            _ if self.expired => DeadManReading::Expired,
            Some((period, at)) => DeadManReading::Running {
                period,
                remaining: Some(at.since(self.now)),
            },
            None => DeadManReading::Disarmed,
        };
        let told = self.policy.segments.len() - usize::from(self.reads_short);
        Reading {
            segments: vec![self.read(); told],
            dead_man,
            latch: Latch::Absent,
            generation: 1,
        }
    }
}

pub(crate) fn policy(period_ms: u64, commissioning: Commissioning) -> Policy {
    let segment = SegmentPolicy {
        name: "wan".into(),
        fail: CutState::Bypass,
        settings: SegmentSettings::default(),
        dwell: Duration::from_secs(1),
        relink: Duration::ZERO,
        closes_per_hour_max: 6,
        read_back: ReadBackPolicy::Required,
    };
    let check = CheckPolicy {
        name: "web".into(),
        severity: CheckSeverity::Failover,
        segments: vec![0],
        rise: 1,
        fall: 1,
        carrier: CarrierRole::None,
        stale_after: Duration::from_secs(2),
    };
    Policy {
        pair: None,
        segments: vec![segment],
        checks: vec![check],
        dead_man: DeadManPolicy {
            arming: Arming::Required,
            period: Duration::from_millis(period_ms),
            kick_every: Duration::from_millis(period_ms / 4),
        },
        watchdog: Some(WatchdogPolicy {
            keepalive_every: Duration::from_secs(5),
            job_overdue_after: Duration::from_secs(30),
        }),
        read_every: Duration::from_millis(250),
        commissioning,
    }
}
