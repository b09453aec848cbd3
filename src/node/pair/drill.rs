//! The fence test: the Backup is cut through one means after the other, seen to be cut, and let back.
//!
//! Only the Active tests, and only a Backup that stands ready beside it: whatever goes wrong, the one that serves goes
//! on. While it lasts there is nobody to take over, which is why a person orders it. Power is taken only by name: no
//! agent gives it back. What if the Active dies meanwhile? Its hold is let go by its next agent; the Backup was fenced,
//! and waits for the Active or for a person, as after any fence.

use core::time::Duration;
use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Pair;
use super::ladder::{Ladder, Standing};
use super::policy::MeansKind;
use crate::node::event::Actor;
use crate::node::outbox::Outbox;
use crate::node::record::{Fact, Level};
use crate::node::time::Instant;
use crate::wire::{FenceOrder, Message, Role};

/// For the Backup to come back after each: copper takes 6 s to relink, and dwells follow.
const BACK_MAX: Duration = Duration::from_secs(60);
/// For the peer to say itself what its controller acknowledged, or to fall silent when its power is gone.
const SHOWS_MAX: Duration = Duration::from_secs(10);

/// A fence test, as far as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceTest {
    /// Rises with each of this start of the agent.
    pub number: u64,
    /// Nothing of it is under way any more.
    pub done: bool,
    /// In the order in which they were tried.
    pub means: Vec<TestedMeans>,
    /// Why it ended before all were tried.
    pub ended_early: Option<String>,
}

/// What a fence test found out about one means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestedMeans {
    /// Name.
    pub name: String,
    /// What it came to.
    pub verdict: TestVerdict,
    /// From the order to the proof, in milliseconds; `None`: not proven.
    pub confirmed_ms: Option<u64>,
    /// From there until the Backup stood ready again, in milliseconds; `None`: it does not.
    pub back_ms: Option<u64>,
    /// What is to be said besides: why not, or what is to be done.
    pub remark: Option<String>,
}

/// What trying one means came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TestVerdict {
    /// It is under way.
    Trying,
    /// It takes power, and was not named.
    NotTried,
    /// Confirmed, seen of the peer itself, and let back.
    Passed,
    /// The Backup is off, until somebody gives it power.
    PowerTaken,
    /// Not confirmed, or what was confirmed is not to be seen, or the Backup did not come back.
    Failed,
}

/// One under way, or the last one.
#[derive(Debug, Clone)]
pub(super) struct Drill {
    pub(super) report: FenceTest,
    left: VecDeque<usize>,
    step: Step,
}

#[derive(Debug, Clone)]
enum Step {
    /// The Backup is to stand ready, then it is the next one's turn.
    Ready { since: Instant },
    /// One means is tried.
    Cutting {
        means: usize,
        ladder: Ladder,
        since: Instant,
        order_at: Instant,
    },
    /// It is confirmed; the peer must say the same, or fall silent.
    Showing {
        means: usize,
        kind: MeansKind,
        since: Instant,
    },
}

impl Drill {
    /// The means that may hold the peer for it.
    pub(super) fn means(&self) -> Option<usize> {
        match &self.step {
            _ if self.report.done => None,
            Step::Ready { .. } => None,
            Step::Cutting { ladder, .. } => ladder.means(),
            Step::Showing { means, .. } => Some(*means),
        }
    }

    /// The means being tried.
    pub(super) fn ladder(&mut self) -> Option<&mut Ladder> {
        match &mut self.step {
            Step::Cutting { ladder, .. } if !self.report.done => Some(ladder),
            _ => None,
        }
    }

    pub(super) fn wants_looks(&self) -> bool {
        matches!(&self.step, Step::Cutting { ladder, .. } if ladder.wants_looks())
            && !self.report.done
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.step {
            _ if self.report.done => None,
            Step::Ready { since } => Some(*since + BACK_MAX),
            Step::Cutting {
                ladder, order_at, ..
            } => ladder.deadline().into_iter().chain([*order_at]).min(),
            Step::Showing { since, .. } => Some(*since + SHOWS_MAX),
        }
    }

    fn end(&mut self, why: Option<String>) {
        self.report.done = true;
        self.report.ended_early = why;
        for tested in &mut self.report.means {
            if tested.verdict == TestVerdict::Trying {
                tested.verdict = TestVerdict::Failed;
            }
        }
    }

    fn tried(&mut self, verdict: TestVerdict, remark: impl Into<String>) {
        if let Some(tested) = self.report.means.last_mut() {
            tested.verdict = verdict;
            tested.remark = Some(remark.into());
        }
    }
}

fn whole_ms(span: Duration) -> u64 {
    u64::try_from(span.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX)
}

impl Pair {
    /// A person wants the Backup cut through each means, or through the one that is named.
    pub(super) fn test_fences(
        &mut self,
        now: Instant,
        actor: &Actor,
        named: Option<&str>,
        reason: String,
        out: &mut Outbox,
    ) -> Result<String, String> {
        if let Some(why) = self.speaks_against_test(now) {
            return Err(why);
        }
        let (left, skipped) = self.means_to_test(named)?;
        let by = actor.name.clone();
        let mode = "fence test ordered".to_owned();
        out.record(now, Level::Warning, Fact::ModeChanged { mode, by, reason });
        self.drill = Some(Drill {
            report: FenceTest {
                number: self.word.number(),
                done: false,
                means: skipped,
                ended_early: None,
            },
            left,
            step: Step::Ready { since: now },
        });
        Ok("the fence test has begun".to_owned())
    }

    fn speaks_against_test(&self, now: Instant) -> Option<String> {
        let says = |why: &str| Some(why.to_owned());
        let Some(active) = &self.active else {
            return says(
                "this node does not serve: a fence test cuts the other node, and that must be the Backup; ask the Active",
            );
        };
        if self.drill.as_ref().is_some_and(|drill| !drill.report.done) {
            return says("a fence test is under way already");
        }
        if !self.backup_stands(now) || active.means().is_some() {
            return says(
                "there is no Backup that stands ready and is heard both ways: what is cut now could not be seen to come back",
            );
        }
        if self.leaving_since.is_some() || self.switchover.is_some() {
            return says("this node is handing over");
        }
        None
    }

    /// Which, and what is said of those that are not tried.
    fn means_to_test(
        &self,
        named: Option<&str>,
    ) -> Result<(VecDeque<usize>, Vec<TestedMeans>), String> {
        let all = &self.policy.means;
        if let Some(named) = named {
            let found = all.iter().position(|means| means.name == named);
            let index = found.ok_or_else(|| {
                let names: Vec<&str> = all.iter().map(|means| means.name.as_str()).collect();
                let names = names.join(", ");
                format!("there is no means `{named}`; there are: {names}")
            })?;
            return Ok((VecDeque::from([index]), Vec::new()));
        }
        let (mut left, mut skipped) = (VecDeque::new(), Vec::new());
        for (index, means) in all.iter().enumerate() {
            let remark = match means.kind {
                MeansKind::External => {
                    "it takes power, and only a person gives it back; name it to try it"
                }
                MeansKind::OwnRelay => {
                    "while this node serves they are closed, and read so all the time"
                }
                _ => {
                    left.push_back(index);
                    continue;
                }
            };
            skipped.push(TestedMeans {
                name: means.name.clone(),
                verdict: TestVerdict::NotTried,
                confirmed_ms: None,
                back_ms: None,
                remark: Some(remark.to_owned()),
            });
        }
        if left.is_empty() {
            return Err(
                "no means can be tried without taking the Backup's power; name one to do that"
                    .to_owned(),
            );
        }
        Ok((left, skipped))
    }

    /// The other node could take over now, and nothing of ours holds it.
    fn backup_stands(&self, now: Instant) -> bool {
        self.talking_for(now, self.policy.timing.join_after)
            && self.peer.role() == Some(Role::Backup)
            && self.peer_ready()
            && !self.means.holds()
    }

    pub(super) fn step_drill(&mut self, now: Instant, out: &mut Outbox) {
        let Some(mut drill) = self.drill.take() else {
            return;
        };
        if !drill.report.done {
            match self.spoils_test(&drill) {
                Some(why) => drill.end(Some(why)),
                None => self.go_on_testing(now, &mut drill, out),
            }
        }
        self.drill = Some(drill);
    }

    fn spoils_test(&self, drill: &Drill) -> Option<String> {
        let Some(active) = &self.active else {
            return Some("this node stopped serving".to_owned());
        };
        let power = matches!(
            drill.step,
            Step::Showing {
                kind: MeansKind::External,
                ..
            }
        );
        (active.means().is_some() && !power).then(|| "the Backup fell silent".to_owned())
    }

    fn go_on_testing(&mut self, now: Instant, drill: &mut Drill, out: &mut Outbox) {
        match &mut drill.step {
            Step::Ready { since } => {
                let since = *since;
                self.let_back(now, since, drill);
            }
            Step::Cutting {
                means,
                ladder,
                since,
                order_at,
            } => {
                let talking = self.peer.silent_for(&self.clock) < self.policy.timing.suspect_after;
                let standing = ladder.step(now, talking, &mut self.means, out);
                let epoch = self.used_epoch;
                if let Some(nonce) = ladder.awaits_peer(&self.means)
                    && now >= *order_at
                {
                    *order_at = now + self.policy.timing.heartbeat_every * 2;
                    let order = FenceOrder { nonce, epoch };
                    self.send(now, Message::FenceOrder(order), out);
                }
                let (means, since) = (*means, *since);
                match standing {
                    Standing::Trying => {}
                    Standing::Confirmed(fenced) => {
                        if let Some(tested) = drill.report.means.last_mut() {
                            tested.confirmed_ms = Some(whole_ms(now.since(since)));
                        }
                        let kind = fenced.kind();
                        drill.step = Step::Showing {
                            means,
                            kind,
                            since: now,
                        };
                    }
                    Standing::Exhausted => {
                        let tried = ladder.tried.join("; ");
                        drill.tried(TestVerdict::Failed, tried);
                        drill.step = Step::Ready { since: now };
                    }
                }
            }
            Step::Showing { means, kind, since } => {
                let (means, kind, since) = (*means, *kind, *since);
                self.look_for_effect(now, (means, kind), since, drill);
            }
        }
    }

    /// What the means said must be seen of the peer itself: else it cut something else.
    fn look_for_effect(
        &mut self,
        now: Instant,
        (means, kind): (usize, MeansKind),
        since: Instant,
        drill: &mut Drill,
    ) {
        let silent = self.peer.silent_for(&self.clock) >= self.policy.timing.suspect_after;
        let latched = self.peer.last().is_some_and(|peer| peer.flags.latched);
        let shown = match kind {
            MeansKind::FenceWire | MeansKind::PeerController => latched,
            MeansKind::PeerAgent | MeansKind::OwnRelay => true,
            MeansKind::External => silent,
        };
        let late = now.since(since) >= SHOWS_MAX;
        if kind == MeansKind::External && (shown || late) {
            if shown {
                drill.tried(TestVerdict::PowerTaken, "its power is off: switch it on");
            } else {
                self.means.lied(now, means);
                drill.tried(TestVerdict::Failed, "it says that the power is off, and the Backup is heard: it feeds something else");
            }
            return drill.end(None);
        }
        if shown || late {
            if late {
                drill.tried(TestVerdict::Failed, "acknowledged, and the Backup does not say that it is latched: whose cable is this?");
            }
            drill.step = Step::Ready { since: now };
        }
    }

    /// Once the Backup stands ready again it is the next one's turn.
    fn let_back(&mut self, now: Instant, since: Instant, drill: &mut Drill) {
        // What it said before it was cut does not count.
        let old = now.since(since) < self.policy.timing.join_after;
        if old || !self.backup_stands(now) {
            if now.since(since) >= BACK_MAX {
                drill.end(Some(format!(
                    "the Backup is not back after {} s",
                    BACK_MAX.as_secs()
                )));
            }
            return;
        }
        if let Some(tested) = drill.report.means.last_mut()
            && tested.confirmed_ms.is_some()
            && tested.back_ms.is_none()
        {
            tested.back_ms = Some(whole_ms(now.since(since)));
            if tested.verdict == TestVerdict::Trying {
                tested.verdict = TestVerdict::Passed;
            }
        }
        let Some(means) = drill.left.pop_front() else {
            return drill.end(None);
        };
        let name = self.means.policy(means).map(|policy| policy.name.clone());
        drill.report.means.push(TestedMeans {
            name: name.unwrap_or_default(),
            verdict: TestVerdict::Trying,
            confirmed_ms: None,
            back_ms: None,
            remark: None,
        });
        drill.step = Step::Cutting {
            means,
            ladder: Ladder::only(self.word.number(), means),
            since: now,
            order_at: now,
        };
    }
}
