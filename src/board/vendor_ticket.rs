//! Tickets for controllers that have none: permission to close, kept by the driver.
//!
//! A host is late now and then: it decides to close, is paused, and goes on seconds later. Our own controller
//! refuses such a close by itself. For vendor parts the driver does what it can see: a ticket is void after any
//! cut, any expiry seen, any failed command, a newer ticket, its use, or age. What it cannot see is a change
//! between its last look and the command; that window is one bus transaction and is the reason why such
//! boards are not offered every proof.
//!
//! What if this dies here? Tickets live in the process that took them and die with it.

use core::time::Duration;

use super::controller::{Fault, Ticket};
use crate::node::Instant;

/// Oldest ticket that is still good. A close follows its ticket within one round of the control loop
/// (milliseconds); a second covers a starved machine and is no longer than the shortest dead-man period.
pub(crate) const TICKET_AGE_MAX: Duration = Duration::from_secs(1);

/// The one ticket that may be out.
#[derive(Debug, Default)]
pub(crate) struct VendorTickets {
    last: u32,
    good: Option<(Ticket, Instant)>,
}

impl VendorTickets {
    /// A new ticket; the one before it is void.
    pub(crate) fn issue(&mut self, now: Instant) -> Ticket {
        self.last = self.last.wrapping_add(1);
        let ticket = Ticket(self.last);
        self.good = Some((ticket, now));
        ticket
    }

    /// Something happened after which no earlier decision to close counts.
    pub(crate) fn void(&mut self) {
        self.good = None;
    }

    /// Use a ticket up.
    pub(crate) fn redeem(&mut self, ticket: Ticket, now: Instant) -> Result<(), Fault> {
        let reason = match self.good.take() {
            Some((good, issued)) if good == ticket => {
                let age = now.since(issued);
                if age <= TICKET_AGE_MAX {
                    return Ok(());
                }
                format!(
                    "ticket {} is {} ms old, at most 1000",
                    ticket.0,
                    age.as_millis()
                )
            }
            Some((good, _)) => format!("ticket {} was replaced by {}", ticket.0, good.0),
            None => format!(
                "ticket {} is void: used, or voided by a cut or an expiry",
                ticket.0
            ),
        };
        Err(Fault::Refused {
            what: "close".to_owned(),
            reason,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::from_millis(5_000);

    #[test]
    fn a_ticket_is_good_once() {
        let mut tickets = VendorTickets::default();
        let ticket = tickets.issue(START);
        assert!(
            tickets
                .redeem(ticket, START + Duration::from_millis(3))
                .is_ok()
        );
        assert!(
            tickets
                .redeem(ticket, START + Duration::from_millis(4))
                .is_err()
        );
    }

    #[test]
    fn a_newer_ticket_age_and_void_end_it() {
        let mut tickets = VendorTickets::default();
        let first = tickets.issue(START);
        let second = tickets.issue(START);
        let reason = tickets.redeem(first, START).unwrap_err().to_string();
        assert_eq!(
            reason,
            "the controller refused close: ticket 1 was replaced by 2"
        );
        assert!(
            tickets.redeem(second, START).is_err(),
            "a wrong try voids the good one too"
        );

        let old = tickets.issue(START);
        let late = START + TICKET_AGE_MAX + Duration::from_nanos(1);
        assert!(tickets.redeem(old, late).is_err());

        let voided = tickets.issue(START);
        tickets.void();
        assert!(tickets.redeem(voided, START).is_err());
    }
}
