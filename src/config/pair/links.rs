//! `[[link]]` tables: the ways a heartbeat can take.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use toml::Spanned;

use super::raw::{RawLink, interface};
use super::{PairLink, STANDARD_PORT, subnet};
use crate::board::raw::words;
use crate::diagnose::{Findings, Mistake};
use crate::wire::{LINKS_MAX, LinkId, Side};

/// All links, sorted by name: so both nodes number them alike, whatever the order in their files.
pub(super) fn understand<T>(
    pair: &Spanned<T>,
    raw: &[RawLink],
    node: Side,
    findings: &mut Findings,
) -> Vec<PairLink> {
    if raw.is_empty() {
        findings.refuse(
            Mistake::new(pair.span(), "a pair without a link: the two can never hear each other")
                .help("add a [[link]] with name, interface, primary and secondary for each way between them; two or more"),
        );
    }
    if let Some(extra) = raw.get(LINKS_MAX) {
        findings.refuse(Mistake::new(
            extra.name.span(),
            format!("more than {LINKS_MAX} links"),
        ));
    }
    let mut ids = BTreeSet::new();
    let mut ways = BTreeSet::new();
    let mut links = Vec::new();
    for one in raw.iter().take(LINKS_MAX) {
        if !ids.insert(LinkId::of(one.name.get_ref())) {
            findings.refuse(
                Mistake::new(
                    one.name.span(),
                    format!("link `{}` is named twice", one.name.get_ref()),
                )
                .label("each name once; another name if it differs from all others"),
            );
        }
        if let Some(link) = one.understand(node, findings) {
            if !ways.insert((link.local, link.peer)) {
                findings.refuse(
                    Mistake::new(one.name.span(), "two links over the same two addresses")
                        .label("one link: it cannot fail by half"),
                );
            }
            links.push(link);
        }
    }
    links.sort_by(|a, b| a.name.cmp(&b.name));
    links
}

impl RawLink {
    fn understand(&self, node: Side, findings: &mut Findings) -> Option<PairLink> {
        let name = words::name(&self.name, findings);
        let interface = self.interface.as_ref().map(|raw| interface(raw, findings));
        let port = self.port.as_ref();
        let port = port.map_or(STANDARD_PORT, |raw| {
            findings.number("port", raw, 1..=u16::MAX)
        });
        let primary = address(&self.primary, findings);
        let secondary = address(&self.secondary, findings);
        let (primary, secondary) = (primary?, secondary?);
        if primary.is_ipv4() != secondary.is_ipv4() {
            findings.refuse(
                Mistake::new(
                    self.secondary.span(),
                    "the two ends are of different families",
                )
                .label(format!("{primary} is at the other end")),
            );
        }
        if primary == secondary {
            findings.refuse(
                Mistake::new(self.secondary.span(), format!("{primary} is at both ends"))
                    .label("each node has its own address"),
            );
        }
        if is_link_local(primary) && interface.is_none() {
            findings.refuse(
                Mistake::new(
                    self.primary.span(),
                    format!("{primary} exists on every interface"),
                )
                .help("add interface = \"…\" to this link"),
            );
        }
        let (own, other) = match node {
            Side::Preferred => (primary, secondary),
            Side::Other => (secondary, primary),
        };
        Some(PairLink {
            name,
            interface,
            local: SocketAddr::new(own, port),
            peer: SocketAddr::new(other, port),
        })
    }
}

/// A prefix says nothing about a link, and is refused.
fn address(raw: &Spanned<String>, findings: &mut Findings) -> Option<IpAddr> {
    let (address, prefix) = subnet::parse(raw, findings)?;
    if prefix.is_some() {
        findings.refuse(
            Mistake::new(raw.span(), "an address without prefix is meant here")
                .label(format!("\"{address}\"")),
        );
        return None;
    }
    Some(address)
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}
