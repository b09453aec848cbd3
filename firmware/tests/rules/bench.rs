//! A board of two segments, and shorthands for its host.

use fencepost_firmware::{
    Command, Contact, Controller, Entropy, Inputs, Line, Proof, Refusal, RelayState, Reply,
    Segment, SegmentMask, Strapping,
};

pub(crate) const BOTH: SegmentMask = SegmentMask(0b11);
pub(crate) const ENTROPY: Entropy = Entropy {
    generation: 1_000,
    ticket: 2_000,
    session: 3_000,
};
pub(crate) const BYPASS: Inputs = Inputs {
    fence: Line::Idle,
    peer_ack: Line::Idle,
    contacts: [Contact::Bypass; 8],
};
pub(crate) const FENCED: Inputs = Inputs {
    fence: Line::Asserted,
    ..BYPASS
};

pub(crate) fn segment(number: u8) -> Segment {
    Segment::new(number).expect("segment")
}

pub(crate) fn inline() -> Controller {
    power_up(Strapping::inline(2).expect("inline"), BYPASS)
}

pub(crate) fn power_up(strapping: Strapping, inputs: Inputs) -> Controller {
    let stored = Some(strapping.factory_settings());
    Controller::power_up(strapping, stored, ENTROPY, inputs, 0)
}

pub(crate) fn arm(controller: &mut Controller, now: u64, window_ms: u32) -> u32 {
    let session = controller.session();
    let deadline = now + u64::from(window_ms);
    let command = Command::Arm {
        session,
        segments: BOTH,
        window_ms,
        deadline,
    };
    match controller.command(now, command) {
        Ok(Reply::Session(session)) => session,
        other => panic!("armed: {other:?}"),
    }
}

pub(crate) fn close(controller: &mut Controller, now: u64) -> Result<Reply, Refusal> {
    let Reply::Ticket(ticket) = controller.command(now, Command::TakeTicket)? else {
        panic!("a ticket was asked for");
    };
    controller.command(
        now,
        Command::Close {
            ticket,
            proof: Proof::Solo,
            segments: BOTH,
        },
    )
}

pub(crate) fn closed(window_ms: u32) -> (Controller, u32) {
    let mut controller = inline();
    let session = arm(&mut controller, 0, window_ms);
    assert_eq!(close(&mut controller, 0), Ok(Reply::Done));
    (controller, session)
}

pub(crate) fn drives(controller: &Controller) -> [RelayState; 2] {
    let relays = controller.outputs().relays;
    [relays[0], relays[1]]
}
