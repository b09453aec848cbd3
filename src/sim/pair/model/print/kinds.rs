//! Which numbers are only compared, and with which others.

use super::tokens::Place;

/// A kind of number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Counts as it is.
    Plain,
    /// Above this all are one.
    AtMost(u64),
    /// A tick of the controller.
    Tick,
    /// Epochs: one node has the even ones.
    Epoch,
    /// Starts of agents.
    Boot,
    /// Latch generations.
    Generation(usize),
    Session(usize),
    Ticket(usize),
    /// Counters of a node's messages.
    Counter(usize),
    /// Requests, answers and orders, by who numbered them.
    Word(usize),
    Vip(usize),
    Look(usize),
    Save(usize),
}

impl Kind {
    /// What becomes of a gap between two numbers of this kind.
    pub(super) fn shorten(self, gap: u64) -> u64 {
        match self {
            Self::Epoch if gap > 2 => 3 + gap % 2,
            // A generation that moved a little is the same controller's, latched meanwhile.
            Self::Generation(_) if gap > 4_096 => 5_000,
            Self::Generation(_) => gap,
            _ => gap.min(2),
        }
    }
}

/// The kind of a number at this place, in the print of `node`.
pub(super) fn of(place: &Place<'_>, node: usize) -> Kind {
    let other = 1 - node;
    // The peer as this node knows it, and what came from it.
    let theirs = place.within("peer") || place.within("Heard");
    let teller = if theirs || place.within("Net") {
        other
    } else {
        node
    };
    match place.nearest() {
        "epoch" | "used_epoch" | "epochs" => Kind::Epoch,
        "BootId" => Kind::Boot,
        "generation" | "names_generation" => Kind::Generation(0),
        "session" => Kind::Session(node),
        "seen" if place.first => Kind::Session(node),
        "now" | "deadline" | "issued" | "must_yield_since" | "read_at" | "seen" => Kind::Tick,
        "ticket" | "Ticket" | "voided" => Kind::Ticket(node),
        "number" | "next" if place.within("tickets") => Kind::Ticket(node),
        "tries" => Kind::AtMost(4),
        "failed" => Kind::AtMost(6),
        "faults" => Kind::AtMost(9),
        "in_row" => Kind::AtMost(2),
        nearest => of_words(nearest, place, node, teller),
    }
}

fn of_words(nearest: &str, place: &Place<'_>, node: usize, teller: usize) -> Kind {
    let addressee = 1 - teller;
    match nearest {
        "hears_counter" | "sent" => Kind::Counter(node),
        "counter" | "acknowledged" | "links" if place.within("hears") => Kind::Counter(addressee),
        "counter" | "acknowledged" => Kind::Counter(teller),
        "number" if place.within("Ask") || place.within("Asking") => Kind::Word(teller),
        "number" if place.within("Answer") || place.within("Decline") => Kind::Word(addressee),
        "number" | "nonce" if place.within("owed") || place.within("obeying") => {
            Kind::Word(1 - node)
        }
        "number" if place.within("Released") => Kind::Word(node),
        "nonce" if place.within("FenceAnswer") => Kind::Word(addressee),
        "nonce" => Kind::Word(teller),
        "numbers" | "pending" => Kind::Word(node),
        "number" if place.within("sight") => Kind::Look(node),
        "looks" | "looking" | "look" | "after" => Kind::Look(node),
        "sequence" if place.within("FenceRead") || place.within("ReadFence") => Kind::Look(node),
        "saves" | "saving" | "sequence" => Kind::Save(node),
        "next" | "dropping" | "reading" | "settled" | "in_flight" | "number" | "Hold" | "Drop"
        | "Refresh" | "Announce" | "Read" => Kind::Vip(node),
        _ => Kind::Plain,
    }
}
