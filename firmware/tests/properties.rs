//! Random orders, lines, contacts and times against one controller, judged by an independent account of the rules.
#![allow(
    clippy::expect_used,
    reason = "a test that cannot be set up has failed"
)]

use fencepost_firmware::{
    Command, Contact, Controller, CutState, Entropy, Inputs, Line, Proof, RelayState, Reply,
    SegmentMask, Strapping, Tick, TimerState,
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Pass(u16),
    Lines {
        fence: bool,
        ack: bool,
    },
    Contact {
        segment: usize,
        contact: Contact,
    },
    Follow,
    Arm {
        window_ms: u32,
        ahead: i16,
        stale: bool,
    },
    Kick {
        ahead: i16,
        stale: bool,
    },
    Disarm,
    AcknowledgeExpiry,
    Cut {
        mask: u8,
        state: CutState,
    },
    TakeTicket,
    Close {
        proof: Proof,
        mask: u8,
        which: Which,
    },
    Fence {
        age: u16,
    },
    Release,
    PowerCycle,
}

/// Which ticket a close presents.
#[derive(Clone, Copy, Debug)]
enum Which {
    Latest,
    Older,
    Invented,
}

fn step() -> impl Strategy<Value = Step> {
    let contact = prop_oneof![
        Just(Contact::Normal),
        Just(Contact::Bypass),
        Just(Contact::Disconnect),
        Just(Contact::Unknown)
    ];
    let state = prop_oneof![Just(CutState::Bypass), Just(CutState::Disconnect)];
    let proof =
        prop_oneof![3 => Just(Proof::Fenced), 1 => Just(Proof::Released), 1 => Just(Proof::Solo)];
    let which =
        prop_oneof![8 => Just(Which::Latest), 1 => Just(Which::Older), 1 => Just(Which::Invented)];
    let often_false = || prop::bool::weighted(0.1);
    prop_oneof![
        6 => (0u16..40).prop_map(Step::Pass),
        1 => (0u16..1_500).prop_map(Step::Pass),
        4 => (prop::bool::weighted(0.25), any::<bool>()).prop_map(|(fence, ack)| Step::Lines { fence, ack }),
        2 => (0usize..2, contact).prop_map(|(segment, contact)| Step::Contact { segment, contact }),
        4 => Just(Step::Follow),
        4 => (5u32..1_000, -50i16..1_000, often_false())
            .prop_map(|(window_ms, ahead, stale)| Step::Arm { window_ms, ahead, stale }),
        6 => (-50i16..2_000, often_false()).prop_map(|(ahead, stale)| Step::Kick { ahead, stale }),
        1 => Just(Step::Disarm),
        3 => Just(Step::AcknowledgeExpiry),
        2 => (0u8..8, state).prop_map(|(mask, state)| Step::Cut { mask, state }),
        5 => Just(Step::TakeTicket),
        8 => (proof, 0u8..4, which).prop_map(|(proof, mask, which)| Step::Close { proof, mask, which }),
        4 => (0u16..1_200).prop_map(|age| Step::Fence { age }),
        1 => Just(Step::Release),
        1 => Just(Step::PowerCycle),
    ]
}

/// What must be true of a ticket, kept apart from the machine's own book.
#[derive(Debug, Default)]
struct Account {
    valid: Option<(u32, Tick)>,
    older: Option<u32>,
    closes: u32,
}

struct Bench {
    controller: Controller,
    strapping: Strapping,
    inputs: Inputs,
    now: Tick,
    lives: u32,
    account: Account,
}

impl Bench {
    fn new(strapping: Strapping) -> Self {
        let inputs = Inputs::quiet(RelayState::from(strapping.fenced()).into());
        let controller = power_up(&strapping, inputs, 0);
        let account = Account::default();
        Self {
            controller,
            strapping,
            inputs,
            now: 0,
            lives: 0,
            account,
        }
    }

    fn apply(&mut self, step: &Step) {
        let before = Before::of(&self.controller);
        match *step {
            Step::PowerCycle => {
                self.lives += 1;
                self.now = 0;
                self.controller = power_up(&self.strapping, self.inputs, self.lives);
                self.account.valid = None;
                assert_eq!(self.controller.timer(), TimerState::Disarmed);
                assert!(!self.controller.holds());
                self.always();
                return;
            }
            Step::Pass(ms) => {
                self.now += u64::from(ms);
                self.controller.tick(self.now);
            }
            Step::Lines { fence, ack } => {
                self.inputs.fence = Line::from_bool(fence);
                self.inputs.peer_ack = Line::from_bool(ack);
                self.controller.inputs(self.now, self.inputs);
            }
            Step::Contact { segment, contact } => {
                self.inputs.contacts[segment] = contact;
                self.controller.inputs(self.now, self.inputs);
            }
            Step::Follow => {
                self.inputs.contacts = self.controller.outputs().relays.map(Contact::from);
                self.controller.inputs(self.now, self.inputs);
            }
            _ => self.order(step),
        }
        self.changes(&before);
        self.always();
    }

    fn order(&mut self, step: &Step) {
        // The sample is fresh; staleness has its own test.
        self.controller.inputs(self.now, self.inputs);
        let before = Before::of(&self.controller);
        self.changes(&before);
        let command = self.command(step);
        let outcome = self.controller.command(self.now, command);
        match (command, outcome) {
            (Command::TakeTicket, Ok(Reply::Ticket(number))) => {
                assert!(!before.latched);
                self.account.older = self.account.valid.map(|(number, _)| number);
                self.account.valid = Some((number, self.now));
            }
            (Command::TakeTicket, _) => assert!(before.latched),
            (
                Command::Close {
                    ticket,
                    proof,
                    segments,
                },
                Ok(_),
            ) => {
                self.judge_close(&before, ticket, proof, segments);
            }
            (Command::Cut { segments, .. }, outcome) => {
                for segment in segments.and(self.strapping.present()).iter() {
                    assert_ne!(self.controller.drive(segment), Some(RelayState::Normal));
                    assert!(outcome.is_ok());
                    self.account.valid = None;
                }
            }
            (Command::Release, outcome) => {
                assert!(outcome.is_ok() && !self.controller.holds());
                self.account.valid = None;
            }
            (Command::Kick { deadline, .. }, outcome) => {
                self.judge_kick(&before, deadline, outcome.is_ok());
            }
            (Command::Arm { .. }, Ok(_)) => assert_ne!(before.timer, TimerState::Expired),
            _ => {}
        }
    }

    fn judge_close(&mut self, before: &Before, ticket: u32, proof: Proof, segments: SegmentMask) {
        assert!(!before.latched, "closed while latched");
        assert_eq!(
            before.timer,
            TimerState::Running,
            "closed without a running timer"
        );
        let (number, issued) = self
            .account
            .valid
            .take()
            .expect("closed with a void ticket");
        assert_eq!(number, ticket, "closed with another ticket");
        assert!(
            self.now - issued <= u64::from(self.strapping.ticket_max_age_ms()),
            "aged ticket"
        );
        assert!(
            segments.without(before.armed).is_empty(),
            "closed an unarmed segment"
        );
        if proof == Proof::Fenced {
            assert!(
                before.holds && self.inputs.peer_ack.is_asserted(),
                "closed unfenced"
            );
        }
        self.account.closes += 1;
    }

    fn judge_kick(&self, before: &Before, asked: Tick, accepted: bool) {
        let after = self.controller.deadline();
        if !accepted {
            return assert_eq!(after, before.deadline);
        }
        let limit = asked.min(self.now + u64::from(self.controller.window_ms()));
        assert_eq!(after, before.deadline.map(|deadline| deadline.max(limit)));
    }

    fn command(&self, step: &Step) -> Command {
        let session = self.controller.session();
        let told = |stale: bool| {
            if stale {
                session.wrapping_sub(1)
            } else {
                session
            }
        };
        let ahead = |ms: i16| self.now.saturating_add_signed(i64::from(ms));
        match *step {
            Step::Arm {
                window_ms,
                ahead: ms,
                stale,
            } => Command::Arm {
                session: told(stale),
                segments: self.strapping.present(),
                window_ms,
                deadline: ahead(ms),
            },
            Step::Kick { ahead: ms, stale } => Command::Kick {
                session: told(stale),
                deadline: ahead(ms),
            },
            Step::Disarm => Command::Disarm { session },
            Step::AcknowledgeExpiry => Command::AcknowledgeExpiry { session },
            Step::Cut { mask, state } => Command::Cut {
                segments: SegmentMask(mask),
                state,
            },
            Step::TakeTicket => Command::TakeTicket,
            Step::Close { proof, mask, which } => {
                let latest = self.account.valid.map_or(0, |(number, _)| number);
                let ticket = match which {
                    Which::Latest => latest,
                    Which::Older => self.account.older.unwrap_or(0),
                    Which::Invented => latest.wrapping_add(1),
                };
                Command::Close {
                    ticket,
                    proof,
                    segments: SegmentMask(mask),
                }
            }
            Step::Fence { age } => Command::Fence {
                session,
                read_at: self.now.saturating_sub(u64::from(age)),
            },
            _ => Command::Release,
        }
    }

    /// What may have happened by itself in one step.
    fn changes(&mut self, before: &Before) {
        let controller = &self.controller;
        let moved = controller.generation().wrapping_sub(before.generation);
        assert_eq!(
            moved,
            u32::from(before.latched != controller.latched()),
            "generation"
        );
        let expired =
            before.timer == TimerState::Running && controller.timer() == TimerState::Expired;
        let dropped = before.holds && !controller.holds();
        if moved != 0 || expired || dropped {
            self.account.valid = None;
        }
        if expired {
            for segment in before.armed.iter() {
                assert_ne!(
                    controller.drive(segment),
                    Some(RelayState::Normal),
                    "expired"
                );
            }
        }
        if before.timer == TimerState::Expired {
            assert_ne!(controller.timer(), TimerState::Running, "expiry is sticky");
        }
    }

    /// What holds in every state.
    fn always(&self) {
        let controller = &self.controller;
        let fenced = RelayState::from(self.strapping.fenced());
        let outputs = controller.outputs();
        for segment in self.strapping.present().iter() {
            let drive = controller.drive(segment).expect("present");
            if drive == RelayState::Normal {
                assert_eq!(
                    controller.timer(),
                    TimerState::Running,
                    "Normal without a dead-man"
                );
                assert!(controller.armed().contains(segment));
                assert!(!controller.latched(), "Normal while latched");
            }
            assert!(
                self.strapping.supported().contains(drive),
                "a state the cabling forbids"
            );
            if outputs.ack.is_asserted() {
                assert_eq!(controller.contact(segment), Some(fenced.into()));
            }
        }
        assert!(!outputs.ack.is_asserted() || controller.latched());
        if controller.latched() {
            assert!(
                self.inputs.fence.is_asserted(),
                "only the peer's line latches"
            );
        }
    }
}

struct Before {
    latched: bool,
    holds: bool,
    generation: u32,
    timer: TimerState,
    armed: SegmentMask,
    deadline: Option<Tick>,
}

impl Before {
    fn of(controller: &Controller) -> Self {
        Self {
            latched: controller.latched(),
            holds: controller.holds(),
            generation: controller.generation(),
            timer: controller.timer(),
            armed: controller.armed(),
            deadline: controller.deadline(),
        }
    }
}

fn power_up(strapping: &Strapping, inputs: Inputs, life: u32) -> Controller {
    let start = life.wrapping_mul(0x0101_0101);
    let entropy = Entropy {
        generation: start,
        ticket: start + 7,
        session: start + 9,
    };
    Controller::power_up(strapping.clone(), None, entropy, inputs, 0)
}

fn strapping() -> impl Strategy<Value = Strapping> {
    let rank = prop_oneof![
        Just(fencepost_firmware::Rank::Preferred),
        Just(fencepost_firmware::Rank::Ordinary)
    ];
    let board = prop_oneof![
        Just(Strapping::series(2)),
        Just(Strapping::parallel(2)),
        Just(Strapping::chained(2))
    ];
    (board, rank).prop_map(|(board, rank)| board.expect("sound").with_rank(rank))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn rules_hold_whatever_comes(board in strapping(), steps in prop::collection::vec(step(), 1..200)) {
        let mut bench = Bench::new(board);
        for step in &steps {
            bench.apply(step);
        }
    }
}

/// The same steps must close often, or the property above says nothing.
#[test]
fn random_steps_do_close() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut closes = 0;
    for _ in 0..100 {
        let steps = prop::collection::vec(step(), 200)
            .new_tree(&mut runner)
            .expect("steps");
        let mut bench = Bench::new(Strapping::parallel(2).expect("parallel"));
        for step in &steps.current() {
            bench.apply(step);
        }
        closes += bench.account.closes;
    }
    assert!(closes > 50, "{closes} closes");
}
