//! What the agent knows of state sync.

use fencepost::node::Instant;
use fencepost::node::pair::sync::{Roots, SyncStatus};

use super::Page;

pub(super) fn render(page: &mut Page, kept: &SyncStatus, now: Instant) {
    let name = "fencepost_pair_sync_roots";
    page.family(name, "gauge", "1 for what both nodes hold, compared.");
    for (word, roots) in [
        ("equal", Roots::Equal),
        ("differ", Roots::Differ),
        ("unknown", Roots::Unknown),
    ] {
        page.sample(name, &[("roots", word)], u8::from(kept.roots == roots));
    }
    page.gauge(
        "fencepost_pair_sync_withholds_takeover",
        "Whether a takeover that nobody ordered would wait for state in sync.",
        u8::from(!kept.withholds.is_empty()),
    );
    let name = "fencepost_pair_sync_verified_age_seconds";
    page.family(name, "gauge", "Since both were last seen to hold the same.");
    for category in &kept.categories {
        if let Some(at) = category.verified_at {
            let age = now.since(at).as_secs_f64();
            page.sample(name, &[("category", &category.name)], age);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fencepost::node::pair::sync::SyncCategoryStatus;

    use super::super::{Freshness, render};
    use super::*;
    use crate::cli::status::sample;

    #[test]
    fn values_of_a_backup_that_is_kept_alike() {
        let mut status = sample::healthy();
        let mut pair = sample::backup();
        pair.sync = Some(SyncStatus {
            roots: Roots::Equal,
            categories: vec![SyncCategoryStatus {
                name: "vpn".to_owned(),
                in_sync: Some(true),
                verified_at: Some(sample::AT - Duration::from_millis(250)),
                why: None,
                required: true,
            }],
            ..SyncStatus::default()
        });
        status.node.pair = Some(pair);
        let text = render(&status, Freshness::Fresh);
        for line in [
            "fencepost_pair_sync_roots{roots=\"equal\"} 1",
            "fencepost_pair_sync_roots{roots=\"unknown\"} 0",
            "fencepost_pair_sync_withholds_takeover 0",
            "fencepost_pair_sync_verified_age_seconds{category=\"vpn\"} 0.25",
        ] {
            assert!(
                text.lines().any(|it| it == line),
                "missing `{line}` in\n{text}"
            );
        }
    }
}
