//! Close, ticket, fence order: what is refused, and why.

use fencepost_firmware::{
    Cause, Command, Controller, CutState, Line, Proof, Refusal, RelayState, Reply, SegmentMask,
    VoidCause,
};

use crate::bench::{BOTH, BYPASS, FENCED, arm, close, closed, drives, inline, segment};

#[test]
fn close_needs_an_armed_existing_segment() {
    let mut controller = inline();
    let session = controller.session();
    let arm = Command::Arm {
        session,
        segments: SegmentMask(1),
        window_ms: 100,
        deadline: 90,
    };
    controller.command(0, arm).expect("armed");
    assert_eq!(close(&mut controller, 0), Err(Refusal::NotArmed));
    let ticket = 1;
    let no_segment = Command::Close {
        ticket,
        proof: Proof::Solo,
        segments: SegmentMask::NONE,
    };
    assert_eq!(
        controller.command(0, no_segment),
        Err(Refusal::NoSuchSegment)
    );
}

#[test]
fn every_void_cause_is_told() {
    let close_with = |ticket| Command::Close {
        ticket,
        proof: Proof::Solo,
        segments: BOTH,
    };
    let cut = Command::Cut {
        segments: BOTH,
        state: CutState::Bypass,
    };
    type Between = fn(&mut Controller) -> u64;
    let cases: [(VoidCause, Between); 5] = [
        (VoidCause::OwnCut, |_| 1),
        (VoidCause::HoldDropped, |c| {
            c.command(1, Command::Release).expect("release");
            1
        }),
        (VoidCause::Newer, |c| {
            c.command(1, Command::TakeTicket).expect("ticket");
            1
        }),
        (VoidCause::Aged, |_| 1_001),
        (VoidCause::LatchChanged, |c| {
            c.inputs(1, FENCED);
            c.inputs(2, BYPASS);
            2
        }),
    ];
    for (cause, between) in cases {
        let mut controller = inline();
        arm(&mut controller, 0, 10_000);
        assert_eq!(
            controller.command(0, Command::TakeTicket),
            Ok(Reply::Ticket(2_000))
        );
        if cause == VoidCause::OwnCut {
            controller.command(1, cut).expect("cut");
        }
        let now = between(&mut controller);
        controller.inputs(now, BYPASS);
        let outcome = controller.command(now, close_with(2_000));
        assert_eq!(outcome, Err(Refusal::TicketVoid(cause)));
        assert_eq!(
            controller.command(now, close_with(1_999)),
            Err(Refusal::TicketUnknown)
        );
    }
}

#[test]
fn ticket_lives_exactly_as_long_as_stated() {
    let mut controller = inline();
    arm(&mut controller, 0, 10_000);
    controller.command(0, Command::TakeTicket).expect("ticket");
    controller.inputs(1_000, BYPASS);
    let close = Command::Close {
        ticket: 2_000,
        proof: Proof::Solo,
        segments: BOTH,
    };
    assert_eq!(controller.command(1_000, close), Ok(Reply::Done));
}

/// Acknowledged and armed again within the ticket's age: the claim of before the expiry is dead all the same.
#[test]
fn expiry_voids_the_ticket() {
    let mut controller = inline();
    arm(&mut controller, 0, 100);
    assert_eq!(
        controller.command(50, Command::TakeTicket),
        Ok(Reply::Ticket(2_000))
    );
    controller.inputs(100, BYPASS);
    let session = controller.session();
    let acknowledge = Command::AcknowledgeExpiry { session };
    assert!(controller.command(101, acknowledge).is_ok());
    arm(&mut controller, 102, 100);
    let close = Command::Close {
        ticket: 2_000,
        proof: Proof::Released,
        segments: BOTH,
    };
    let void = Refusal::TicketVoid(VoidCause::Expiry);
    assert_eq!(controller.command(103, close), Err(void));
}

#[test]
fn no_close_on_an_old_sample_of_the_lines() {
    let mut controller = inline();
    arm(&mut controller, 0, 10_000);
    assert_eq!(close(&mut controller, 11), Err(Refusal::InputsStale));
    controller.inputs(11, BYPASS);
    assert_eq!(close(&mut controller, 21), Ok(Reply::Done));
}

#[test]
fn fence_order_must_be_fresh_and_from_a_living_host() {
    let mut controller = inline();
    let fence = |session, read_at| Command::Fence { session, read_at };
    let session = controller.session();
    assert_eq!(
        controller.command(0, fence(session, 0)),
        Err(Refusal::TimerNotRunning)
    );
    let session = arm(&mut controller, 0, 5_000);
    assert_eq!(
        controller.command(10, fence(session, 11)),
        Err(Refusal::TickAhead)
    );
    assert_eq!(
        controller.command(1_001, fence(session, 0)),
        Err(Refusal::OrderTooOld)
    );
    assert_eq!(
        controller.command(1_001, fence(session - 1, 1_000)),
        Err(Refusal::StaleSession)
    );
    assert_eq!(controller.outputs().fence, Line::Idle);
    assert_eq!(
        controller.command(1_001, fence(session, 1)),
        Ok(Reply::Done)
    );
    assert_eq!(
        controller.command(1_002, fence(session, 2)),
        Ok(Reply::Unchanged)
    );
    assert_eq!(controller.outputs().fence, Line::Asserted);
    assert_eq!(
        controller.command(5_000, fence(session, 5_000)),
        Err(Refusal::Expired)
    );
}

#[test]
fn latch_set_and_cleared_between_two_polls_shows() {
    let (mut controller, _) = closed(1_000);
    let before = controller.generation();
    controller.inputs(1, FENCED);
    assert_eq!(controller.outputs().ack, Line::Asserted);
    controller.inputs(2, BYPASS);
    assert!(!controller.latched());
    assert_eq!(controller.generation(), before + 2);
    assert_eq!(
        drives(&controller),
        [RelayState::Bypass; 2],
        "a release restores nothing"
    );
    assert_eq!(controller.cause(segment(0)), Some(Cause::FenceLatch));
}
