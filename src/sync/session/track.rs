//! One category on the Active's side: compare, learn what the Backup has, stage, commit.

mod state;
mod transfer;

use std::sync::Arc;

use super::Moment;
use super::listing::{Listing, Step};
use super::relation::{self, Choice, Verdict};
use super::sender::SenderAction;
use super::setup::{Local, Own};
use super::status::Reason;
use crate::diff::diff;
use crate::digest::Digest;
use crate::entry::Roots;
use crate::frame::{Child, Held, Message, TransferId};

use crate::lineage::{CommitRecord, Epoch, Lineage};
use crate::manifest::Manifest;
use crate::path::RelPath;
use crate::retry::Retry;
use transfer::Transfer;

/// What every category shares.
#[derive(Debug, Clone, Copy)]
pub(super) struct Common {
    pub(super) epoch: Epoch,
}

/// A category.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) own: Own,
    /// Why nothing can be exchanged on this connection, if so.
    barred: Option<Reason>,
    peer: Option<Held>,
    /// The peer's tree with its hashes, where it is known whole.
    peer_tree: Option<(Arc<Manifest>, Roots)>,
    phase: Phase,
    compared_at: Option<Moment>,
    /// Since when the peer lacks something.
    behind_since: Option<Moment>,
    /// Whether the peer was told so.
    told_behind: bool,
    /// Why the peer's programs did not take up what it has.
    not_taken_up: Option<String>,
    /// Answers to older questions say nothing of the present.
    since_round: u32,
    retry: Retry,
    held_back: Option<HeldBack>,
    meant: Meant,
    /// Somebody asked what differs.
    asked: bool,
    /// A commit that follows the newest one was asked for.
    publishing: bool,
}

/// Something that is not tried again until something changes.
#[derive(Debug)]
struct HeldBack {
    reason: Reason,
    details: String,
    /// The content root that was refused.
    root: Digest,
}

impl HeldBack {
    /// Whether equal trees leave nothing of it.
    fn is_of_content(&self) -> bool {
        use Reason::{Choice, Deletions, RejectedByValidation};
        matches!(self.reason, Choice(_) | Deletions | RejectedByValidation)
    }
}

/// What somebody said is meant; for one generation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Meant {
    /// What goes may go, however much.
    pub deletions: bool,
    /// What the backup remembers is given up.
    pub overwrite: bool,
}

#[derive(Debug)]
enum Phase {
    Quiet,
    AskedLineage(Vec<CommitRecord>),
    Listing(Box<Listing>, Purpose),
    Staged(Box<Transfer>),
}

/// What a listing is for.
#[derive(Debug, Clone)]
enum Purpose {
    Stage(Basis),
    Show,
}

/// The commits between what the Backup has and what it shall have.
#[derive(Debug, Clone)]
struct Basis {
    lacks: Vec<CommitRecord>,
    replaces: bool,
}

impl Track {
    pub(super) fn new(own: Own) -> Self {
        Self {
            behind_since: own.behind_since,
            own,
            barred: None,
            peer: None,
            peer_tree: None,
            phase: Phase::Quiet,
            compared_at: None,
            told_behind: false,
            not_taken_up: None,
            since_round: 0,
            retry: Retry::default(),
            held_back: None,
            meant: Meant::default(),
            asked: false,
            publishing: false,
        }
    }

    pub(super) fn bar(&mut self, reason: Reason) {
        self.barred = Some(reason);
    }

    pub(super) fn scanned(&mut self, now: Moment, local: Local, lineage: Lineage) {
        self.publishing = false;
        let published = self.own.lineage.newest() != lineage.newest();
        self.own.lineage = lineage;
        let moved = |held: &Local| published || held.roots.content != local.roots.content;
        if self.own.local.as_ref().is_none_or(moved) {
            self.behind_since.get_or_insert(now);
            self.changed_meanwhile(now);
        }
        self.own.local = Some(local);
    }

    pub(super) fn taken_up(&mut self, failed: Option<String>) {
        self.not_taken_up = failed;
    }

    /// The peer cannot know how long a change has been waiting for it.
    fn tell_behind(&mut self, now: Moment, out: &mut Vec<SenderAction>) {
        let behind = self.behind_since.is_some();
        if self.barred.is_some() || self.told_behind == behind {
            return;
        }
        self.told_behind = behind;
        let for_ms = self.behind_since.map(|since| super::millis(now, since));
        let category = self.own.id.clone();
        out.push(SenderAction::Send(Message::Behind { category, for_ms }));
    }

    pub(super) fn wanted(&mut self, meant: Meant) {
        self.meant = meant;
        self.held_back = None;
        self.retry = Retry::default();
    }

    /// The peer's answer to a question asked at `asked_at`.
    pub(super) fn peer_holds(&mut self, round: u32, asked_at: Moment, held: Option<Held>) {
        if round < self.since_round || !matches!(self.phase, Phase::Quiet) {
            return;
        }
        self.peer = held;
        self.compare(asked_at);
    }

    fn compare(&mut self, at: Moment) {
        let (Some(local), Some(held)) = (&self.own.local, &self.peer) else {
            return;
        };
        if local.roots == held.roots {
            self.peer_tree = Some((Arc::clone(&local.manifest), local.roots));
        } else {
            self.peer_tree.take_if(|(_, roots)| *roots != held.roots);
        }
        if local.roots.content == held.roots.content {
            self.held_back.take_if(|held| held.is_of_content());
        }
        if self.is_same(local.roots, held) {
            self.compared_at = Some(at);
            self.behind_since = None;
            self.held_back = None;
        } else {
            self.behind_since.get_or_insert(at);
        }
    }

    /// Whether the Backup has the tree and remembers the commits that led to it: the same tree by other commits would pass
    /// for a change made on one node alone, once the roles are exchanged.
    fn is_same(&self, here: Roots, there: &Held) -> bool {
        here.content == there.roots.content && self.own.lineage.newest() == there.newest
    }

    pub(super) fn asked_what_differs(&mut self) {
        self.asked = true;
    }

    /// Tell what differs, or ask the Backup for what has to be known first. Whether that is under way.
    fn answer_what_differs(&mut self, local: &Local, out: &mut Vec<SenderAction>) -> bool {
        if !self.asked {
            return false;
        }
        self.asked = false;
        if let Some((theirs, _)) = self.peer_tree.clone() {
            self.show(&theirs, out);
            return false;
        }
        let (listing, question) = Listing::begin(self.own.id.clone(), local.clone());
        self.phase = Phase::Listing(Box::new(listing), Purpose::Show);
        out.push(SenderAction::Send(question));
        true
    }

    fn show(&self, theirs: &Manifest, out: &mut Vec<SenderAction>) {
        if let Some(local) = &self.own.local {
            let changes = diff(theirs, &local.manifest);
            let category = self.own.id.clone();
            out.push(SenderAction::Differs { category, changes });
        }
    }

    /// Begin whatever has to be done next.
    pub(super) fn step(
        &mut self,
        now: Moment,
        common: Common,
        ids: &mut TransferId,
        out: &mut Vec<SenderAction>,
    ) {
        let (Some(local), Some(held)) = (self.own.local.clone(), self.peer) else {
            return;
        };
        self.tell_behind(now, out);
        let idle = matches!(self.phase, Phase::Quiet) && self.barred.is_none();
        if !idle || !self.retry.may(now) {
            return;
        }
        if self.answer_what_differs(&local, out) {
            return;
        }
        if self.is_same(local.roots, &held) || self.is_held_back(local.roots.content) {
            return;
        }
        match relation::by_newest(&self.own.lineage, held.newest) {
            Verdict::Behind(lacks) => {
                let replaces = false;
                self.approach(now, common, ids, Basis { lacks, replaces }, out);
            }
            Verdict::Ask | Verdict::GivesWay(_) | Verdict::Choose(_) => {
                self.phase = Phase::AskedLineage(Vec::new());
                let category = self.own.id.clone();
                out.push(SenderAction::Send(Message::AskLineage { category }));
            }
        }
    }

    fn is_held_back(&mut self, root: Digest) -> bool {
        self.held_back
            .take_if(|held| held.root != root && !matches!(held.reason, Reason::Choice(_)));
        self.held_back.is_some()
    }

    pub(super) fn lineage_told(
        &mut self,
        now: Moment,
        common: Common,
        ids: &mut TransferId,
        (records, last): (Vec<CommitRecord>, bool),
        out: &mut Vec<SenderAction>,
    ) -> Result<(), &'static str> {
        let Phase::AskedLineage(heard) = &mut self.phase else {
            return Err("a lineage that nobody asked for");
        };
        heard.extend(records);
        if heard.len() > crate::lineage::RECORDS_MAX {
            return Err("a lineage that is too long");
        }
        if !last {
            return Ok(());
        }
        let mut theirs = Lineage::new();
        theirs.replace(heard.drain(..));
        self.phase = Phase::Quiet;
        let (lacks, replaces) = match self.verdict(&theirs) {
            Verdict::Choose(_) if self.meant.overwrite => {
                (self.own.lineage.iter().copied().collect(), true)
            }
            Verdict::GivesWay(lacks) => (lacks, true),
            Verdict::Behind(lacks) => (lacks, false),
            Verdict::Choose(choice) => {
                self.choose(choice);
                return Ok(());
            }
            Verdict::Ask => return Ok(()),
        };
        self.approach(now, common, ids, Basis { lacks, replaces }, out);
        Ok(())
    }

    fn verdict(&self, theirs: &Lineage) -> Verdict {
        match (&self.own.local, &self.peer) {
            (Some(local), Some(held)) => {
                let (here, there) = (local.roots.content, held.roots.content);
                relation::by_all(&self.own.lineage, theirs, here, there)
            }
            _ => Verdict::Ask,
        }
    }

    fn choose(&mut self, choice: Choice) {
        if let Some(local) = &self.own.local {
            self.held_back = Some(HeldBack {
                reason: Reason::Choice(choice),
                details: choice.sentence().to_owned(),
                root: local.roots.content,
            });
        }
    }

    /// Whether the newest commit is of this tree, of this epoch, and not known to the Backup.
    fn is_published(&self, common: Common, local: &Local, basis: &Basis) -> bool {
        basis.lacks.last().is_some_and(|newest| {
            newest.root == local.roots.content && newest.epoch == common.epoch
        })
    }

    /// Stage at once if the Backup's tree is known, or learn it first.
    fn approach(
        &mut self,
        now: Moment,
        common: Common,
        ids: &mut TransferId,
        basis: Basis,
        out: &mut Vec<SenderAction>,
    ) {
        let Some(local) = self.own.local.clone() else {
            return;
        };
        if !self.is_published(common, &local, &basis) {
            if !std::mem::replace(&mut self.publishing, true) {
                let category = self.own.id.clone();
                let after = self.own.lineage.newest();
                out.push(SenderAction::Publish { category, after });
            }
            return;
        }
        if let Some((theirs, _)) = self.peer_tree.clone() {
            self.stage(now, common, ids, &theirs, basis, out);
        } else {
            let (listing, question) = Listing::begin(self.own.id.clone(), local);
            self.phase = Phase::Listing(Box::new(listing), Purpose::Stage(basis));
            out.push(SenderAction::Send(question));
        }
    }

    pub(super) fn listed(
        &mut self,
        now: Moment,
        common: Common,
        ids: &mut TransferId,
        (dir, children, last): (Option<RelPath>, Vec<Child>, bool),
        out: &mut Vec<SenderAction>,
    ) -> Result<(), &'static str> {
        let Phase::Listing(listing, purpose) = &mut self.phase else {
            return Err("a directory that nobody asked for");
        };
        match listing.answered(dir, children, last) {
            Step::Nonsense(what) => return Err(what),
            Step::More(question) => out.extend(question.map(SenderAction::Send)),
            Step::Complete(theirs) => {
                let purpose = purpose.clone();
                self.phase = Phase::Quiet;
                match purpose {
                    Purpose::Stage(basis) => self.stage(now, common, ids, &theirs, basis, out),
                    Purpose::Show => self.show(&theirs, out),
                }
            }
        }
        Ok(())
    }
}
