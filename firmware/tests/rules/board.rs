//! Power-up, cut, settings, chained path, passive board, log.

use fencepost_firmware::{
    Cause, Command, Contact, Controller, CutState, EventKind, Inputs, Line, NonVolatile, Refusal,
    RelayState, Reply, Segment, SegmentMask, Setting, Strapping, StrappingError, TimerState,
    unpowered,
};

use crate::bench::{
    BYPASS, ENTROPY, FENCED, arm, close, closed, drives, inline, power_up, segment,
};

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

/// A segment just told to close still reads its old contact; that is not "all parted".
#[test]
fn chained_does_not_trust_contacts_that_are_about_to_move() {
    let mut controller = power_up(Strapping::chained(2).expect("chained"), BYPASS);
    arm(&mut controller, 0, 10_000);
    close(&mut controller, 0).expect("closed");
    let cut = Command::Cut {
        segments: SegmentMask(0b01),
        state: CutState::Bypass,
    };
    controller.command(1, cut).expect("cut");
    assert_eq!(
        drives(&controller),
        [RelayState::Disconnect, RelayState::Normal]
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
