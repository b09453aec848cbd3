use super::*;

const ONE: Root = [1; 32];
const TWO: Root = [2; 32];

const fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn news(state: SyncState, root: Root) -> SyncNews {
    SyncNews {
        roots: vec![root],
        categories: vec![CategoryNews {
            name: "vpn".to_owned(),
            slot: 0,
            state,
        }],
    }
}

fn same(root: Root, verified_ms_ago: u64) -> SyncNews {
    news(SyncState::InSync { verified_ms_ago }, root)
}

/// Compared at 10 s and the same; the peer says so too.
fn settled() -> Sync {
    let mut sync = Sync::default();
    sync.heard(at(9_000), &[ONE]);
    sync.told(at(10_200), Ok(same(ONE, 200)));
    sync
}

fn known(sync: &Sync, heard_ms: u64) -> Result<(), String> {
    // A minute of silence later: only what was so while the peer lived counts.
    sync.as_of(at(heard_ms + 60_000), at(heard_ms), "vpn")
}

#[test]
fn what_was_compared_while_the_peer_lived_counts_after_its_death() {
    let mut sync = settled();
    assert_eq!(known(&sync, 12_000), Ok(()));
    sync.told(at(12_500), Ok(news(SyncState::Unknown, ONE)));
    sync.told(at(13_000), Err("nobody answers".to_owned()));
    assert_eq!(known(&sync, 12_000), Ok(()));
}

#[test]
fn a_comparison_ages_while_the_peer_lives_on() {
    let mut sync = settled();
    sync.heard(at(10_400), &[]);
    assert_eq!(known(&sync, 15_000), Ok(()));
    let why = known(&sync, 15_001).unwrap_err();
    assert_eq!(
        why,
        "unknown: last compared 5 s before the peer was last heard"
    );
}

#[test]
fn a_newer_state_that_was_announced_withholds_until_it_is_here() {
    let mut sync = settled();
    sync.heard(at(11_000), &[TWO]);
    let why = known(&sync, 11_000).unwrap_err();
    assert_eq!(why, "the peer announced a newer state than is here");
    // It had arrived; only the agent had not asked yet.
    sync.told(at(11_400), Ok(news(SyncState::Unknown, TWO)));
    assert_eq!(known(&sync, 11_000), Ok(()));
}

#[test]
fn an_older_state_that_is_still_announced_withholds_nothing() {
    let mut sync = settled();
    sync.told(at(11_000), Ok(same(TWO, 0)));
    assert_eq!(known(&sync, 11_100), Ok(()));
    // Back to what it was, and never here again.
    sync.heard(at(11_200), &[TWO]);
    sync.heard(at(11_300), &[ONE]);
    assert!(known(&sync, 11_300).is_err());
}

#[test]
fn a_difference_stands_until_a_comparison_says_otherwise() {
    let mut sync = settled();
    sync.heard(at(10_900), &[TWO]);
    let differs = SyncState::Not("rejected by validation: line 7".to_owned());
    sync.told(at(11_000), Ok(news(differs, ONE)));
    sync.told(at(11_500), Ok(news(SyncState::Unknown, ONE)));
    let why = known(&sync, 11_600).unwrap_err();
    assert_eq!(why, "rejected by validation: line 7");
    sync.told(at(12_000), Ok(same(TWO, 0)));
    assert_eq!(known(&sync, 12_000), Ok(()));
}

#[test]
fn nothing_is_known_of_what_was_never_told() {
    let mut sync = Sync::default();
    sync.heard(at(1), &[ONE]);
    let silent = known(&sync, 1).unwrap_err();
    assert_eq!(silent, "the sync service said nothing yet");
    sync.told(at(2), Err("nobody answers".to_owned()));
    assert_eq!(known(&sync, 3).unwrap_err(), "nobody answers");
    sync.told(at(4), Ok(SyncNews::default()));
    let missing = known(&sync, 5).unwrap_err();
    assert_eq!(missing, "the sync service does not have it");
}

#[test]
fn news_that_are_old_are_not_announced() {
    let sync = settled();
    assert_eq!(sync.announce(at(15_200)), [ONE]);
    assert_eq!(sync.announce(at(15_201)), Vec::<Root>::new());
}

#[test]
fn roots_that_are_not_known_prove_nothing() {
    let mut sync = Sync::default();
    sync.heard(at(1), &[NO_ROOT]);
    sync.told(at(2), Ok(news(SyncState::Unknown, NO_ROOT)));
    assert_eq!(known(&sync, 3).unwrap_err(), "never compared");
}
