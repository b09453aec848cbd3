//! A host of the network that asks for one address each millisecond, and knows who answers.
//!
//! Two kinds of question, both ICMP echo. *As a user*: sent to whatever hardware address its own neighbour table has for the
//! address, so that a takeover counts only once it was announced. *Behind the table's back*: sent to each owner's own hardware
//! address, so that two owners at once are seen even when the table hides one of them.
//!
//! An answer that comes late says only that its sender owned the address *some time* between question and answer. Where answers take longer
//! than a takeover (an emulated machine), two who answered one question need not have owned it at once: they did if no single move of the
//! address explains what both answered around it.
//!
//! What if the machine under the rig sleeps? Then no question is sent, and none is lost: an outage is counted between the last
//! answered and the next answered *question*, and only where one in between went unanswered.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fencepost::node::Instant;
use serde::Serialize;

use super::{SharedPort, Threads};
use crate::board::Clock;

mod frame;

pub use frame::Mac;
use frame::{Arp, ArpKind, Echo, Parsed};

/// Of a [`Neighbour`] that nobody slows down.
pub const PERIOD: Duration = Duration::from_millis(1);
/// No takeover is as quick as this: two who both answer a question within it own the address at once.
const PROMPT: Duration = Duration::from_millis(2);
/// Nobody takes over twice within this time.
const BETWEEN_MOVES: Duration = Duration::from_millis(500);
/// Between questions for the hardware address, while the table has none.
const RESOLVE_EVERY: u64 = 50;
/// Questions remembered of each kind: half an hour.
const QUESTIONS_MAX: usize = 1_800_000;
/// Locally administered, unicast.
const OWN_MAC: Mac = [0x02, 0xfe, 0x00, 0x00, 0x00, 0x0c];

/// Who asks for what.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Its own address, in the vip's subnet.
    pub address: Ipv4Addr,
    /// The address asked for.
    pub vip: Ipv4Addr,
    /// Hardware addresses of those who may own it.
    pub owners: Vec<Mac>,
    /// Between questions.
    pub every: Duration,
}

/// What was seen between two instants.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Seen {
    /// Questions asked as a user.
    pub asked: usize,
    /// Of them, answered.
    pub answered: usize,
    /// Longest time without an answer, milliseconds.
    pub outage_ms: f64,
    /// How many questions each owner answered.
    pub owners: Vec<usize>,
    /// Milliseconds in which more than one owned it.
    pub dual_ms: usize,
    /// Longest time without a question, milliseconds: an outage of this size may be the rig's own.
    pub rig_gap_ms: f64,
}

/// What a neighbour sees, for another thread to look at.
#[derive(Clone)]
pub struct Eye(Arc<Mutex<State>>);

impl Eye {
    /// See [`Neighbour::answers`].
    pub fn answers(&self, from: Instant, to: Instant) -> Vec<(Instant, Vec<bool>)> {
        answers(&lock(&self.0), from, to)
    }

    /// How many questions were asked as a user from `from` on and before `to`, and how many of them were answered.
    pub fn answered(&self, from: Instant, to: Instant) -> (usize, usize) {
        let state = lock(&self.0);
        let at = |instant| state.as_user.partition_point(|it| it.sent < instant);
        let asked = &state.as_user[at(from)..at(to)];
        let answered = asked.iter().filter(|it| it.answered.is_some()).count();
        (asked.len(), answered)
    }
}

/// A question's life.
#[derive(Debug, Clone, Copy)]
struct Question {
    sent: Instant,
    answered: Option<Instant>,
}

struct State {
    setup: Setup,
    table: Option<Mac>,
    as_user: Vec<Question>,
    /// Per owner; same numbers as `as_user`.
    behind: Vec<Vec<Question>>,
}

/// A running questioner; ends with it.
pub struct Neighbour {
    state: Arc<Mutex<State>>,
    _threads: Threads,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Neighbour {
    /// Plugs it in at `port`.
    pub fn start(clock: Clock, port: &SharedPort, setup: Setup) -> Self {
        let state = Arc::new(Mutex::new(State {
            behind: vec![Vec::new(); setup.owners.len()],
            setup,
            table: None,
            as_user: Vec::new(),
        }));
        let mut threads = Threads::default();
        let (theirs, out) = (Arc::clone(&state), SharedPort::clone(port));
        let every = lock(&state).setup.every;
        threads.run(move || {
            for frame in lock(&theirs).ask(clock.now()) {
                out.send(&frame);
            }
            std::thread::sleep(every);
            Ok(())
        });
        let (theirs, out) = (Arc::clone(&state), SharedPort::clone(port));
        threads.receive(SharedPort::clone(port), move |frame| {
            let answer = lock(&theirs).take(clock.now(), frame);
            if let Some(answer) = answer {
                out.send(&answer);
            }
        });
        Self {
            state,
            _threads: threads,
        }
    }

    /// What was seen of questions asked from `from` on and before `to`. Leave answers time to come: `to` should have passed.
    pub fn seen(&self, from: Instant, to: Instant) -> Seen {
        let state = lock(&self.state);
        let span = |questions: &[Question]| {
            let at = |instant| questions.partition_point(|question| question.sent < instant);
            at(from)..at(to)
        };
        let asked = span(&state.as_user);
        let answered = |questions: &[Question]| {
            questions
                .iter()
                .filter(|question| question.answered.is_some())
                .count()
        };
        let owners: Vec<&[Question]> = state
            .behind
            .iter()
            .map(|questions| &questions[span(questions)])
            .collect();
        let every = usize::try_from(state.setup.every.as_millis()).unwrap_or(1);
        let questions = &state.as_user[asked];
        Seen {
            asked: questions.len(),
            answered: answered(questions),
            outage_ms: longest_outage(questions, to).as_secs_f64() * 1000.0,
            dual_ms: owned_by_two(&owners) * every.max(1),
            owners: owners.iter().map(|owner| answered(owner)).collect(),
            rig_gap_ms: longest_gap(questions).as_secs_f64() * 1000.0,
        }
    }

    /// For each question asked behind the table's back from `from` on and before `to`: when, and which owners answered it.
    pub fn answers(&self, from: Instant, to: Instant) -> Vec<(Instant, Vec<bool>)> {
        answers(&lock(&self.state), from, to)
    }

    /// For another thread to look with.
    pub fn eye(&self) -> Eye {
        Eye(Arc::clone(&self.state))
    }

    /// Waits until questions are answered. `false`: none was within `timeout`.
    pub fn wait_answered(&self, since: Instant, timeout: Duration) -> bool {
        let until = std::time::Instant::now() + timeout;
        loop {
            let newest = lock(&self.state)
                .as_user
                .iter()
                .rev()
                .take_while(|question| question.sent >= since)
                .any(|question| question.answered.is_some());
            if newest || std::time::Instant::now() > until {
                return newest;
            }
            std::thread::sleep(PERIOD * 5);
        }
    }
}

fn answers(state: &State, from: Instant, to: Instant) -> Vec<(Instant, Vec<bool>)> {
    let Some(first) = state.behind.first() else {
        return Vec::new();
    };
    let begin = first.partition_point(|question| question.sent < from);
    let end = first.partition_point(|question| question.sent < to);
    let answered = |at: usize| {
        let owners = state.behind.iter();
        owners.map(move |it| {
            it.get(at)
                .is_some_and(|question| question.answered.is_some())
        })
    };
    (begin..end)
        .map(|at| (first[at].sent, answered(at).collect()))
        .collect()
}

/// How many questions were answered by two who owned the address at once.
fn owned_by_two(owners: &[&[Question]]) -> usize {
    let pairs = owners.iter().enumerate();
    let pairs = pairs.flat_map(|(first, a)| owners[first + 1..].iter().map(move |b| (*a, *b)));
    let both = |(a, b): (&[Question], &[Question])| {
        let at_once = |at: &usize| !one_after_the_other(a, b, *at);
        (0..a.len().min(b.len())).filter(at_once).count()
    };
    pairs.map(both).max().unwrap_or(0)
}

/// Whether question number `at` was not answered by both, or what both answered around it is explained by one move of the address.
fn one_after_the_other(a: &[Question], b: &[Question], at: usize) -> bool {
    let (Some(from_a), Some(from_b)) = (a[at].answered, b[at].answered) else {
        return true;
    };
    let sent = a[at].sent;
    if from_a.max(from_b).since(sent) <= PROMPT {
        return false;
    }
    let around = |questions: &[Question]| -> Vec<(Instant, Instant)> {
        let near = questions.iter().filter(|it| {
            it.sent.since(sent) <= BETWEEN_MOVES && sent.since(it.sent) <= BETWEEN_MOVES
        });
        near.filter_map(|it| Some((it.sent, it.answered?)))
            .collect()
    };
    let moved = |old: &[(Instant, Instant)], new: &[(Instant, Instant)]| {
        // The old owner had it at least until its last question was sent, the new one at most since its first answer came.
        let had = old.iter().map(|(sent, _)| *sent).max();
        let has = new.iter().map(|(_, came)| *came).min();
        had <= has
    };
    let (a, b) = (around(a), around(b));
    moved(&a, &b) || moved(&b, &a)
}

/// From the last answered question to the next, where one between them was not. One that is still unanswered at the end counts up to `to`.
fn longest_outage(questions: &[Question], to: Instant) -> Duration {
    let mut longest = Duration::ZERO;
    let mut last = questions.first().map(|question| question.sent);
    let mut lost = false;
    for question in questions {
        if question.answered.is_none() {
            lost = true;
            continue;
        }
        if let (true, Some(last)) = (lost, last) {
            longest = longest.max(question.sent.since(last));
        }
        last = Some(question.sent);
        lost = false;
    }
    match (lost, last) {
        (true, Some(last)) => longest.max(to.since(last)),
        _ => longest,
    }
}

fn longest_gap(questions: &[Question]) -> Duration {
    let pairs = questions.windows(2);
    let gaps = pairs.map(|pair| pair[1].sent.since(pair[0].sent));
    gaps.max().unwrap_or_default()
}

impl State {
    /// This millisecond's questions.
    fn ask(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let number = self.as_user.len();
        if number >= QUESTIONS_MAX {
            return Vec::new();
        }
        let question = Question {
            sent: now,
            answered: None,
        };
        self.as_user.push(question);
        let mut frames = Vec::with_capacity(1 + self.setup.owners.len());
        let echo = |to: Mac, kind: u16| Echo {
            from: (OWN_MAC, self.setup.address),
            to: (to, self.setup.vip),
            kind,
            number: number as u64,
        };
        match self.table {
            Some(mac) => frames.push(echo(mac, 0).frame()),
            None if (number as u64).is_multiple_of(RESOLVE_EVERY) => {
                frames.push(frame::resolve(OWN_MAC, self.setup.address, self.setup.vip));
            }
            None => {}
        }
        for (kind, (owner, questions)) in (1..).zip(self.setup.owners.iter().zip(&mut self.behind))
        {
            questions.push(question);
            frames.push(echo(*owner, kind).frame());
        }
        frames
    }

    /// A frame came; the answer to it, if it asks something.
    fn take(&mut self, now: Instant, frame: &[u8]) -> Option<Vec<u8>> {
        match frame::parse(frame)? {
            Parsed::EchoReply { kind, number } => {
                let number = usize::try_from(number).ok()?;
                let questions = match usize::from(kind).checked_sub(1) {
                    None => &mut self.as_user,
                    Some(owner) => self.behind.get_mut(owner)?,
                };
                questions.get_mut(number)?.answered.get_or_insert(now);
                None
            }
            Parsed::Arp(Arp { kind, from, to }) => {
                if from.1 == self.setup.vip {
                    self.table = Some(from.0);
                }
                let asks_us = kind == ArpKind::Request && to == self.setup.address;
                asks_us.then(|| frame::resolved((OWN_MAC, self.setup.address), from))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);
    const OWNERS: [Mac; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];

    fn state() -> State {
        State {
            setup: Setup {
                address: CLIENT,
                vip: VIP,
                owners: OWNERS.to_vec(),
                every: PERIOD,
            },
            table: None,
            as_user: Vec::new(),
            behind: vec![Vec::new(); 2],
        }
    }

    /// What a kernel at `mac` says to a frame, if it owns the vip.
    fn owner(mac: Mac, frame: &[u8]) -> Option<Vec<u8>> {
        frame::answer_as_owner(mac, VIP, frame)
    }

    #[test]
    fn a_user_asks_only_whom_the_table_names_and_an_announcement_moves_it() {
        let mut state = state();
        let asked = state.ask(Instant::ZERO);
        let answer = owner(OWNERS[0], &asked[0]).unwrap();
        assert_eq!(state.take(Instant::ZERO, &answer), None);
        assert_eq!(state.table, Some(OWNERS[0]));
        let asked = state.ask(Instant::from_millis(1));
        assert_eq!(asked[0][..6], OWNERS[0]);
        // Nobody asked: this is what an announcement looks like.
        let announced = frame::resolved((OWNERS[1], VIP), (OWN_MAC, CLIENT));
        state.take(Instant::from_millis(1), &announced);
        assert_eq!(state.ask(Instant::from_millis(2))[0][..6], OWNERS[1]);
    }

    #[test]
    fn two_owners_are_seen_though_the_table_knows_one() {
        let mut state = state();
        state.table = Some(OWNERS[0]);
        for at in 0..10 {
            for frame in state.ask(Instant::from_millis(at)) {
                let answers = [owner(OWNERS[0], &frame), owner(OWNERS[1], &frame)];
                // The second owner lives for four of the ten milliseconds.
                let [first, second] = answers;
                let now = Instant::from_millis(at);
                first.map(|frame| state.take(now, &frame));
                second
                    .filter(|_| at < 4)
                    .map(|frame| state.take(now, &frame));
            }
        }
        let neighbour = Neighbour {
            state: Arc::new(Mutex::new(state)),
            _threads: Threads::default(),
        };
        let seen = neighbour.seen(Instant::ZERO, Instant::from_millis(10));
        assert_eq!((seen.asked, seen.answered, seen.dual_ms), (10, 10, 4));
        assert_eq!(seen.owners, [10, 4]);
        assert!(seen.outage_ms.abs() < f64::EPSILON, "{seen:?}");
    }

    #[test]
    fn an_outage_runs_from_answer_to_answer_and_a_pause_of_our_own_is_none() {
        let at = |ms, answered: bool| Question {
            sent: Instant::from_millis(ms),
            answered: answered.then(|| Instant::from_millis(ms)),
        };
        let asked = [
            at(0, true),
            at(1, true),
            at(2, false),
            at(3, false),
            at(4, true),
        ];
        let until = Instant::from_millis(5);
        assert_eq!(longest_outage(&asked, until), Duration::from_millis(3));
        let slept = [at(0, true), at(900, true)];
        assert_eq!(longest_outage(&slept, until), Duration::ZERO);
        let never_again = [at(0, true), at(1, false)];
        let until = Instant::from_millis(50);
        assert_eq!(
            longest_outage(&never_again, until),
            Duration::from_millis(50)
        );
    }

    /// Questions each 10 ms that were answered `late` ms later, those of `numbers` only.
    fn answered(numbers: std::ops::Range<u64>, late: u64) -> Vec<Question> {
        let question = |number: u64| Question {
            sent: Instant::from_millis(number * 10),
            answered: numbers
                .contains(&number)
                .then(|| Instant::from_millis(number * 10 + late)),
        };
        (0..100).map(question).collect()
    }

    #[test]
    fn late_answers_of_two_are_no_crime_if_one_move_explains_them() {
        // The second took over at 505 ms; questions sent before waited in its queue.
        let (old, new) = (answered(0..50, 5), answered(45..100, 70));
        assert_eq!(owned_by_two(&[&old, &new]), 0);
        assert_eq!(owned_by_two(&[&new, &old]), 0);
    }

    #[test]
    fn late_answers_of_two_are_seen_if_nothing_explains_them() {
        let (first, second) = (answered(0..60, 5), answered(40..100, 30));
        assert_eq!(owned_by_two(&[&first, &second]), 20);
        let forever = [answered(0..100, 40), answered(0..100, 30)];
        assert_eq!(owned_by_two(&[&forever[0], &forever[1]]), 100);
    }

    #[test]
    fn one_question_that_both_answer_at_once_is_enough() {
        let (first, second) = (answered(0..51, 1), answered(50..100, 2));
        assert_eq!(owned_by_two(&[&first, &second]), 1);
    }

    #[test]
    fn it_answers_for_its_own_address() {
        let mut state = state();
        let asked = frame::resolve(OWNERS[0], VIP, CLIENT);
        let answer = state.take(Instant::ZERO, &asked).unwrap();
        assert_eq!(answer[..6], OWNERS[0]);
        assert!(matches!(
            frame::parse(&answer),
            Some(Parsed::Arp(Arp { kind: ArpKind::Reply, from, .. })) if from == (OWN_MAC, CLIENT)
        ));
    }
}
