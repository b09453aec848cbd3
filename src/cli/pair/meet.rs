//! Making a key together: the side that shows the code, and the side that asks for it.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use fencepost::config::Config;
use fencepost::config::pair::STANDARD_PORT;
use fencepost::pairing::{Code, GOOD_FOR, Invitation, Store, TRIES, Terms, join};

use super::{JoinOptions, RejoinOptions, ask, failed, fingerprint, random};
use crate::cli::exit::{Exit, Failure};
use crate::cli::{Global, places};

/// An address with or without port.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place(SocketAddr);

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let alone = text
            .parse()
            .map(|address| SocketAddr::new(address, STANDARD_PORT));
        alone.or_else(|_| text.parse()).map(Self).map_err(|_| {
            "not an address; one is 198.51.100.1, or 198.51.100.1:7694, or [2001:db8::1]:7694"
                .to_owned()
        })
    }
}

pub(super) fn invite(
    global: &Global,
    store: Store,
    listen: Option<Place>,
    terms: Terms,
) -> Result<Exit, Failure> {
    let address = match listen {
        Some(Place(address)) => address,
        None => SocketAddr::new(first_link(global)?, STANDARD_PORT),
    };
    let code = Code::new(random()?);
    let shown = code.show();
    let path = store.path().to_owned();
    let invitation = Invitation::open(address, code, terms, store).map_err(failed)?;
    let address = invitation.address()?;
    let there = if address.port() == STANDARD_PORT {
        address.ip().to_string()
    } else {
        address.to_string()
    };
    let rotate = match terms {
        Terms::New => "",
        Terms::Add => " --rotate",
    };
    println!(
        "code  {shown}   good once, for {} minutes and {TRIES} tries",
        GOOD_FOR.as_secs() / 60
    );
    println!("on the other node: fencepost pair join {there}{rotate}");
    std::io::stdout().flush()?;
    let joined = invitation.wait(|error| eprintln!("fencepost: {error}"));
    let peer = joined.map_err(failed)?;
    println!("{} joined; the key is in {}", peer.ip(), path.display());
    // It came from a port of the moment; where it will listen is the standard one.
    remember(&path, SocketAddr::new(peer.ip(), STANDARD_PORT));
    fingerprint(&path)
}

fn first_link(global: &Global) -> Result<IpAddr, Failure> {
    let config = Config::load(&places::config_path(global)).ok();
    let pair = config.and_then(|config| config.pair);
    let address = pair.and_then(|pair| pair.links.first().map(|link| link.local.ip()));
    address.ok_or_else(|| {
        Failure::failed(
            "no link is configured to wait on; say where: --listen with an address of this node that the other can reach",
        )
    })
}

pub(super) fn join_in(global: &Global, options: &JoinOptions) -> Result<Exit, Failure> {
    let store = options.options.store(global);
    let terms = if options.rotate {
        store.must_be_there().map_err(failed)?;
        Terms::Add
    } else {
        store.must_be_free().map_err(failed)?;
        Terms::New
    };
    join_at(options.address.0, terms, &store)
}

/// With the peer that was met last, wherever that was.
pub(super) fn rejoin(global: &Global, options: &RejoinOptions) -> Result<Exit, Failure> {
    let store = options.options.store(global);
    store.must_be_free().map_err(failed)?;
    let peer = store.remembered_peer().map_err(failed)?;
    println!(
        "rejoining {}; on that node: `fencepost pair replace` if it kept its key, `fencepost pair init --invite` if it did not",
        peer.ip()
    );
    join_at(peer, Terms::New, &store)
}

fn join_at(peer: SocketAddr, terms: Terms, store: &Store) -> Result<Exit, Failure> {
    let typed = ask("code shown on the other node: ")?;
    let code = Code::parse(&typed).map_err(failed)?;
    join(peer, &code, terms, store).map_err(failed)?;
    println!("joined; the key is in {}", store.path().display());
    remember(store.path(), peer);
    fingerprint(store.path())
}

/// The pairing stands without it: what cannot be remembered is said.
fn remember(key_file: &Path, peer: SocketAddr) {
    if let Err(error) = Store::new(key_file).remember_peer(peer) {
        eprintln!("fencepost: `pair rejoin` will not know the peer: {error}");
    }
}
