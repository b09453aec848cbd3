//! Virtual addresses in the kernel: held for a short while at a time, read back, taken away.
//!
//! An address is installed with a lifetime that must be renewed: if the agent dies or hangs, the kernel takes it away
//! by itself. Every verb is one or a few system calls of the calling thread: when it is back, the kernel has done it or
//! refused, and nothing is under way. "Not there" is only ever said after reading all addresses of all interfaces,
//! with whatever prefix: a vip that somebody configured by hand answers just as well as one of ours.
//!
//! What if this dies in the middle? Some addresses are there and some are not; their lifetime ends them, and
//! [`Addresses::purge`] of the next start removes what is left. What if the kernel refuses? The caller is told which and
//! why, and what is true by then.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use nix::errno::Errno;

pub mod carrier;
mod message;
mod socket;

use message::{
    FoundAddress, FoundLink, IFA_F_DADFAILED, IFA_F_NODAD, IFA_F_NOPREFIXROUTE, IFA_F_TENTATIVE,
    NLM_F_CREATE, NLM_F_REPLACE, Place, RTM_DELADDR, RTM_GETADDR, RTM_GETLINK, RTM_NEWADDR,
    RTM_NEWLINK, Terms, read_address, read_link, write_address, write_all_addresses, write_link,
};
use socket::{Reports, Route};

/// How many addresses an error names; it says how many more there are.
const NAMED_MAX: usize = 4;

/// A virtual address on one interface.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vip {
    /// Name of the interface.
    pub interface: String,
    /// The address.
    pub address: IpAddr,
    /// Length of its prefix; 32 or 128 where the interface has an address of its own in that subnet.
    pub prefix: u8,
}

/// An interface, as far as holding and announcing need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The kernel's number for it; another one when it is made anew.
    pub index: u32,
    /// Its Ethernet address; `None` for what is no Ethernet.
    pub mac: Option<[u8; 6]>,
    /// Whether it is switched on and has carrier.
    pub carrier: Carrier,
}

/// Whether an interface can carry frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// It is up and has carrier.
    Up,
    /// It is switched off or has no carrier.
    Down,
}

/// Where a vip was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// The address.
    pub address: IpAddr,
    /// Number of the interface.
    pub interface: u32,
    /// Until the kernel takes it away; `None` is never: nobody's lifetime, so not held by us.
    pub valid: Option<Duration>,
    /// Whether it bears our mark.
    pub ours: bool,
}

/// Why a verb did not come true.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The kernel cannot be talked to.
    #[error("the kernel's addresses cannot be {verb}: {error}")]
    Socket {
        /// What was tried.
        verb: &'static str,
        /// The kernel's words.
        error: String,
    },
    /// An interface is missing.
    #[error("interface {name}: {error}")]
    Interface {
        /// Which.
        name: String,
        /// The kernel's words.
        error: String,
    },
    /// Read back, and not as wished.
    #[error("{count} of {of} addresses are not {wish}: {which}")]
    NotSo {
        /// `held` or `gone`.
        wish: &'static str,
        /// How many.
        count: usize,
        /// Of how many.
        of: usize,
        /// The first few, each with the kernel's reason where there is one.
        which: String,
    },
}

/// The addresses of this machine (of the network namespace it was opened in).
pub struct Addresses {
    route: Route,
}

impl Addresses {
    /// Open a way to the kernel. Changing addresses needs `CAP_NET_ADMIN`; reading does not.
    ///
    /// # Errors
    /// No socket.
    pub fn open() -> Result<Self, AddressError> {
        let route = Route::open().map_err(failed("read"))?;
        Ok(Self { route })
    }

    /// Hold these for `lifetime` (whole seconds, at least 1) from now, and read them back. To hold what is held already
    /// only renews it.
    ///
    /// # Errors
    /// Not all are there and usable. What is there stays: the caller withdraws.
    pub fn hold(&mut self, vips: &[Vip], lifetime: Duration) -> Result<(), AddressError> {
        let (places, reports) = self.add(vips, lifetime)?;
        let found = self.read()?;
        let usable: BTreeSet<Place> = found
            .iter()
            .filter(|one| one.flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED) == 0)
            .map(|one| one.place)
            .collect();
        let missing = |at: &usize| places.get(*at).is_none_or(|place| !usable.contains(place));
        let missing: Vec<usize> = (0..vips.len()).filter(missing).collect();
        not_so("held", vips, &missing, &reports)
    }

    /// Renew the lifetime of what is held, without reading all of it back. What somebody took away meanwhile is there
    /// again.
    ///
    /// # Errors
    /// The kernel refused some.
    pub fn renew(&mut self, vips: &[Vip], lifetime: Duration) -> Result<(), AddressError> {
        let (_, reports) = self.add(vips, lifetime)?;
        if reports.lost {
            return self.hold(vips, lifetime);
        }
        let refused: Vec<usize> = reports.refused.iter().map(|(at, _)| *at).collect();
        not_so("held", vips, &refused, &reports)
    }

    /// Take these away, wherever they are and whoever put them there, and read that they are gone.
    ///
    /// # Errors
    /// One is still there, or it could not be read.
    pub fn withdraw(&mut self, vips: &[Vip]) -> Result<(), AddressError> {
        // First what is most likely there, at once; then whatever else answers for them.
        let likely: Vec<Place> = {
            let indices = self.indices(vips);
            vips.iter()
                .filter_map(|vip| Some(place(vip, *indices.get(vip.interface.as_str())?)))
                .collect()
        };
        let _told_by_reading_back = self.remove(&likely)?;
        self.clear(vips, |_| false)
    }

    /// At start: take these away as [`Addresses::withdraw`] does, and whatever else bears our mark.
    ///
    /// # Errors
    /// One is still there, or it could not be read.
    pub fn purge(&mut self, vips: &[Vip]) -> Result<(), AddressError> {
        self.clear(vips, |found| found.made_by_us)
    }

    /// Which of these are there, on any interface.
    ///
    /// # Errors
    /// It could not be read.
    pub fn find(&mut self, vips: &[Vip]) -> Result<Vec<Found>, AddressError> {
        let wanted = addresses(vips);
        let found = self.read()?.into_iter();
        let found = found.filter(|one| wanted.contains(&one.place.address));
        let found = found.map(|one| Found {
            address: one.place.address,
            interface: one.place.index,
            valid: one.valid_s.map(|s| Duration::from_secs(u64::from(s))),
            ours: one.made_by_us,
        });
        Ok(found.collect())
    }

    /// An interface by its name.
    ///
    /// # Errors
    /// It is not there.
    pub fn interface(&mut self, name: &str) -> Result<Interface, AddressError> {
        let fill = |out: &mut Vec<u8>| write_link(out, Some(name));
        let link = self.route.one(RTM_GETLINK, fill, |message| {
            read_link(message.body).filter(|_| message.kind == RTM_NEWLINK)
        });
        let link = link.map_err(|error| AddressError::Interface {
            name: name.to_owned(),
            error: error.to_string(),
        })?;
        Ok(Interface {
            index: link.index,
            mac: link.mac,
            carrier: carrier(&link),
        })
    }

    fn add(
        &mut self,
        vips: &[Vip],
        lifetime: Duration,
    ) -> Result<(Vec<Place>, Reports), AddressError> {
        let names: BTreeSet<&str> = vips.iter().map(|vip| vip.interface.as_str()).collect();
        let mut indices = BTreeMap::new();
        for name in names {
            indices.insert(name, self.interface(name)?.index);
        }
        let places: Vec<Place> = vips
            .iter()
            .filter_map(|vip| Some(place(vip, *indices.get(vip.interface.as_str())?)))
            .collect();
        let valid_s = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX - 1);
        let fill = |place: &Place, out: &mut Vec<u8>| {
            write_address(out, place, Some(terms(place.address, valid_s.max(1))));
        };
        let flags = NLM_F_CREATE | NLM_F_REPLACE;
        let reports = self.route.each(RTM_NEWADDR, flags, &places, fill);
        Ok((places, reports.map_err(failed("added"))?))
    }

    fn remove(&mut self, places: &[Place]) -> Result<Reports, AddressError> {
        let fill = |place: &Place, out: &mut Vec<u8>| write_address(out, place, None);
        let reports = self.route.each(RTM_DELADDR, 0, places, fill);
        reports.map_err(failed("removed"))
    }

    /// Remove what is there of `vips`, and what `besides` names; then read that it is gone.
    fn clear(
        &mut self,
        vips: &[Vip],
        besides: impl Fn(&FoundAddress) -> bool,
    ) -> Result<(), AddressError> {
        let wanted = addresses(vips);
        let unwanted = |found: Vec<FoundAddress>| -> Vec<Place> {
            found
                .into_iter()
                .filter(|one| wanted.contains(&one.place.address) || besides(one))
                .map(|one| one.place)
                .collect()
        };
        let there = unwanted(self.read()?);
        if there.is_empty() {
            return Ok(());
        }
        let reports = self.remove(&there)?;
        let left = unwanted(self.read()?);
        if left.is_empty() {
            return Ok(());
        }
        let named = left.iter().take(NAMED_MAX).map(|place| {
            let at = there.iter().position(|one| one == place);
            named(&place.address.to_string(), at, &reports)
        });
        Err(AddressError::NotSo {
            wish: "gone",
            count: left.len(),
            of: there.len(),
            which: list(named.collect(), left.len()),
        })
    }

    fn indices<'a>(&mut self, vips: &'a [Vip]) -> BTreeMap<&'a str, u32> {
        let names: BTreeSet<&str> = vips.iter().map(|vip| vip.interface.as_str()).collect();
        let mut found = BTreeMap::new();
        for name in names {
            if let Ok(interface) = self.interface(name) {
                found.insert(name, interface.index);
            }
        }
        found
    }

    /// All addresses of all interfaces. Read anew once if they changed while they were read.
    fn read(&mut self) -> Result<Vec<FoundAddress>, AddressError> {
        let read = match self.read_once() {
            Err(error) if error.raw_os_error() == Some(libc::EINTR) => self.read_once(),
            other => other,
        };
        read.map_err(failed("read"))
    }

    fn read_once(&mut self) -> io::Result<Vec<FoundAddress>> {
        let mut found = Vec::new();
        let take = |message: &message::Message<'_>| {
            if message.kind == RTM_NEWADDR {
                found.extend(read_address(message.body));
            }
        };
        self.route.list(RTM_GETADDR, write_all_addresses, take)?;
        Ok(found)
    }
}

/// IPv6: usable at once, and never the source of a connection the node opens by itself (a deprecated address is not
/// chosen): such a connection would break at every switchover. IPv4 chooses by route, and we add none.
const fn terms(address: IpAddr, valid_s: u32) -> Terms {
    match address {
        IpAddr::V4(_) => Terms {
            flags: IFA_F_NOPREFIXROUTE,
            valid_s,
            preferred_s: valid_s,
        },
        IpAddr::V6(_) => Terms {
            flags: IFA_F_NODAD | IFA_F_NOPREFIXROUTE,
            valid_s,
            preferred_s: 0,
        },
    }
}

fn place(vip: &Vip, index: u32) -> Place {
    Place {
        index,
        address: vip.address,
        prefix: vip.prefix,
    }
}

fn addresses(vips: &[Vip]) -> BTreeSet<IpAddr> {
    vips.iter().map(|vip| vip.address).collect()
}

fn carrier(link: &FoundLink) -> Carrier {
    const IFF_LOWER_UP: u32 = 1 << 16;
    let up = libc::IFF_UP.cast_unsigned() | IFF_LOWER_UP;
    if link.flags & up == up {
        Carrier::Up
    } else {
        Carrier::Down
    }
}

fn failed(verb: &'static str) -> impl Fn(io::Error) -> AddressError {
    move |error| AddressError::Socket {
        verb,
        error: error.to_string(),
    }
}

fn not_so(
    wish: &'static str,
    vips: &[Vip],
    wrong: &[usize],
    reports: &Reports,
) -> Result<(), AddressError> {
    if wrong.is_empty() {
        return Ok(());
    }
    let first = wrong.iter().take(NAMED_MAX).filter_map(|at| {
        let vip = vips.get(*at)?;
        let what = format!("{} on {}", vip.address, vip.interface);
        Some(named(&what, Some(*at), reports))
    });
    Err(AddressError::NotSo {
        wish,
        count: wrong.len(),
        of: vips.len(),
        which: list(first.collect(), wrong.len()),
    })
}

fn named(what: &str, at: Option<usize>, reports: &Reports) -> String {
    let reason = reports.refused.iter().find(|(one, _)| Some(*one) == at);
    match reason {
        Some((_, Errno::EPERM)) => format!("{what} (not permitted: needs CAP_NET_ADMIN)"),
        Some((_, error)) => format!("{what} ({})", error.desc()),
        None => what.to_owned(),
    }
}

fn list(named: Vec<String>, of: usize) -> String {
    let more = of.saturating_sub(named.len());
    let mut text = named.join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
