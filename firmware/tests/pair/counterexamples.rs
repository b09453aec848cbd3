//! Each test is one way in which a plausible protocol puts both nodes on the wire, or neither for ever.

use fencepost_firmware::{
    Command, Contact, Line, Proof, Refusal, RelayState, Reply, TimerState, VoidCause,
};

use crate::world::{A, B, World, series_three_state};

/// A confirms its fence and orders the close; the order waits. C_A loses power for a moment, so A's hold on B and
/// B's latch are gone, and B claims. Then the old order arrives.
#[test]
fn ce1_late_close_after_a_power_blip() {
    let mut world = World::parallel();
    world.arm_both();
    let ticket = world.ticket(A).expect("ticket");
    world.fence(A).expect("fence");
    world.run(30);
    assert!(world.controller(A).peer_fenced());

    world.power_down(A);
    world.run(3);
    world.power_up(A);
    world.run(20);
    world.claim(B);

    assert_eq!(world.close(A, ticket), Err(Refusal::Latched));
    world.cables[B].intact = false;
    world.run(20);
    assert!(!world.controller(A).latched());
    // Even unlatched, and even with the dead-man armed anew.
    world.arm(A, 60_000);
    assert_eq!(world.close(A, ticket), Err(Refusal::TicketUnknown));
    assert!(!world.connected(A));
}

/// The same without a power loss: the latch is set and cleared again while the order waits.
#[test]
fn ce1_late_close_after_a_cable_break() {
    let mut world = World::parallel();
    world.arm_both();
    let ticket = world.ticket(A).expect("ticket");
    let before = world.controller(A).generation();
    world.fence(B).expect("fence");
    world.run(20);
    world.cables[B].intact = false;
    world.run(20);

    assert!(!world.controller(A).latched());
    assert_eq!(world.controller(A).generation(), before.wrapping_add(2));
    let late = world.close_with(A, ticket, Proof::Released);
    assert_eq!(late, Err(Refusal::TicketVoid(VoidCause::LatchChanged)));
}

/// Both fence each other at once. Both latches must not lapse together: one holder stays.
#[test]
fn ce2_both_fence_at_once() {
    let mut world = World::parallel();
    world.arm_both();
    let tickets = [
        world.ticket(A).expect("ticket"),
        world.ticket(B).expect("ticket"),
    ];
    world.fence(A).expect("fence");
    world.fence(B).expect("fence");
    world.run(20);
    assert!(world.controller(A).latched() && world.controller(B).latched());
    for node in [A, B] {
        assert_eq!(world.close(node, tickets[node]), Err(Refusal::Latched));
    }

    world.run(200);
    assert!(
        world.controller(A).holds() && !world.controller(A).latched(),
        "the preferred wins"
    );
    assert!(!world.controller(B).holds() && world.controller(B).latched());
    // What was taken before the mutual fence is worth nothing; a new claim of the winner works.
    assert!(matches!(
        world.close(A, tickets[A]),
        Err(Refusal::TicketVoid(VoidCause::LatchChanged))
    ));
    let ticket = world.ticket(A).expect("ticket");
    assert_eq!(world.close(A, ticket), Ok(Reply::Done));
}

/// No ticket while latched, and unlatching voids one as well: a late release crosses a new fence.
#[test]
fn ce3_ticket_older_than_the_latch() {
    let mut world = World::parallel();
    world.arm_both();
    let early = world.ticket(A).expect("ticket");
    world.fence(B).expect("fence");
    world.run(20);
    assert_eq!(world.ticket(A), Err(Refusal::Latched));

    world.command(B, Command::Release).expect("release");
    world.run(20);
    assert!(!world.controller(A).latched());
    let late = world.close_with(A, early, Proof::Released);
    assert_eq!(late, Err(Refusal::TicketVoid(VoidCause::LatchChanged)));
}

/// An active node that was cut re-issues `Normal`: its ticket is used up, and a new one needs a new proof.
#[test]
fn ce4_normal_is_never_reissued() {
    let mut world = World::parallel();
    world.arm_both();
    let ticket = world.ticket(A).expect("ticket");
    assert_eq!(world.close_with(A, ticket, Proof::Solo), Ok(Reply::Done));
    world.run(20);
    world.fence(B).expect("fence");
    world.run(20);
    world.cables[B].intact = false;
    world.run(20);

    assert!(!world.controller(A).latched(), "the cable broke");
    assert!(
        !world.connected(A),
        "and nothing went back to Normal by itself"
    );
    assert_eq!(
        world.close_with(A, ticket, Proof::Solo),
        Err(Refusal::TicketVoid(VoidCause::Used))
    );
    let fresh = world.ticket(A).expect("ticket");
    assert_eq!(world.close(A, fresh), Err(Refusal::NotHolding));
    world.fence(A).expect("fence");
    assert_eq!(world.close(A, fresh), Err(Refusal::PeerNotAcknowledged));
}

/// Contacts alone acknowledge nothing: both start cut, and an order that has not arrived must not look confirmed.
#[test]
fn ce5_contact_alone_is_no_acknowledge() {
    let mut world = World::parallel();
    world.arm_both();
    assert!(!world.connected(A) && !world.connected(B));
    assert_eq!(world.boards[A].outputs().ack, Line::Idle);
    let ticket = world.ticket(B).expect("ticket");
    world.fence(B).expect("fence");
    assert_eq!(world.close(B, ticket), Err(Refusal::PeerNotAcknowledged));
}

/// The latch alone acknowledges nothing: contacts move later, or stick.
#[test]
fn ce5_latch_alone_is_no_acknowledge() {
    let mut world = World::parallel();
    world.arm_both();
    world.claim(A);
    world.command(A, Command::Release).expect("release");
    world.run(20);
    world.boards[A].relays[1].stuck = true;
    let ticket = world.ticket(B).expect("ticket");
    world.fence(B).expect("fence");
    world.run(100);

    assert!(world.controller(A).latched());
    assert_eq!(world.boards[A].contact(0), Contact::Disconnect);
    assert_eq!(world.boards[A].contact(1), Contact::Normal, "stuck");
    assert_eq!(world.boards[A].outputs().ack, Line::Idle);
    assert_eq!(world.close(B, ticket), Err(Refusal::PeerNotAcknowledged));
}

/// An acknowledge that has not read idle since our last release may be a stuck line.
#[test]
fn ce5_acknowledge_must_be_seen_to_change() {
    let mut world = World::parallel();
    world.arm_both();
    world.fence(B).expect("fence");
    world.run(30);
    assert!(world.controller(B).peer_fenced());
    world.command(B, Command::Release).expect("release");
    let ticket = world.ticket(B).expect("ticket");
    world.fence(B).expect("fence");
    assert_eq!(
        world.close(B, ticket),
        Err(Refusal::AcknowledgeNotSeenToChange)
    );
    assert!(!world.controller(B).peer_fenced());
}

/// A fences B, then A's host dies. B, latched and not preferred, must be able to follow.
#[test]
fn ce6_the_fenced_follows_a_dead_fencer() {
    let mut world = World::parallel();
    world.arm(A, 1_000);
    world.arm(B, 60_000);
    world.claim(A);
    world.run(1_000);
    assert_eq!(world.controller(A).timer(), TimerState::Expired);
    assert!(world.controller(A).holds(), "a dead host's hold stands");
    assert!(world.controller(B).latched());

    world.fence(B).expect("a latched controller may ask");
    world.run(30);
    assert!(!world.controller(A).holds());
    assert!(!world.controller(B).latched());
    let ticket = world.ticket(B).expect("ticket");
    assert_eq!(world.close(B, ticket), Ok(Reply::Done));
    world.run(500);
    assert!(world.connected(B) && !world.connected(A));
    assert!(world.controller(B).holds(), "the claim stands");
}

/// Without heartbeats the fenced node keeps asking. The owner of an acknowledged hold ignores it: one stays.
#[test]
fn ce7_no_endless_mutual_fencing() {
    let mut world = World::parallel();
    world.arm_both();
    world.claim(B);
    let before = world.controller(B).generation();
    for _ in 0..10 {
        world.fence(A).expect("ask");
        world.run(300);
        world.command(A, Command::Release).expect("release");
        world.run(30);
    }
    assert_eq!(world.controller(B).generation(), before);
    assert!(world.connected(B) && !world.connected(A));
}

/// A node without power answers: latch input and contacts are passive.
#[test]
fn ce8_power_cut_is_acknowledged() {
    let mut world = World::parallel();
    world.arm_both();
    world.claim(A);
    world.power_down(A);
    world.run(30);
    world.claim(B);
    assert!(!world.connected(A));

    // Its return finds the fence asserted: latched from the first instant.
    world.power_up(A);
    assert!(world.controller(A).latched());
    world.arm(A, 60_000);
    assert_eq!(world.ticket(A), Err(Refusal::Latched));
}

/// The preferred node with a broken cable holds in vain; that must not shield it from a good fence.
#[test]
fn ce9_an_unacknowledged_hold_protects_nobody() {
    let mut world = World::parallel();
    world.arm_both();
    world.cables[A].intact = false;
    world.fence(A).expect("fence");
    world.run(30);
    assert!(!world.controller(A).peer_fenced());
    world.claim(B);
    assert!(world.controller(A).latched());
}

/// The owner that its own host cuts loses its protection, and lets go only when its contacts are open.
#[test]
fn a_hold_drops_no_earlier_than_the_relay_opens() {
    let mut world = World::parallel();
    world.arm_both();
    world.claim(B);
    world.fence(A).expect("A keeps asking");
    world.run(10);
    world.cut(B).expect("cut");
    let mut dropped_while_connected = false;
    for _ in 0..60 {
        world.step();
        dropped_while_connected |= world.connected(B) && !world.controller(B).holds();
    }
    assert!(!dropped_while_connected);
    assert!(world.controller(B).latched() && !world.controller(B).holds());
    assert!(!world.controller(A).latched());
}

/// Series: a fence moves the relay to Bypass, even from an ordered Disconnect, which would cut the survivor's wire.
#[test]
fn series_fence_outranks_an_ordered_disconnect() {
    let mut world = World::new(series_three_state);
    world.arm_both();
    let cut = Command::Cut {
        segments: fencepost_firmware::SegmentMask::first(2),
        state: fencepost_firmware::CutState::Disconnect,
    };
    assert_eq!(world.command(A, cut), Ok(Reply::Done));
    world.run(20);
    assert_eq!(world.boards[A].contact(0), Contact::Disconnect);
    world.fence(B).expect("fence");
    world.run(20);
    assert_eq!(world.boards[A].contact(0), Contact::Bypass);
    assert_eq!(world.boards[A].outputs().ack, Line::Asserted);
    assert_eq!(
        world.command(A, cut),
        Ok(Reply::Superseded),
        "and while it lasts"
    );
    world.run(20);
    assert_eq!(world.boards[A].outputs().relays[0], RelayState::Bypass);
}
