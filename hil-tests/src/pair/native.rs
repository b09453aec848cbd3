//! The bed at native speed: each host is a network namespace. Needs root (namespaces, raw sockets).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::board::{Board, Clock};
use crate::error::{AtPath, Result};
use crate::pair::boards::{self, SharedBoard};
use crate::pair::{Bed, Cabling, Namespace, Port, Ports};
use crate::priority::above_all;
use crate::socket::{self, Server};
use crate::vhost::i2c::Shape;
use crate::wire::veth::Veth;

/// Between questions of the neighbour.
const QUESTION_EVERY: Duration = Duration::from_millis(1);

/// Where an agent can live: a kernel of its own as far as the network goes, and a board.
pub struct Place {
    /// Its network.
    pub namespace: Namespace,
    /// Where its files are.
    pub folder: PathBuf,
    _server: Server,
}

/// A bed and two places without agents.
///
/// # Errors
/// Without the right to make namespaces, or the tools to.
pub fn build(cabling: Cabling) -> Result<(Bed, [Place; 2])> {
    let folder = tempfile::Builder::new()
        .prefix("hil-pair-")
        .tempdir()
        .at("cannot make", "a folder for the pair")?;
    let clock = Clock::start();
    let boards = boards::both(cabling)?;
    let (a, ports_of_a) = Place::new('a', &boards[0], folder.path(), clock)?;
    let (b, ports_of_b) = Place::new('b', &boards[1], folder.path(), clock)?;
    for (number, place) in (1..).zip([&a, &b]) {
        let namespace = &place.namespace;
        namespace.address("ha0", &format!("198.51.100.{number}/30"))?;
        namespace.address("lan0", &format!("192.0.2.{}/24", number + 1))?;
    }
    let ports = [ports_of_a, ports_of_b];
    let bed = Bed::wire(clock, cabling, boards, ports, QUESTION_EVERY, folder);
    Ok((bed, [a, b]))
}

impl Place {
    fn new(name: char, board: &SharedBoard, folder: &Path, clock: Clock) -> Result<(Self, Ports)> {
        let folder = folder.join(name.to_string());
        std::fs::create_dir(&folder).at("cannot make", &folder)?;
        let namespace = Namespace::add(&format!("fencepost-{}-{name}", std::process::id()))?;
        let served = Board::new(board.clone(), clock);
        let server = above_all(|| socket::serve(&folder.join("board"), served, Shape::Plain))?;
        // Names of links are fifteen bytes at most, and those of the rig's own ends are this machine's.
        let ours = |port: &str| format!("fp{}{name}{port}", std::process::id() % 1_000_000);
        let lan = Veth::create(&ours("l"), namespace.name(), "lan0")?;
        let wan = Veth::create(&ours("w"), namespace.name(), "wan0")?;
        let ha = Veth::create(&ours("h"), namespace.name(), "ha0")?;
        let mac = namespace.mac("lan0")?;
        let ends = [&lan, &wan, &ha].map(Arc::clone);
        let carrier = move |port, up| {
            let [lan, wan, ha] = &ends;
            match port {
                Port::Lan => lan.set_link(up),
                Port::Wan => wan.set_link(up),
                Port::Ha => ha.set_link(up),
            }
        };
        let place = Self {
            namespace,
            folder,
            _server: server,
        };
        let ports = Ports {
            lan,
            wan,
            ha,
            mac,
            carrier: Arc::new(carrier),
        };
        Ok((place, ports))
    }

    /// Where its board is served.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("board")
    }

    /// Its agent's control socket.
    pub fn control(&self) -> PathBuf {
        self.folder.join("control")
    }
}
