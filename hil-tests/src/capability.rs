//! What a scenario needs of a board, judged by what the board's profile declares.
//!
//! A board that lacks it is skipped with a sentence made from the profile's own fact: a skip is a statement about the hardware, never a
//! wish of the rig. Nothing here looks at what a driver or the board model happens to do.

use fencepost::board::Board;
use fencepost::board::profile::{ControllerSpec, DeadManKind, OnRelease, ReadBack};

/// Something a board can or cannot do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// A timer of its own takes a host that hangs off the wire.
    DeadMan,
    /// A host without power or kernel is taken off the wire: by a dead-man, or because relays fall when nobody drives them.
    FailsWithoutHost,
    /// The relay's place can be read back.
    ReadBack,
    /// What is read back is the relay's own contacts.
    SeesContacts,
    /// It hangs on an I2C or SMBus adapter.
    Bus,
    /// It hangs on GPIO lines.
    Lines,
    /// Somebody else on the bus can change it.
    ForeignWrites,
    /// The agent's descriptor carries no relay: closing it changes nothing.
    HoldsOnRelease,
}

impl Capability {
    /// Why `board` cannot; `None`: it can.
    pub fn missing(self, board: &Board) -> Option<String> {
        let id = &board.id;
        let (can, sentence) = match self {
            Self::DeadMan => (
                board.dead_man.kind != DeadManKind::Absent,
                "has no dead-man ([dead_man] kind = \"absent\")",
            ),
            Self::FailsWithoutHost => (
                board.dead_man.kind != DeadManKind::Absent
                    || board.on_release == OnRelease::FallsToRest,
                "has no dead-man and its relays hold without the host ([release] relays = \"hold\"): nothing can cut a host that is gone",
            ),
            Self::ReadBack => (
                board.segments.iter().all(|segment| {
                    matches!(segment.read_back, ReadBack::Contacts | ReadBack::Register)
                }),
                "cannot read its relays back ([segments] read_back)",
            ),
            Self::SeesContacts => (
                board
                    .segments
                    .iter()
                    .all(|segment| segment.read_back == ReadBack::Contacts),
                "cannot see its relays' contacts ([segments] read_back): one that does not move looks as if it had",
            ),
            Self::Bus | Self::ForeignWrites => {
                (has_bus(board), "hangs on GPIO lines, not on a bus")
            }
            Self::Lines => (!has_bus(board), "hangs on a bus, not on GPIO lines"),
            Self::HoldsOnRelease => (
                board.on_release == OnRelease::Holds,
                "lets its relays fall when the agent's descriptor closes ([release] relays)",
            ),
        };
        (!can).then(|| format!("{id} {sentence}"))
    }
}

/// Whether the controller is reached by an adapter.
pub fn has_bus(board: &Board) -> bool {
    match board.controller {
        ControllerSpec::Reference { .. }
        | ControllerSpec::LannerGen3 { .. }
        | ControllerSpec::CaswellGen2 { .. }
        | ControllerSpec::Riverbed { .. } => true,
        ControllerSpec::Absent
        | ControllerSpec::PulseTrain { .. }
        | ControllerSpec::GpioMonostable { .. }
        | ControllerSpec::GpioLatching { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fencepost::board::catalogue;

    #[test]
    fn profiles_decide_what_is_skipped() {
        let board = |id: &str| catalogue::load(&[], id).unwrap();
        let table = [
            ("reference", Capability::DeadMan, true),
            ("gpio-latching", Capability::DeadMan, false),
            ("gpio-latching", Capability::FailsWithoutHost, false),
            ("technexion-tek-imx8mp", Capability::FailsWithoutHost, true),
            ("riverbed", Capability::ReadBack, false),
            ("lanner-gen3/mb-8771", Capability::ReadBack, true),
            ("lanner-gen3/mb-8771", Capability::SeesContacts, false),
            ("gpio-monostable", Capability::Lines, true),
            ("gpio-monostable", Capability::Bus, false),
        ];
        for (id, capability, can) in table {
            let missing = capability.missing(&board(id));
            assert_eq!(missing.is_none(), can, "{id} {capability:?}");
            assert!(missing.is_none_or(|sentence| sentence.starts_with(id)));
        }
    }
}
