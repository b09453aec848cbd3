//! Whatever is sent, damaged, recorded and repeated.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn any_body_arrives_whole(
        body in prop::collection::vec(any::<u8>(), 0..=BODY_BYTES_MAX),
        kind in any::<u8>(),
    ) {
        let (mut a, mut b) = pair();
        meet(&mut a, &mut b);
        let kind = if kind < 128 { Kind::talk(kind) } else { Kind::fence(kind) };
        let frame = say(&mut a, kind, &body);
        let Ok(content) = hear(&mut b, &frame) else {
            return Err(TestCaseError::fail("refused"));
        };
        prop_assert_eq!((content.kind, content.body), (kind, &body[..]));
    }

    /// Any damage: one bit, a cut at any place, bytes added.
    #[test]
    fn no_damaged_frame_is_opened(
        body in prop::collection::vec(any::<u8>(), 0..60),
        bit in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
        extra in prop::collection::vec(any::<u8>(), 1..20),
    ) {
        let (mut a, mut b) = pair();
        meet(&mut a, &mut b);
        let frame = say(&mut a, TALK, &body);
        let mut flipped = frame.clone();
        let bit = bit.index(frame.len() * 8);
        flipped[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(hear(&mut b, &flipped).is_err());
        prop_assert!(hear(&mut b, &frame[..cut.index(frame.len())]).is_err());
        let mut longer = frame.clone();
        longer.extend_from_slice(&extra);
        prop_assert!(hear(&mut b, &longer).is_err());
        prop_assert!(is_fresh(&hear(&mut b, &frame)));
    }

    /// Whatever is recorded and whenever it is played back, no frame counts twice, and none of an earlier boot.
    #[test]
    fn no_content_counts_twice(script in prop::collection::vec((0_u8..6, any::<u8>()), 1..120)) {
        let (mut a, mut b) = pair();
        let mut tape: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut counted = std::collections::BTreeSet::new();
        let (mut boot_a, mut boot_b) = (0xA_u64, 0xB_u64);
        let mut latest = None;
        for (what, which) in script {
            let heard = match what {
                0 => { boot_a += 0x100; a = node(Side::Preferred, boot_a, &[1]); None }
                1 => { boot_b += 0x100; b = node(Side::Other, boot_b, &[1]); None }
                2 => { let frame = say(&mut b, TALK, b""); let _any = hear(&mut a, &frame); None }
                3 | 4 => { let frame = say(&mut a, TALK, b""); tape.push((boot_a, frame.clone())); Some((boot_a, frame)) }
                _ if tape.is_empty() => None,
                _ => Some(tape[usize::from(which) % tape.len()].clone()),
            };
            if let Some((boot, frame)) = heard
                && let Ok(content) = hear(&mut b, &frame)
                && content.standing == Standing::Fresh
            {
                prop_assert!(counted.insert((content.boot, content.counter)));
                // Boots grow here: once a later one counted, an earlier one never does again.
                prop_assert!(latest.is_none_or(|latest| boot >= latest));
                latest = Some(boot);
            }
        }
    }
}
