//! Tickets: the right to close, for as long as nothing has changed since it was taken.
//!
//! A host takes its ticket *before* it gathers its proof, and presents it with the close. Anything that could make
//! the proof stale in between voids the ticket, so a late close finds it void, however late and from whomever.

use crate::Tick;
use crate::command::Refusal;

/// Why a ticket is no longer valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoidCause {
    /// The latch was set or cleared. Clearing counts too: a release in flight may cross a new fence.
    LatchChanged,
    /// The dead-man expired.
    Expiry,
    /// The host cut one of its own segments.
    OwnCut,
    /// The hold on the peer was dropped.
    HoldDropped,
    /// A newer ticket was taken.
    Newer,
    /// It grew older than V.
    Aged,
    /// It was used by its close.
    Used,
}

/// The one valid ticket, and what became of the one before.
#[derive(Clone, Debug)]
pub(crate) struct TicketDesk {
    next: u32,
    max_age_ms: u32,
    valid: Option<Ticket>,
    voided: Option<(u32, VoidCause)>,
}

#[derive(Clone, Copy, Debug)]
struct Ticket {
    number: u32,
    issued: Tick,
}

impl TicketDesk {
    /// `first` is random, so that a ticket from before a power cycle is unknown rather than valid.
    pub(crate) fn new(first: u32, max_age_ms: u32) -> Self {
        Self {
            next: first,
            max_age_ms,
            valid: None,
            voided: None,
        }
    }

    pub(crate) fn is_valid(&self) -> bool {
        self.valid.is_some()
    }

    pub(crate) fn issue(&mut self, now: Tick) -> u32 {
        self.void(VoidCause::Newer);
        let number = self.next;
        self.next = number.wrapping_add(1);
        self.valid = Some(Ticket {
            number,
            issued: now,
        });
        number
    }

    pub(crate) fn void(&mut self, cause: VoidCause) {
        if let Some(ticket) = self.valid.take() {
            self.voided = Some((ticket.number, cause));
        }
    }

    pub(crate) fn expire(&mut self, now: Tick) {
        let max_age = u64::from(self.max_age_ms);
        if self
            .valid
            .is_some_and(|ticket| now.saturating_sub(ticket.issued) > max_age)
        {
            self.void(VoidCause::Aged);
        }
    }

    pub(crate) fn check(&self, number: u32) -> Result<(), Refusal> {
        match (self.valid, self.voided) {
            (Some(ticket), _) if ticket.number == number => Ok(()),
            (_, Some((voided, cause))) if voided == number => Err(Refusal::TicketVoid(cause)),
            _ => Err(Refusal::TicketUnknown),
        }
    }
}
