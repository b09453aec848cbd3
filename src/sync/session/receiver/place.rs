//! One category on the Backup's side.

use crate::entry::Roots;
use crate::frame::{Changed, Refusal, Stage, Text};
use crate::lineage::{CommitRecord, Lineage};
use crate::manifest::Manifest;
use crate::session::setup::Own;
use crate::session::status::{CategoryStatus, Reason, State};
use crate::session::{BELIEVED_FOR, Moment, millis};

#[derive(Debug)]
pub(super) struct Place {
    pub(super) own: Own,
    pub(super) barred: Option<Reason>,
    /// The Active's roots, and when it told them.
    pub(super) theirs: Option<(Roots, Moment)>,
    pub(super) refused: Option<(Reason, String)>,
    /// Why the programs of this node did not take up what is in place.
    pub(super) not_taken_up: Option<String>,
    /// Since when something of the Active's is lacking here, as the Active says.
    pub(super) behind_since: Option<Moment>,
    /// When both were last known to be equal.
    same_at: Option<Moment>,
}

impl Place {
    pub(super) const fn new(own: Own) -> Self {
        Self {
            own,
            barred: None,
            theirs: None,
            refused: None,
            not_taken_up: None,
            behind_since: None,
            same_at: None,
        }
    }

    /// The Active says what it has.
    pub(super) fn told(&mut self, now: Moment, roots: Roots) {
        self.theirs = Some((roots, now));
        if self.is_same(roots) {
            self.same_at = Some(now);
        }
    }

    /// The Active says for how long something has been lacking here.
    pub(super) fn behind(&mut self, now: Moment, for_ms: Option<u64>) {
        let since = |ms| now.saturating_sub(Moment::from_millis(ms));
        self.behind_since = for_ms.map(since);
    }

    fn is_same(&self, theirs: Roots) -> bool {
        let local = self.own.local.as_ref();
        let same = local.is_some_and(|local| local.roots.content == theirs.content);
        same && self.behind_since.is_none()
    }

    /// The tree there shall be, if it can be.
    pub(super) fn next(&self, stage: &Stage, changes: Vec<Changed>) -> Result<Manifest, Refusal> {
        let malformed = |what: &dyn std::fmt::Display| Refusal::Malformed(Text::new(what));
        let local = self.own.local.as_ref().ok_or(Refusal::BaseMoved)?;
        if local.roots.content != stage.base {
            return Err(Refusal::BaseMoved);
        }
        self.lineage_after(stage)?;
        let mut next = (*local.manifest).clone();
        for Changed { path, entry } in changes {
            match entry {
                Some(entry) => drop(next.insert(path, entry)),
                None => drop(next.remove(&path)),
            }
        }
        next.check().map_err(|error| malformed(&error))?;
        if next.roots().content != stage.record.root {
            return Err(malformed(&"its root is not the announced one"));
        }
        let policy = &self.own.policy;
        let refused = |error: &dyn std::fmt::Display| Refusal::Policy(Text::new(error));
        policy.check(&next).map_err(|error| refused(&error))?;
        if !stage.deletions_meant {
            let guard = policy.deletions.check(&local.manifest, &next);
            guard.map_err(|error| Refusal::Deletions(Text::new(error)))?;
        }
        Ok(next)
    }

    /// Whether what is remembered here is given up.
    pub(super) fn is_replaced(&self, stage: &Stage) -> bool {
        self.own.lineage.newest().is_none() || stage.replaces_history
    }

    /// What will be remembered.
    pub(super) fn lineage_after(&self, stage: &Stage) -> Result<Lineage, Refusal> {
        let mut lineage = self.own.lineage.clone();
        let records: Vec<CommitRecord> = stage
            .history
            .iter()
            .copied()
            .chain([stage.record])
            .collect();
        if self.is_replaced(stage) {
            lineage.replace([]);
        }
        for record in records {
            let pushed = lineage.push(record);
            pushed.map_err(|error| Refusal::Lineage(Text::new(error)))?;
        }
        Ok(lineage)
    }

    pub(super) fn note(&mut self, refusal: &Refusal) {
        let reason = match refusal {
            Refusal::Validation(_) => Reason::RejectedByValidation,
            Refusal::Deletions(_) => Reason::Deletions,
            Refusal::PolicyMismatch | Refusal::UnknownCategory => Reason::PolicyMismatch,
            Refusal::Voided | Refusal::BaseMoved => return,
            _ => Reason::Content,
        };
        self.refused = Some((reason, refusal.to_string()));
    }

    /// Somebody changed what was committed.
    fn is_edited(&self) -> bool {
        let root = self.own.local.as_ref().map(|local| local.roots.content);
        let committed = self.own.lineage.newest().map(|record| record.root);
        committed.is_some() && root != committed
    }

    pub(super) fn status(&self, now: Moment, connected_at: Moment, moving: bool) -> CategoryStatus {
        let local = self.own.local.as_ref();
        CategoryStatus {
            id: self.own.id.clone(),
            state: self.state(now, connected_at, moving),
            entries: local.map_or(0, |local| local.manifest.len()),
            bytes: local.map_or(0, |local| local.manifest.bytes()),
            generation: self.own.lineage.newest().map(|record| record.seq),
            root: local.map(|local| local.roots.content.to_string()),
        }
    }

    fn state(&self, now: Moment, connected_at: Moment, moving: bool) -> State {
        let age = |at: Moment| millis(now, at);
        if let Some(reason) = &self.barred {
            let details = "the two nodes differ in version or in this category's configuration";
            return State::OutOfSync {
                reason: reason.clone(),
                details: details.to_owned(),
            };
        }
        let Some((theirs, told_at)) = self.theirs else {
            let for_ms = age(connected_at);
            return State::Unknown { for_ms };
        };
        if now.saturating_sub(told_at) > BELIEVED_FOR {
            let for_ms = age(told_at);
            State::Unknown { for_ms }
        } else if self.is_same(theirs) {
            self.taken_up_or_not(age(told_at))
        } else if let Some((reason, details)) = self.refused.clone() {
            State::OutOfSync { reason, details }
        } else if self.is_edited() && !moving {
            let details = "something was changed on this node, which is the backup; the next commit overwrites it and keeps a copy";
            State::OutOfSync {
                reason: Reason::LocalChange,
                details: details.to_owned(),
            }
        } else if let Some(since) = self.behind_since {
            State::Syncing {
                lag_ms: age(since),
                bytes_left: 0,
            }
        } else {
            // They differ, and nobody has said since when.
            let for_ms = age(self.same_at.unwrap_or(connected_at));
            State::Unknown { for_ms }
        }
    }

    fn taken_up_or_not(&self, verified_ms_ago: u64) -> State {
        match self.not_taken_up.clone() {
            None => State::InSync { verified_ms_ago },
            Some(details) => State::OutOfSync {
                reason: Reason::ReloadFailed,
                details,
            },
        }
    }
}
