//! Two boards, their relays, and the cables between them, in steps of one millisecond.

use std::collections::VecDeque;

use fencepost_firmware::{
    Command, Contact, Controller, CutPath, CutState, Entropy, Inputs, Line, MAX_SEGMENTS,
    NonVolatile, Outputs, Proof, Rank, Refusal, RelayState, Reply, Segment, SegmentMask, StateSet,
    Strapping, Tick, unpowered,
};

/// Time a relay's contacts are between two states.
pub(crate) const RELAY_MS: u32 = 5;
/// Time a level needs along a cable, sampling included.
pub(crate) const CABLE_MS: usize = 2;

pub(crate) const A: usize = 0;
pub(crate) const B: usize = 1;

pub(crate) struct World {
    pub(crate) now: Tick,
    pub(crate) boards: [Board; 2],
    /// `cables[n]`: node n's fence line to the other, and the other's acknowledge back.
    pub(crate) cables: [Cable; 2],
    entropy: u32,
}

pub(crate) struct Board {
    pub(crate) controller: Option<Controller>,
    powered_up_at: Tick,
    strapping: Strapping,
    stored: Option<NonVolatile>,
    pub(crate) relays: [Relay; MAX_SEGMENTS],
    sampled: (Line, Line),
}

#[derive(Clone, Copy)]
pub(crate) struct Relay {
    position: RelayState,
    moving_to: Option<(RelayState, u32)>,
    pub(crate) stuck: bool,
}

pub(crate) struct Cable {
    pub(crate) intact: bool,
    order: VecDeque<Line>,
    ack: VecDeque<Line>,
}

impl World {
    /// A is preferred, B is not; two segments each, parallel.
    pub(crate) fn parallel() -> Self {
        Self::new(|| Strapping::parallel(2).expect("parallel"))
    }

    pub(crate) fn new(strapping: impl Fn() -> Strapping) -> Self {
        let mut world = Self {
            now: 0,
            boards: [
                Board::new(strapping().with_rank(Rank::Preferred)),
                Board::new(strapping().with_rank(Rank::Ordinary)),
            ],
            cables: [Cable::new(), Cable::new()],
            entropy: 0x1234_5678,
        };
        world.power_up(A);
        world.power_up(B);
        world.run(20);
        world
    }

    pub(crate) fn power_down(&mut self, node: usize) {
        let board = &mut self.boards[node];
        if let Some(mut controller) = board.controller.take() {
            board.stored = controller.settings_to_store().or(board.stored.take());
        }
    }

    pub(crate) fn power_up(&mut self, node: usize) {
        let entropy = Entropy {
            generation: self.next_entropy(),
            ticket: self.next_entropy(),
            session: self.next_entropy(),
        };
        let board = &mut self.boards[node];
        let inputs = board.inputs();
        let stored = board.stored.clone();
        board.powered_up_at = self.now;
        // Its own tick starts at 0 again: orders from before the power cut name ticks of another base.
        board.controller = Some(Controller::power_up(
            board.strapping.clone(),
            stored,
            entropy,
            inputs,
            0,
        ));
    }

    pub(crate) fn run(&mut self, ms: u32) {
        for _ in 0..ms {
            self.step();
        }
    }

    pub(crate) fn step(&mut self) {
        self.now += 1;
        let outputs = [self.boards[A].outputs(), self.boards[B].outputs()];
        for node in [A, B] {
            let (order, ack) = (outputs[node].fence, outputs[1 - node].ack);
            let (order, ack) = self.cables[node].carry(order, ack);
            self.boards[1 - node].sampled.0 = order;
            self.boards[node].sampled.1 = ack;
        }
        for (board, outputs) in self.boards.iter_mut().zip(outputs) {
            board.step(self.now, &outputs);
        }
    }

    pub(crate) fn controller(&self, node: usize) -> &Controller {
        self.boards[node].controller.as_ref().expect("powered")
    }

    pub(crate) fn command(&mut self, node: usize, command: Command) -> Result<Reply, Refusal> {
        let now = self.now - self.boards[node].powered_up_at;
        self.boards[node]
            .controller
            .as_mut()
            .expect("powered")
            .command(now, command)
    }

    pub(crate) fn arm(&mut self, node: usize, window_ms: u32) {
        let (session, now) = (self.controller(node).session(), self.controller(node).now());
        let deadline = now + u64::from(window_ms);
        let segments = SegmentMask::first(2);
        let command = Command::Arm {
            session,
            segments,
            window_ms,
            deadline,
        };
        assert!(matches!(self.command(node, command), Ok(Reply::Session(_))));
    }

    /// A long window, so that a test about something else needs no kicks.
    pub(crate) fn arm_both(&mut self) {
        self.arm(A, 60_000);
        self.arm(B, 60_000);
    }

    pub(crate) fn fence(&mut self, node: usize) -> Result<Reply, Refusal> {
        let (session, read_at) = (self.controller(node).session(), self.controller(node).now());
        self.command(node, Command::Fence { session, read_at })
    }

    pub(crate) fn ticket(&mut self, node: usize) -> Result<u32, Refusal> {
        match self.command(node, Command::TakeTicket)? {
            Reply::Ticket(number) => Ok(number),
            other => panic!("a ticket was asked for, {other:?} given"),
        }
    }

    pub(crate) fn close(&mut self, node: usize, ticket: u32) -> Result<Reply, Refusal> {
        self.close_with(node, ticket, Proof::Fenced)
    }

    pub(crate) fn close_with(
        &mut self,
        node: usize,
        ticket: u32,
        proof: Proof,
    ) -> Result<Reply, Refusal> {
        self.command(
            node,
            Command::Close {
                ticket,
                proof,
                segments: SegmentMask::first(2),
            },
        )
    }

    pub(crate) fn cut(&mut self, node: usize) -> Result<Reply, Refusal> {
        let state = self.boards[node].strapping.fenced();
        self.command(
            node,
            Command::Cut {
                segments: SegmentMask::first(2),
                state,
            },
        )
    }

    /// Ticket, fence, acknowledge, close, in the right order and in good time.
    pub(crate) fn claim(&mut self, node: usize) {
        let ticket = self.ticket(node).expect("ticket");
        self.fence(node).expect("fence");
        self.run(30);
        assert_eq!(self.close(node, ticket), Ok(Reply::Done));
        self.run(20);
        assert!(self.connected(node));
    }

    /// Some contact of this node is, or may be, normal.
    pub(crate) fn connected(&self, node: usize) -> bool {
        let present = self.boards[node].strapping.present();
        present
            .iter()
            .any(|segment| !self.boards[node].relays[segment.index()].is_cut())
    }

    fn next_entropy(&mut self) -> u32 {
        self.entropy = self
            .entropy
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        self.entropy
    }
}

impl Board {
    fn new(strapping: Strapping) -> Self {
        let position = strapping.power_off().into();
        Self {
            controller: None,
            powered_up_at: 0,
            strapping,
            stored: None,
            relays: [Relay {
                position,
                moving_to: None,
                stuck: false,
            }; MAX_SEGMENTS],
            sampled: (Line::Idle, Line::Idle),
        }
    }

    pub(crate) fn contact(&self, segment: u8) -> Contact {
        self.relays[Segment::new(segment).expect("segment").index()].contact()
    }

    fn inputs(&self) -> Inputs {
        Inputs {
            fence: self.sampled.0,
            peer_ack: self.sampled.1,
            contacts: self.relays.map(|relay| relay.contact()),
        }
    }

    pub(crate) fn outputs(&self) -> Outputs {
        let inputs = self.inputs();
        self.controller
            .as_ref()
            .map_or_else(|| unpowered(&self.strapping, &inputs), Controller::outputs)
    }

    fn step(&mut self, now: Tick, outputs: &Outputs) {
        for (relay, drive) in self.relays.iter_mut().zip(outputs.relays) {
            relay.step(drive);
        }
        let inputs = self.inputs();
        let powered_up_at = self.powered_up_at;
        if let Some(controller) = &mut self.controller {
            controller.inputs(now - powered_up_at, inputs);
        }
    }
}

impl Relay {
    fn step(&mut self, drive: RelayState) {
        if self.stuck {
            return;
        }
        match self.moving_to {
            Some((to, _)) if to != drive => self.moving_to = Some((drive, RELAY_MS)),
            Some((to, 0)) => {
                self.position = to;
                self.moving_to = None;
            }
            Some((to, left)) => self.moving_to = Some((to, left - 1)),
            None if self.position != drive => self.moving_to = Some((drive, RELAY_MS)),
            None => {}
        }
    }

    fn contact(self) -> Contact {
        if self.moving_to.is_some() {
            Contact::Unknown
        } else {
            self.position.into()
        }
    }

    /// Moving between two cut states is still cut; leaving or reaching `Normal` is not.
    fn is_cut(self) -> bool {
        let normal = |state| state == RelayState::Normal;
        !normal(self.position) && self.moving_to.is_none_or(|(to, _)| !normal(to))
    }
}

impl Cable {
    fn new() -> Self {
        let idle = || VecDeque::from(vec![Line::Idle; CABLE_MS]);
        Self {
            intact: true,
            order: idle(),
            ack: idle(),
        }
    }

    fn carry(&mut self, order: Line, ack: Line) -> (Line, Line) {
        self.order.push_back(order);
        self.ack.push_back(ack);
        let arrived = self.order.pop_front().zip(self.ack.pop_front());
        match arrived {
            Some(levels) if self.intact => levels,
            _ => (Line::Idle, Line::Idle),
        }
    }
}

/// A chained board of three-state relays.
pub(crate) fn series_three_state() -> Strapping {
    Strapping::new(2, StateSet::ALL, CutState::Bypass, CutPath::Direct).expect("series")
}
