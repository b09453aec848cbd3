//! Dead-man: deadlines, sessions, sticky expiry.

use fencepost_firmware::{
    Cause, Command, Contact, Controller, CutState, Entropy, Inputs, Refusal, RelayState, Reply,
    SegmentMask, Setting, Strapping, TimerState,
};

use crate::bench::{BOTH, BYPASS, ENTROPY, arm, close, closed, drives, inline, power_up, segment};

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
