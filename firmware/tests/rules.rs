//! One controller, one rule per test: dead-man, close, cut, settings, chained path, log.

use fencepost_firmware::{
    Cause, Command, Contact, Controller, CutState, Entropy, EventKind, Inputs, Line, NonVolatile,
    Proof, Refusal, RelayState, Reply, Segment, SegmentMask, Setting, Strapping, StrappingError,
    TimerState, VoidCause, unpowered,
};

const BOTH: SegmentMask = SegmentMask(0b11);
const ENTROPY: Entropy = Entropy {
    generation: 1_000,
    ticket: 2_000,
    session: 3_000,
};
const BYPASS: Inputs = Inputs {
    fence: Line::Idle,
    peer_ack: Line::Idle,
    contacts: [Contact::Bypass; 8],
};
const FENCED: Inputs = Inputs {
    fence: Line::Asserted,
    ..BYPASS
};

fn segment(number: u8) -> Segment {
    Segment::new(number).expect("segment")
}

fn inline() -> Controller {
    power_up(Strapping::inline(2).expect("inline"), BYPASS)
}

fn power_up(strapping: Strapping, inputs: Inputs) -> Controller {
    let stored = Some(strapping.factory_settings());
    Controller::power_up(strapping, stored, ENTROPY, inputs, 0)
}

fn arm(controller: &mut Controller, now: u64, window_ms: u32) -> u32 {
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

fn close(controller: &mut Controller, now: u64) -> Result<Reply, Refusal> {
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

fn closed(window_ms: u32) -> (Controller, u32) {
    let mut controller = inline();
    let session = arm(&mut controller, 0, window_ms);
    assert_eq!(close(&mut controller, 0), Ok(Reply::Done));
    (controller, session)
}

fn drives(controller: &Controller) -> [RelayState; 2] {
    let relays = controller.outputs().relays;
    [relays[0], relays[1]]
}

#[test]
fn power_up_is_cut_without_timer_hold_or_ticket() {
    let controller = inline();
    assert_eq!(drives(&controller), [RelayState::Bypass; 2]);
    assert_eq!(controller.timer(), TimerState::Disarmed);
    assert!(!controller.holds() && !controller.latched() && !controller.ticket_out());
    assert_eq!(controller.generation(), ENTROPY.generation);
}

#[test]
fn power_up_with_the_fence_asserted_is_latched() {
    let mut controller = power_up(Strapping::inline(2).expect("inline"), FENCED);
    assert!(controller.latched());
    assert_eq!(controller.outputs().ack, Line::Asserted);
    assert_eq!(
        controller.command(1, Command::TakeTicket),
        Err(Refusal::Latched)
    );
    assert_eq!(
        controller.generation(),
        ENTROPY.generation,
        "power-up is no change"
    );
}

#[test]
fn kick_is_absolute_and_capped_by_the_window() {
    let (mut controller, session) = closed(100);
    let kick = |deadline| Command::Kick { session, deadline };
    assert_eq!(
        controller.command(10, kick(60)),
        Ok(Reply::Remaining(90)),
        "never shortens"
    );
    assert_eq!(controller.command(20, kick(119)), Ok(Reply::Remaining(99)));
    assert_eq!(
        controller.command(20, kick(119)),
        Ok(Reply::Remaining(99)),
        "idempotent"
    );
    assert_eq!(
        controller.command(20, kick(u64::MAX)),
        Ok(Reply::Remaining(100)),
        "capped"
    );
    assert_eq!(controller.deadline(), Some(120));
    assert_eq!(
        controller.command(119, kick(119)),
        Err(Refusal::DeadlinePassed)
    );
    assert_eq!(
        controller.deadline(),
        Some(120),
        "a late copy extends nothing"
    );
    controller.tick(119);
    assert_eq!(controller.timer(), TimerState::Running);
    controller.tick(120);
    assert_eq!(controller.timer(), TimerState::Expired);
}

#[test]
fn expiry_opens_every_armed_segment_and_is_sticky() {
    let (mut controller, session) = closed(100);
    // No tick between: the kick itself finds that it is too late.
    let kick = Command::Kick {
        session,
        deadline: 500,
    };
    assert_eq!(controller.command(100, kick), Err(Refusal::Expired));
    assert_eq!(drives(&controller), [RelayState::Bypass; 2]);
    assert_eq!(controller.cause(segment(1)), Some(Cause::Expiry));

    controller.inputs(101, BYPASS);
    assert_eq!(close(&mut controller, 101), Err(Refusal::Expired));
    let now_session = controller.session();
    let rearm = Command::Arm {
        session: now_session,
        segments: BOTH,
        window_ms: 100,
        deadline: 300,
    };
    assert_eq!(controller.command(102, rearm), Err(Refusal::Expired));
    let acknowledge = Command::AcknowledgeExpiry {
        session: now_session,
    };
    assert!(controller.command(103, acknowledge).is_ok());
    assert_eq!(
        controller.command(103, acknowledge),
        Err(Refusal::StaleSession),
        "late copy"
    );
    assert_eq!(close(&mut controller, 103), Err(Refusal::TimerNotRunning));
    arm(&mut controller, 104, 100);
    assert_eq!(
        drives(&controller),
        [RelayState::Bypass; 2],
        "arming closes nothing"
    );
    assert_eq!(close(&mut controller, 104), Ok(Reply::Done));
}

#[test]
fn expiry_state_is_per_segment() {
    let mut controller = power_up(Strapping::chained(2).expect("chained"), BYPASS);
    let set = Command::Set {
        segment: segment(1),
        setting: Setting::Expiry,
        state: RelayState::Disconnect,
    };
    assert_eq!(controller.command(0, set), Ok(Reply::Done));
    arm(&mut controller, 0, 100);
    assert_eq!(close(&mut controller, 0), Ok(Reply::Done));
    controller.inputs(90, Inputs::quiet(Contact::Normal));
    controller.tick(100);
    controller.inputs(110, Inputs::quiet(Contact::Disconnect));
    assert_eq!(
        drives(&controller),
        [RelayState::Bypass, RelayState::Disconnect]
    );
}

/// Ticks restart at power-up, so a deadline of the last life may lie far in the future of this one.
#[test]
fn kick_from_before_a_power_cycle_is_refused() {
    let (mut old, old_session) = closed(60_000);
    old.tick(50_000);
    let late = Command::Kick {
        session: old_session,
        deadline: 90_000,
    };
    let strapping = old.strapping().clone();
    let entropy = Entropy {
        session: 77,
        ..ENTROPY
    };
    let mut new = Controller::power_up(strapping, None, entropy, BYPASS, 0);
    arm(&mut new, 0, 200);
    assert_eq!(new.command(10, late), Err(Refusal::StaleSession));
    assert_eq!(new.deadline(), Some(200));
}

#[test]
fn arm_checks_segments_window_deadline_and_session() {
    let mut controller = inline();
    let session = controller.session();
    let arm = |session, segments, window_ms, deadline| Command::Arm {
        session,
        segments: SegmentMask(segments),
        window_ms,
        deadline,
    };
    let refused = |controller: &mut Controller, command| controller.command(100, command).err();
    let cases = [
        (arm(session, 0b100, 100, 200), Refusal::NoSuchSegment),
        (arm(session, 0, 100, 200), Refusal::NoSuchSegment),
        (arm(session + 1, 1, 100, 200), Refusal::StaleSession),
        (arm(session, 1, 9, 200), Refusal::WindowOutOfRange),
        (arm(session, 1, 60_001, 200), Refusal::WindowOutOfRange),
        (arm(session, 1, 100, 100), Refusal::DeadlinePassed),
    ];
    for (command, expected) in cases {
        assert_eq!(
            refused(&mut controller, command),
            Some(expected),
            "{command:?}"
        );
    }
    assert_eq!(controller.timer(), TimerState::Disarmed);
    assert_eq!(controller.tally().refused, 6);
}

#[test]
fn nothing_is_normal_without_a_dead_man() {
    let (mut controller, session) = closed(1_000);
    assert_eq!(
        controller.command(1, Command::Disarm { session }),
        Err(Refusal::StillClosed)
    );
    let narrower = Command::Arm {
        session,
        segments: SegmentMask(1),
        window_ms: 1_000,
        deadline: 500,
    };
    assert_eq!(controller.command(1, narrower), Err(Refusal::StillClosed));
    let cut = Command::Cut {
        segments: BOTH,
        state: CutState::Bypass,
    };
    assert_eq!(controller.command(2, cut), Ok(Reply::Done));
    assert!(controller.command(3, Command::Disarm { session }).is_ok());
    controller.inputs(4, BYPASS);
    assert_eq!(close(&mut controller, 4), Err(Refusal::TimerNotRunning));
}

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
fn cut_always_takes_the_segments_off_the_wire() {
    // A parallel board may not bypass: two switches would be shorted. It is cut all the same.
    let mut controller = power_up(
        Strapping::parallel(2).expect("parallel"),
        Inputs::quiet(Contact::Disconnect),
    );
    arm(&mut controller, 0, 1_000);
    close(&mut controller, 0).expect("closed");
    let cut = Command::Cut {
        segments: SegmentMask(0xFF),
        state: CutState::Bypass,
    };
    assert_eq!(controller.command(1, cut), Ok(Reply::Superseded));
    assert_eq!(drives(&controller), [RelayState::Disconnect; 2]);
    let nowhere = Command::Cut {
        segments: SegmentMask(0xF0),
        state: CutState::Bypass,
    };
    assert_eq!(controller.command(1, nowhere), Err(Refusal::NoSuchSegment));
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

#[test]
fn settings_are_compared_before_they_are_written() {
    let mut controller = power_up(Strapping::chained(2).expect("chained"), BYPASS);
    let set = |setting, state| Command::Set {
        segment: segment(0),
        setting,
        state,
    };
    let to_disconnect = set(Setting::PowerUp, RelayState::Disconnect);
    assert_eq!(controller.command(0, to_disconnect), Ok(Reply::Done));
    let image = controller.settings_to_store().expect("changed").to_image();
    assert_eq!(controller.command(0, to_disconnect), Ok(Reply::Unchanged));
    assert_eq!(controller.settings_to_store(), None);
    assert_eq!(controller.settings().writes(), 1);

    let refused = [
        (
            set(Setting::PowerUp, RelayState::Normal),
            Refusal::StateNotAllowed,
        ),
        (
            set(Setting::Expiry, RelayState::Normal),
            Refusal::StateNotAllowed,
        ),
        (
            set(Setting::PowerOff, RelayState::Bypass),
            Refusal::SettingFixed,
        ),
        (
            set(Setting::RunTime, RelayState::Bypass),
            Refusal::SettingFixed,
        ),
    ];
    for (command, expected) in refused {
        assert_eq!(controller.command(0, command), Err(expected), "{command:?}");
    }

    let stored = NonVolatile::from_image(&image);
    let next = Controller::power_up(controller.strapping().clone(), stored, ENTROPY, BYPASS, 0);
    assert_eq!(drives(&next), [RelayState::Disconnect, RelayState::Bypass]);
    assert_eq!(next.settings().writes(), 1);
}

#[test]
fn torn_or_foreign_settings_are_not_believed() {
    let image = NonVolatile::new([CutState::Bypass; 8], [CutState::Bypass; 8]).to_image();
    assert!(NonVolatile::from_image(&image).is_some());
    for byte in 0..image.len() {
        let mut torn = image;
        torn[byte] ^= 0x10;
        assert_eq!(NonVolatile::from_image(&torn), None, "byte {byte}");
    }
    assert_eq!(NonVolatile::from_image(&[0xFF; 8]), None, "blank");
    assert_eq!(NonVolatile::from_image(&image[..7]), None, "short");
    // Stored on a series board, read on a parallel one: Bypass is not believed either.
    let parallel = Strapping::parallel(2).expect("parallel");
    let stored = NonVolatile::from_image(&image);
    let inputs = Inputs::quiet(Contact::Disconnect);
    let controller = Controller::power_up(parallel, stored, ENTROPY, inputs, 0);
    assert_eq!(drives(&controller), [RelayState::Disconnect; 2]);
}

#[test]
fn chained_breaks_all_before_it_makes_any() {
    let mut controller = power_up(Strapping::chained(2).expect("chained"), BYPASS);
    arm(&mut controller, 0, 10_000);
    close(&mut controller, 0).expect("closed");
    controller.inputs(5, Inputs::quiet(Contact::Normal));
    let cut = |mask| Command::Cut {
        segments: SegmentMask(mask),
        state: CutState::Bypass,
    };

    controller.command(6, cut(0b01)).expect("cut");
    let mut half = Inputs::quiet(Contact::Normal);
    half.contacts[0] = Contact::Disconnect;
    controller.inputs(10, half);
    let expected = [RelayState::Disconnect, RelayState::Normal];
    assert_eq!(drives(&controller), expected, "a lone segment waits");

    controller.command(11, cut(0b11)).expect("cut");
    controller.inputs(12, half);
    assert_eq!(
        drives(&controller),
        [RelayState::Disconnect; 2],
        "a stuck one keeps the rest"
    );
    half.contacts[1] = Contact::Unknown;
    controller.inputs(13, half);
    assert_eq!(drives(&controller), [RelayState::Disconnect; 2]);
    controller.inputs(14, Inputs::quiet(Contact::Disconnect));
    assert_eq!(drives(&controller), [RelayState::Bypass; 2]);
    controller.inputs(15, Inputs::quiet(Contact::Unknown));
    assert_eq!(
        drives(&controller),
        [RelayState::Bypass; 2],
        "on the way there is no turning back"
    );
}

#[test]
fn chained_acknowledges_only_in_bypass() {
    let mut controller = power_up(Strapping::chained(2).expect("chained"), BYPASS);
    arm(&mut controller, 0, 10_000);
    close(&mut controller, 0).expect("closed");
    let fenced = |contact| Inputs {
        fence: Line::Asserted,
        ..Inputs::quiet(contact)
    };
    controller.inputs(5, fenced(Contact::Normal));
    controller.inputs(10, fenced(Contact::Disconnect));
    assert_eq!(
        controller.outputs().ack,
        Line::Idle,
        "the peer is not on the wire yet"
    );
    controller.inputs(15, fenced(Contact::Bypass));
    assert_eq!(controller.outputs().ack, Line::Asserted);
}

#[test]
fn unpowered_board_acknowledges_passively() {
    let strapping = Strapping::inline(2).expect("inline");
    assert_eq!(unpowered(&strapping, &BYPASS).ack, Line::Idle);
    assert_eq!(unpowered(&strapping, &FENCED).ack, Line::Asserted);
    let mut welded = FENCED;
    welded.contacts[1] = Contact::Normal;
    assert_eq!(unpowered(&strapping, &welded).ack, Line::Idle);
    let bypassing = Strapping::parallel(2).and_then(|s| s.with_power_off(CutState::Bypass));
    assert_eq!(
        bypassing,
        Err(StrappingError::StateMissing {
            state: RelayState::Bypass
        })
    );
}

#[test]
fn log_keeps_the_latest_and_tells_the_cause() {
    let (mut controller, session) = closed(1_000);
    for now in 1..=60 {
        let deadline = now + 900;
        controller
            .command(now, Command::Kick { session, deadline })
            .expect("kick");
        let contact = if now % 2 == 0 {
            Contact::Normal
        } else {
            Contact::Bypass
        };
        controller.inputs(now, Inputs::quiet(contact));
    }
    controller.tick(5_000);
    let range = controller.event_range();
    assert_eq!(range.end - range.start, 32);
    assert_eq!(controller.event(range.start - 1), None);
    let last: Vec<_> = range.filter_map(|n| controller.event(n)).collect();
    assert_eq!(last.len(), 32);
    let [.., expired, first, second] = last.as_slice() else {
        panic!("32 events")
    };
    assert_eq!((expired.kind, expired.tick), (EventKind::Expired, 5_000));
    for (event, number) in [(first, 0), (second, 1)] {
        assert_eq!(event.kind, EventKind::RelayCommanded);
        assert_eq!(event.segment, Segment::new(number));
        assert_eq!(event.state, Some(RelayState::Bypass));
        assert_eq!(Cause::from_code(event.detail), Some(Cause::Expiry));
    }
}

#[test]
fn unsafe_strappings_are_refused() {
    assert_eq!(
        Strapping::inline(0),
        Err(StrappingError::SegmentCount { found: 0 })
    );
    assert_eq!(
        Strapping::inline(9),
        Err(StrappingError::SegmentCount { found: 9 })
    );
    assert!(Strapping::inline(8).is_ok());
    let error = Strapping::inline(1).and_then(|s| s.with_ticket_max_age_ms(0));
    assert!(error.is_err_and(|error| error.to_string().contains("10 to 60000 ms")));
}

#[test]
fn time_does_not_run_backwards() {
    let (mut controller, session) = closed(100);
    controller.tick(90);
    controller.tick(10);
    assert_eq!(controller.now(), 90);
    let kick = Command::Kick {
        session,
        deadline: 100,
    };
    assert_eq!(controller.command(0, kick), Ok(Reply::Remaining(10)));
}
