//! How a category is, as the Active sees it.

use super::{Phase, Track};
use crate::session::status::{CategoryStatus, Reason, State};
use crate::session::{BELIEVED_FOR, Moment, millis};

impl Track {
    pub(in crate::session) fn status(&self, now: Moment, connected_at: Moment) -> CategoryStatus {
        let local = self.own.local.as_ref();
        CategoryStatus {
            id: self.own.id.clone(),
            state: self.state(now, connected_at),
            entries: local.map_or(0, |local| local.manifest.len()),
            bytes: local.map_or(0, |local| local.manifest.bytes()),
            generation: self.own.lineage.newest().map(|record| record.seq),
            root: local.map(|local| local.roots.content.to_string()),
        }
    }

    fn state(&self, now: Moment, connected_at: Moment) -> State {
        if let Some(reason) = &self.barred {
            return out_of_sync(reason.clone(), barred_sentence(reason));
        }
        if let Some(held) = &self.held_back {
            return out_of_sync(held.reason.clone(), held.details.clone());
        }
        let age = |at: Moment| millis(now, at);
        let fresh = |at: &Moment| now.saturating_sub(*at) <= BELIEVED_FOR;
        if let Some(since) = self.behind_since {
            let bytes_left = match &self.phase {
                Phase::Staged(transfer) => transfer.bytes_left,
                _ => 0,
            };
            let lag_ms = age(since);
            return State::Syncing { lag_ms, bytes_left };
        }
        match self.compared_at.filter(fresh) {
            Some(_) if let Some(why) = &self.not_taken_up => {
                out_of_sync(Reason::ReloadFailed, why.clone())
            }
            Some(at) => State::InSync {
                verified_ms_ago: age(at),
            },
            None => State::Unknown {
                for_ms: age(self.compared_at.unwrap_or(connected_at)),
            },
        }
    }
}

fn out_of_sync(reason: Reason, details: String) -> State {
    State::OutOfSync { reason, details }
}

fn barred_sentence(reason: &Reason) -> String {
    let sentence = match reason {
        Reason::VersionMismatch => "the two nodes run different versions of Fencepost",
        _ => "the category is missing, or configured differently, on the other node",
    };
    sentence.to_owned()
}
