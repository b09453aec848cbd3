use super::super::frame::FRAME_BYTES_MAX;
use super::super::keys::Secret;
use super::*;

const TALK: Kind = Kind::talk(1);
const ORDER: Kind = Kind::fence(1);

fn secret(from: u8) -> Secret {
    Secret::new(core::array::from_fn(|at| {
        from.wrapping_add(u8::try_from(at).unwrap())
    }))
}

fn ring(secrets: &[u8]) -> KeyRing {
    let secrets: Vec<Secret> = secrets.iter().map(|one| secret(*one)).collect();
    KeyRing::new(&secrets).unwrap()
}

fn links() -> [LinkId; 2] {
    [LinkId::of("ha"), LinkId::of("lan")]
}

fn node(side: Side, boot: u64, keys: &[u8]) -> Channel {
    let identity = Identity {
        side,
        boot: BootId(boot),
        seed: core::array::from_fn(|at| boot.to_be_bytes()[at % 8] ^ u8::try_from(at).unwrap()),
    };
    Channel::new(identity, ring(keys), &links())
}

fn pair() -> (Channel, Channel) {
    (
        node(Side::Preferred, 0xA, &[1]),
        node(Side::Other, 0xB, &[1]),
    )
}

fn ms(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn say(from: &mut Channel, kind: Kind, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let counter = from.counter + 1;
    from.seal(ms(0), links()[0], counter, kind, body, &mut frame)
        .unwrap();
    frame
}

fn hear<'a>(to: &mut Channel, frame: &'a [u8]) -> Result<Opened<'a>, Refusal> {
    to.open(ms(1), links()[0], frame)
}

fn standing(opened: &Result<Opened<'_>, Refusal>) -> Result<Standing, Refusal> {
    opened.map(|opened| opened.standing)
}

fn is_fresh(opened: &Result<Opened<'_>, Refusal>) -> bool {
    matches!(opened, Ok(opened) if opened.standing == Standing::Fresh)
}

/// One frame each way; whether each counted.
fn exchange(one: &mut Channel, other: &mut Channel) -> (bool, bool) {
    let there = is_fresh(&hear(other, &say(one, TALK, b"there")));
    let back = is_fresh(&hear(one, &say(other, TALK, b"back")));
    (there, back)
}

fn meet(one: &mut Channel, other: &mut Channel) {
    let met = (0..4).any(|_| exchange(one, other) == (true, true));
    assert!(met, "two nodes with one key do not meet");
}

/// Version 1, as it will be for ever. The tag was computed by another implementation of HMAC from the layout alone.
#[test]
fn the_bytes_of_version_1_are_frozen() {
    let mut node = node(Side::Preferred, 0x0102_0304_0506_0708, &[1]);
    let frame = say(&mut node, Kind::talk(3), b"fencepost");
    let hex: Vec<String> = frame.iter().map(|byte| format!("{byte:02x}")).collect();
    let lines: Vec<String> = hex.chunks(8).map(|line| line.concat()).collect();
    let expected = [
        "464e435001030100", // magic, version, kind 3, side preferred, 0
        "00090000c98d8d28", // 9 bytes of body, 0, key
        "c98d8d28d648a29e", // newest key, link "ha"
        "0102030405060708", // boot
        "0000000000000001", // counter
        "e4aa159a15f31f2b", // challenge
        "0000000000000000", // echo: nobody was heard
        "0000000100000000", // sequence 1 on the link, none heard
        "0000000000000000", // held 0 µs, 0
        "66656e6365706f73", // body
        "744e6ee5d04186c8", // its end, tag
        "f378bf3f7a8d8a5f",
        "dda1ef9b38d594f3",
        "bb0f9a4895a4027f",
        "7e",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_fence_order_is_sealed_with_another_key() {
    let make = |kind| {
        let mut node = node(Side::Other, 7, &[1]);
        say(&mut node, kind, b"")
    };
    let (talk, order) = (make(Kind::talk(1)), make(Kind::fence(1)));
    // An order whose tag was made with the key for talk, over exactly its bytes.
    let ring = ring(&[1]);
    let signed = &order[..order.len() - 32];
    let wrong = ring
        .tag(ring.newest(), Kind::talk(1).purpose(), Side::Other, signed)
        .unwrap();
    assert_ne!(wrong[..], order[order.len() - 32..]);
    let mut forged = signed.to_vec();
    forged.extend_from_slice(&wrong);
    let mut to = node(Side::Preferred, 8, &[1]);
    assert_eq!(hear(&mut to, &forged), Err(Refusal::Tag));
    assert!(hear(&mut to, &talk).is_ok());
}

#[test]
fn two_nodes_meet_and_then_every_frame_counts() {
    let (mut a, mut b) = pair();
    // Nobody has heard anybody: authentic, and yet nothing counts.
    let first = say(&mut a, TALK, b"x");
    assert_eq!(standing(&hear(&mut b, &first)), Ok(Standing::Unproven));
    meet(&mut a, &mut b);
    for _ in 0..300 {
        assert_eq!(exchange(&mut a, &mut b), (true, true));
    }
    assert_eq!(
        (a.peer_boot(), b.peer_boot()),
        (Some(BootId(0xB)), Some(BootId(0xA)))
    );
}

#[test]
fn content_and_counter_arrive_as_sealed() {
    let (mut a, mut b) = pair();
    meet(&mut a, &mut b);
    let mut frame = Vec::new();
    a.seal(ms(5), links()[1], 77, ORDER, b"cut", &mut frame)
        .unwrap();
    let Ok(content) = b.open(ms(6), links()[1], &frame) else {
        panic!("refused")
    };
    assert_eq!(
        (content.counter, content.kind, content.body),
        (77, ORDER, &b"cut"[..])
    );
    assert_eq!(content.boot, BootId(0xA));
}

#[test]
fn a_copy_is_refused_and_an_overtaken_frame_says_nothing() {
    let (mut a, mut b) = pair();
    meet(&mut a, &mut b);
    let (old, new) = (say(&mut a, TALK, b"old"), say(&mut a, TALK, b"new"));
    assert!(is_fresh(&hear(&mut b, &new)));
    assert_eq!(hear(&mut b, &new), Err(Refusal::Replayed));
    assert_eq!(standing(&hear(&mut b, &old)), Ok(Standing::Late));
    assert_eq!(hear(&mut b, &old), Err(Refusal::Replayed));
    let first = say(&mut a, TALK, b"first");
    for _ in 0..200 {
        let frame = say(&mut a, TALK, b"");
        assert!(is_fresh(&hear(&mut b, &frame)));
    }
    assert_eq!(hear(&mut b, &first), Err(Refusal::TooOld));
    assert_eq!(b.counts().refused(Refusal::Replayed), 2);
}

/// One message over two links: it counts once, and is a sign of life of both.
#[test]
fn a_message_has_one_counter_on_all_links() {
    let (mut a, mut b) = pair();
    meet(&mut a, &mut b);
    let mut frame = Vec::new();
    let mut heard = |link, counter| {
        a.seal(ms(5), link, counter, TALK, b"m", &mut frame)
            .unwrap();
        standing(&b.open(ms(6), link, &frame))
    };
    let [ha, lan] = links();
    assert_eq!(heard(ha, 50), Ok(Standing::Fresh));
    assert_eq!(heard(lan, 50), Ok(Standing::Late));
    assert_eq!(heard(lan, 51), Ok(Standing::Fresh));
    assert_eq!(heard(ha, 51), Ok(Standing::Late));
    let lives: Vec<_> = b.paths().map(|(_, path)| path.last_heard).collect();
    assert_eq!(lives, [Some(ms(6)), Some(ms(6))]);
}

/// Frames that one link held back are worth nothing there either, once the other link has gone on.
#[test]
fn a_dead_link_is_not_kept_alive_by_what_it_swallowed() {
    let (mut a, mut b) = pair();
    meet(&mut a, &mut b);
    let lan = links()[1];
    let mut held = Vec::new();
    a.seal(ms(5), lan, 50, TALK, b"", &mut held).unwrap();
    let mut frame = Vec::new();
    for counter in 51..200 {
        a.seal(ms(5), links()[0], counter, TALK, b"", &mut frame)
            .unwrap();
        assert!(is_fresh(&hear(&mut b, &frame)));
    }
    assert_eq!(b.open(ms(9), lan, &held), Err(Refusal::TooOld));
}

#[test]
fn what_the_peer_said_before_our_restart_changes_nothing() {
    let (mut a, mut b) = pair();
    meet(&mut a, &mut b);
    let tape: Vec<Vec<u8>> = (0..50).map(|_| say(&mut a, TALK, b"active")).collect();
    let orders: Vec<Vec<u8>> = (0..50).map(|_| say(&mut a, ORDER, b"cut")).collect();
    let mut b = node(Side::Other, 0xBB, &[1]);
    for frame in &tape {
        assert_eq!(standing(&hear(&mut b, frame)), Ok(Standing::Unproven));
    }
    for frame in &orders {
        assert_eq!(hear(&mut b, frame), Err(Refusal::UnprovenFence));
    }
    // Not even after the true peer was met.
    meet(&mut a, &mut b);
    for frame in tape.iter().chain(&orders) {
        assert!(!is_fresh(&hear(&mut b, frame)));
    }
}

#[test]
fn what_an_earlier_boot_of_the_peer_said_changes_nothing() {
    let (mut a, mut b) = pair();
    meet(&mut a, &mut b);
    let tape: Vec<Vec<u8>> = (0..20).map(|_| say(&mut a, ORDER, b"cut")).collect();
    // Twenty restarts of the peer: no list of old boots could be long enough.
    for boot in 0..20 {
        a = node(Side::Preferred, 0xA000 + boot, &[1]);
        meet(&mut a, &mut b);
        for frame in &tape {
            assert_eq!(hear(&mut b, frame), Err(Refusal::UnprovenFence));
        }
        assert_eq!(exchange(&mut a, &mut b), (true, true));
    }
}

/// A boot whose frames were held back by somebody in between, and let through after it was over.
#[test]
fn held_back_frames_of_a_lost_boot_never_count() {
    let (mut a, mut b) = pair();
    meet(&mut a, &mut b);
    let mut lost = node(Side::Preferred, 0xA1, &[1]);
    // It hears us, so it echoes our present challenge; nothing of it gets through.
    let ours = say(&mut b, TALK, b"");
    let _first = hear(&mut lost, &ours);
    let tape: Vec<Vec<u8>> = (0..20).map(|_| say(&mut lost, TALK, b"active")).collect();
    for frame in &tape {
        assert_eq!(standing(&hear(&mut b, frame)), Ok(Standing::Unproven));
    }
    let mut a = node(Side::Preferred, 0xA2, &[1]);
    meet(&mut a, &mut b);
    assert_eq!(b.peer_boot(), Some(BootId(0xA2)));
    for frame in &tape {
        assert!(!is_fresh(&hear(&mut b, frame)));
    }
}

/// Copies of an earlier boot, between all frames of the true peer, delay the meeting and do not prevent it.
#[test]
fn a_flood_of_copies_does_not_keep_two_nodes_apart() {
    let (mut a, mut b) = pair();
    meet(&mut a, &mut b);
    let tape: Vec<Vec<u8>> = (0..20).map(|_| say(&mut a, TALK, b"")).collect();
    let mut a = node(Side::Preferred, 0xA1, &[1]);
    let mut b = node(Side::Other, 0xB1, &[1]);
    let mut met = 0;
    for round in 0..40 {
        let _copy = hear(&mut b, &tape[round % 20]);
        if exchange(&mut a, &mut b) == (true, true) {
            met += 1;
        }
    }
    assert!(met > 30, "met in {met} of 40 rounds");
}

#[test]
fn one_who_is_not_heard_is_heard_as_unproven_only_until_he_hears() {
    let (mut a, mut b) = pair();
    // b hears a; a hears nothing.
    for _ in 0..10 {
        let frame = say(&mut a, TALK, b"");
        assert_eq!(standing(&hear(&mut b, &frame)), Ok(Standing::Unproven));
    }
    meet(&mut a, &mut b);
    // Later loss in one direction takes nothing from the other.
    for _ in 0..10 {
        let _lost = say(&mut b, TALK, b"");
        let frame = say(&mut a, TALK, b"");
        assert!(is_fresh(&hear(&mut b, &frame)));
    }
}

#[test]
fn reflected_and_misdirected_frames_are_refused() {
    let (mut a, mut b) = pair();
    meet(&mut a, &mut b);
    let frame = say(&mut a, TALK, b"");
    assert_eq!(hear(&mut a, &frame), Err(Refusal::OwnSide));
    assert_eq!(b.open(ms(1), links()[1], &frame), Err(Refusal::OtherLink));
    // A forger turns the side round: the tag knows better.
    let mut turned = say(&mut a, TALK, b"");
    turned[6] = 2;
    assert_eq!(hear(&mut a, &turned), Err(Refusal::Tag));
}

#[test]
fn keys_rotate_without_a_frame_lost() {
    let mut a = node(Side::Preferred, 0xA, &[1]);
    let mut b = node(Side::Other, 0xB, &[1]);
    meet(&mut a, &mut b);
    let (old, new) = (ring(&[1]).newest(), ring(&[2]).newest());
    let steps: [(&[u8], &[u8], _); 5] = [
        (&[1, 2], &[1], old),
        (&[1, 2], &[1, 2], new),
        (&[1, 2], &[2], new),
        (&[2], &[2], new),
        (&[2, 3], &[2], new),
    ];
    for (keys_a, keys_b, expected) in steps {
        a.replace_keys(ring(keys_a));
        b.replace_keys(ring(keys_b));
        for _ in 0..10 {
            assert_eq!(
                exchange(&mut a, &mut b),
                (true, true),
                "{keys_a:?} {keys_b:?}"
            );
        }
        assert_eq!((a.sending_key(), b.sending_key()), (expected, expected));
    }
}

#[test]
fn nodes_that_start_in_the_middle_of_a_rotation_meet() {
    for (keys_a, keys_b) in [([1, 2], [2, 3]), ([1, 2], [3, 1]), ([4, 3], [3, 2])] {
        let mut a = node(Side::Preferred, 0xA, &keys_a);
        let mut b = node(Side::Other, 0xB, &keys_b);
        let met = (0..20).filter(|_| exchange(&mut a, &mut b) == (true, true));
        assert!(met.count() > 10, "{keys_a:?} {keys_b:?}");
    }
}

/// A node that forgot the new key (restored from a backup) is met again with the old one.
#[test]
fn a_peer_that_lost_the_newest_key_is_met_again() {
    let mut a = node(Side::Preferred, 0xA, &[1, 2]);
    let mut b = node(Side::Other, 0xB, &[1, 2]);
    meet(&mut a, &mut b);
    assert_eq!(a.sending_key(), ring(&[2]).newest());
    let mut b = node(Side::Other, 0xB1, &[1]);
    let met = (0..20).filter(|_| exchange(&mut a, &mut b) == (true, true));
    assert!(met.count() > 10);
}

#[test]
fn a_stranger_is_counted_and_changes_nothing() {
    let (mut a, mut b) = pair();
    meet(&mut a, &mut b);
    let mut stranger = node(Side::Preferred, 0xA, &[9]);
    for _ in 0..5 {
        let frame = say(&mut stranger, ORDER, b"cut");
        assert_eq!(hear(&mut b, &frame), Err(Refusal::UnknownKey));
    }
    let mut frame = say(&mut a, TALK, b"");
    frame[4] = 2;
    assert_eq!(hear(&mut b, &frame), Err(Refusal::Version));
    assert_eq!(hear(&mut b, b"GET / HTTP/1.1"), Err(Refusal::TooShort));
    assert_eq!(hear(&mut b, &[0x55; 400]), Err(Refusal::Magic));
    assert_eq!(
        hear(&mut b, &[0; FRAME_BYTES_MAX + 1]),
        Err(Refusal::TooLong)
    );
    assert_eq!(b.counts().refused(Refusal::UnknownKey), 5);
    assert_eq!(b.counts().refused_in_all(), 9);
    assert_eq!(exchange(&mut a, &mut b), (true, true));
}

#[test]
fn bodies_have_a_limit() {
    let (mut a, _) = pair();
    let mut out = Vec::new();
    let mut seal = |bytes: usize| a.seal(ms(0), links()[0], 1, TALK, &vec![0; bytes], &mut out);
    assert_eq!(
        seal(BODY_BYTES_MAX + 1),
        Err(SealError::TooLong(BODY_BYTES_MAX + 1))
    );
    assert_eq!(seal(70_000), Err(SealError::TooLong(70_000)));
    assert!(seal(BODY_BYTES_MAX).is_ok());
    assert_eq!(out.len(), FRAME_BYTES_MAX);
    let nowhere = a.seal(ms(0), LinkId::of("x"), 2, TALK, b"", &mut out);
    assert_eq!(nowhere, Err(SealError::NoLink));
    let again = a.seal(ms(0), links()[0], 1, TALK, b"", &mut out);
    assert_eq!(again, Err(SealError::Counter(1)));
}

#[test]
fn loss_and_round_trip_are_those_of_the_link() {
    let (mut a, mut b) = pair();
    meet(&mut a, &mut b);
    let link = links()[1];
    let mut frame = Vec::new();
    let quality = |node: &Channel| node.paths().find(|(one, _)| *one == link).unwrap().1;
    for round in 0..40_u64 {
        let t = 100 + 10 * round;
        a.seal(ms(t), link, 1000 + round, TALK, b"", &mut frame)
            .unwrap();
        // Every fourth is lost on its way to b; the way takes 2 ms, b answers after 3 ms.
        if round % 4 != 3 {
            assert!(b.open(ms(t + 2), link, &frame).is_ok());
        }
        b.seal(ms(t + 5), link, 1000 + round, TALK, b"", &mut frame)
            .unwrap();
        assert!(a.open(ms(t + 7), link, &frame).is_ok());
    }
    // The last gap is open: nothing came after it.
    assert_eq!((quality(&b).heard, quality(&b).lost), (30, 9));
    assert_eq!((quality(&a).heard, quality(&a).lost), (40, 0));
    let trip = core::time::Duration::from_millis(4);
    assert_eq!(quality(&a).round_trip, Some(trip));
    assert_eq!(quality(&a).round_trip_max, Some(trip));
    assert_eq!(quality(&a).peer_heard.map(|(_, at)| at), Some(ms(480)));
}

/// Every message goes over every link, so one that carries nothing at all is seen to lose everything.
#[test]
fn a_link_misses_what_came_over_the_others() {
    let (mut a, mut b) = pair();
    meet(&mut a, &mut b);
    let mut frame = Vec::new();
    let missing = |node: &Channel, link: usize| {
        let quality = node.paths().find(|(one, _)| *one == links()[link]);
        let (_, quality) = quality.unwrap();
        (quality.missing, quality.of)
    };
    for counter in 100..500_u64 {
        for (at, link) in links().into_iter().enumerate() {
            a.seal(ms(counter), link, counter, TALK, b"", &mut frame)
                .unwrap();
            // The first link is whole. The second loses every fourth frame, and from 300 on all of them.
            if at == 0 || (counter % 4 != 0 && counter < 300) {
                assert!(b.open(ms(counter), link, &frame).is_ok());
            }
        }
        match counter {
            299 => {
                assert_eq!(missing(&b, 0), (0, 128));
                assert_eq!(missing(&b, 1), (32, 128));
            }
            // The newest few may still be on their way.
            303 => assert_eq!(missing(&b, 1), (32, 128)),
            305 => assert_eq!(missing(&b, 1), (33, 128)),
            _ => {}
        }
    }
    assert_eq!(missing(&b, 0), (0, 128));
    assert_eq!(missing(&b, 1), (128, 128));
    assert_eq!(
        missing(&node(Side::Other, 9, &[1]), 0),
        (0, 0),
        "nothing heard, nothing said"
    );
}

#[path = "channel_properties.rs"]
mod properties;
