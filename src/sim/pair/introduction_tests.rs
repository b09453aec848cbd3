//! Two whole nodes that tell each other who they are.

use core::time::Duration;

use super::directed_tests::settled;
use super::means_tests::status;
use super::mishaps::Mishap;
use super::scenario::Setup;
use super::world::{Due, World};
use crate::node::pair::preflight::Fit;

fn named() -> World {
    settled(Setup {
        named: 2,
        ..Setup::plain()
    })
}

/// As `node` knows the other one's host.
fn told(world: &World, node: usize) -> Option<String> {
    let peer = status(world, node).peer?;
    Some(peer.introduction?.host.to_string())
}

#[test]
fn both_know_each_others_names_soon_after_they_talk() {
    let world = named();
    assert_eq!(told(&world, 0).as_deref(), Some("gate-1"));
    assert_eq!(told(&world, 1).as_deref(), Some("gate-0"));
    let found = status(&world, 0).preflight;
    let says = |what: &str| {
        found
            .iter()
            .any(|it| it.fit == Fit::Good && it.sentence == what)
    };
    assert!(says("this host is gate-0, the peer is gate-1"), "{found:?}");
}

#[test]
fn what_an_earlier_start_told_is_forgotten_and_told_anew() {
    let mut world = named();
    for (named, expected) in [(1, None), (2, Some("gate-1"))] {
        world.setup.named = named;
        let back = Some(Duration::from_millis(100));
        world.put(
            Duration::ZERO,
            Due::Mishap(Mishap::AgentDies { node: 1, back }),
        );
        world.run_for(Duration::from_millis(800));
        assert!(status(&world, 0).talking);
        assert_eq!(told(&world, 0).as_deref(), expected);
        assert_eq!(told(&world, 1).as_deref(), Some("gate-0"));
    }
    assert_eq!(world.ledger.broken, None);
}

/// Nodes that tell nothing, as older ones do: that is said, and never passes for good.
#[test]
fn an_older_peer_is_not_told_of() {
    let world = settled(Setup {
        named: 1,
        ..Setup::plain()
    });
    let found = status(&world, 0).preflight;
    let untold = found
        .iter()
        .find(|it| it.sentence.contains("not told by the peer"));
    assert_eq!(untold.map(|it| it.fit), Some(Fit::Warns), "{found:?}");
    assert_eq!(
        told(&world, 1).as_deref(),
        Some("gate-0"),
        "the newer one tells all the same"
    );
}
