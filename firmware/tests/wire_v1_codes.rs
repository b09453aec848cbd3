//! The numbers of protocol version 1, frozen: registers, outcomes, enumerations.
//!
//! If a test in this file fails, do not change the test, see `wire_v1.rs`.

use fencepost_firmware::wire::{OrderResult, Register, Report};
use fencepost_firmware::{
    Cause, Contact, CutPath, CutState, EventKind, Proof, Rank, Refusal, RelayState, Reply, Setting,
    TimerState, VoidCause,
};

#[test]
fn register_numbers() {
    let numbers = [
        0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A, 0x10, 0x11, 0x12, 0x13,
        0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x20, 0x21, 0x22, 0x23,
    ];
    assert_eq!(Register::ALL.map(Register::code), numbers);
    for register in Register::ALL {
        assert_eq!(Register::from_code(register.code()), Some(register));
    }
    assert_eq!(Register::from_code(0x0B), None);
}

#[test]
fn outcome_codes() {
    let replies = [
        (0, Reply::Done),
        (1, Reply::Unchanged),
        (2, Reply::Superseded),
        (3, Reply::Ticket(9)),
        (4, Reply::Session(9)),
        (5, Reply::Remaining(9)),
    ];
    let refusals = [
        (0x80, Refusal::Malformed),
        (0x81, Refusal::NoSuchSegment),
        (0x82, Refusal::StateNotAllowed),
        (0x83, Refusal::SettingFixed),
        (0x84, Refusal::StaleSession),
        (0x85, Refusal::TimerNotRunning),
        (0x86, Refusal::Expired),
        (0x87, Refusal::NotExpired),
        (0x88, Refusal::DeadlinePassed),
        (0x89, Refusal::WindowOutOfRange),
        (0x8A, Refusal::Latched),
        (0x8B, Refusal::TicketUnknown),
        (0x8C, Refusal::NotArmed),
        (0x8D, Refusal::StillClosed),
        (0x8E, Refusal::NotHolding),
        (0x8F, Refusal::PeerNotAcknowledged),
        (0x90, Refusal::AcknowledgeNotSeenToChange),
        (0x91, Refusal::InputsStale),
        (0x92, Refusal::OrderTooOld),
        (0x93, Refusal::TickAhead),
        (0xC1, Refusal::TicketVoid(VoidCause::LatchChanged)),
        (0xC2, Refusal::TicketVoid(VoidCause::Expiry)),
        (0xC3, Refusal::TicketVoid(VoidCause::OwnCut)),
        (0xC4, Refusal::TicketVoid(VoidCause::HoldDropped)),
        (0xC5, Refusal::TicketVoid(VoidCause::Newer)),
        (0xC6, Refusal::TicketVoid(VoidCause::Aged)),
        (0xC7, Refusal::TicketVoid(VoidCause::Used)),
    ];
    let replies = replies.map(|(code, reply)| (code, Ok(reply)));
    let refusals = refusals.map(|(code, refusal)| (code, Err(refusal)));
    for (code, outcome) in replies.into_iter().chain(refusals) {
        let result = OrderResult {
            sequence: 1,
            register: 0x10,
            outcome: Some(outcome),
            generation: 0,
            tick: 0,
        };
        let payload = result.encode();
        assert_eq!(payload.as_slice()[3], code, "{outcome:?}");
        assert_eq!(OrderResult::decode(payload.as_slice()), Some(result));
    }
}

#[test]
fn codes() {
    use EventKind as E;
    let events = [
        E::PowerUp,
        E::RelayCommanded,
        E::ContactRead,
        E::LatchSet,
        E::LatchCleared,
        E::HoldTaken,
        E::HoldReleased,
        E::HoldYielded,
        E::Armed,
        E::Disarmed,
        E::Expired,
        E::ExpiryAcknowledged,
        E::Closed,
        E::CloseRefused,
        E::SettingChanged,
    ];
    assert_eq!(
        events.map(EventKind::code),
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
    );
    use Cause as C;
    let causes = [
        C::PowerUp,
        C::HostClose,
        C::HostCut,
        C::FenceLatch,
        C::LatchCleared,
        C::Expiry,
    ];
    assert_eq!(causes.map(Cause::code), [1, 2, 3, 4, 5, 6]);
    use Proof as P;
    let proofs = [
        P::Fenced,
        P::Released,
        P::LeaseExpired,
        P::OperatorConfirmed,
        P::NotServing,
        P::Solo,
    ];
    assert_eq!(proofs.map(Proof::code), [1, 2, 3, 4, 5, 6]);
    use Setting as S;
    let settings = [S::RunTime, S::PowerUp, S::PowerOff, S::Expiry];
    assert_eq!(settings.map(Setting::code), [1, 2, 3, 4]);
    use RelayState as R;
    assert_eq!(
        [R::Normal, R::Bypass, R::Disconnect].map(RelayState::code),
        [1, 2, 3]
    );
    assert_eq!(
        [CutState::Bypass, CutState::Disconnect].map(CutState::code),
        [2, 3]
    );
    use Contact as K;
    let contacts = [K::Unknown, K::Normal, K::Bypass, K::Disconnect];
    assert_eq!(contacts.map(Contact::code), [0, 1, 2, 3]);
    use TimerState as T;
    assert_eq!(
        [T::Disarmed, T::Running, T::Expired].map(TimerState::code),
        [1, 2, 3]
    );
    assert_eq!([Rank::Ordinary, Rank::Preferred].map(Rank::code), [1, 2]);
    assert_eq!(
        [CutPath::Direct, CutPath::BreakAllFirst].map(CutPath::code),
        [1, 2]
    );
}
