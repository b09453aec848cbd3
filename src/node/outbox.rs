//! What the node wants done, in order; the record it keeps, and the alarms that stay until acknowledged.

use std::collections::VecDeque;

use super::action::Action;
use super::pair::PairAction;
use super::record::{Fact, Level, Record};
use super::time::Instant;

/// More alarms than this and the oldest go: a flood must not eat the memory of a device nobody looks at.
const ALARMS_MAX: usize = 64;

/// Actions not yet taken, and the latched alarms.
#[derive(Debug, Clone, Default)]
pub(super) struct Outbox {
    actions: VecDeque<Action>,
    alarms: VecDeque<Record>,
    recorded: u64,
}

impl Outbox {
    pub(super) fn push(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    pub(super) fn pair(&mut self, action: PairAction) {
        self.push(Action::Pair(Box::new(action)));
    }

    pub(super) fn pop(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Record a fact; an alarm also latches, once per kind and subject.
    pub(super) fn record(&mut self, now: Instant, level: Level, fact: Fact) {
        self.recorded += 1;
        let record = Record {
            sequence: self.recorded,
            at: now,
            level,
            fact,
        };
        if level == Level::Alarm {
            self.alarms
                .retain(|old| old.fact.subject() != record.fact.subject());
            if self.alarms.len() == ALARMS_MAX {
                self.alarms.pop_front();
            }
            self.alarms.push_back(record.clone());
        }
        self.push(Action::Record(record));
    }

    pub(super) fn alarms(&self) -> impl Iterator<Item = &Record> {
        self.alarms.iter()
    }

    pub(super) fn acknowledge(&mut self) -> u32 {
        let count = u32::try_from(self.alarms.len()).unwrap_or(u32::MAX);
        self.alarms.clear();
        count
    }
}

impl Fact {
    /// Kind and subject: two alarms with the same are the same alarm again.
    fn subject(&self) -> (core::mem::Discriminant<Self>, &str) {
        let name = match self {
            Self::Adopted { segment, .. }
            | Self::Closed { segment, .. }
            | Self::Cut { segment, .. }
            | Self::FoundMoved { segment, .. }
            | Self::RelayStuck { segment, .. }
            | Self::CloseLimit { segment, .. } => segment,
            Self::CheckFailed { check, .. } | Self::CheckPassed { check } => check,
            Self::Refused { by, .. } => by,
            Self::PeerFenced { means } => means,
            Self::Started { .. }
            | Self::RoleChanged { .. }
            | Self::ClaimFailed { .. }
            | Self::TakeoverWithheld { .. }
            | Self::FencedByPeer
            | Self::DeadManArmed { .. }
            | Self::DeadManExpired
            | Self::DeadManLost { .. }
            | Self::ControllerLost { .. }
            | Self::ControllerBack
            | Self::SettingsFailed { .. }
            | Self::ModeChanged { .. }
            | Self::HookFailed { .. }
            | Self::TrackingFailed { .. }
            | Self::ServicesSet { .. }
            | Self::ServicesFailed { .. }
            | Self::LedgerFailed { .. }
            | Self::LedgerBack
            | Self::WatchdogRuns { .. }
            | Self::WatchdogFailed { .. }
            | Self::KeepaliveWithheld { .. }
            | Self::Uncommissioned
            | Self::PeerIntroduced { .. }
            | Self::ClocksApart { .. }
            | Self::Stopping { .. }
            | Self::Acknowledged { .. } => "",
        };
        (core::mem::discriminant(self), name)
    }
}
