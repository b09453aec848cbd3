//! Carrier of interfaces, as the kernel tells of its changes.
//!
//! A hint and nothing else: a carrier that goes away is told in a millisecond, long before silence says so. What if a
//! notice is lost (the kernel drops them when nobody reads)? The reader is told to look anew.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::message::{RTM_DELLINK, RTM_NEWLINK, messages, read_link};
use super::{Carrier, carrier, socket};

/// Group of link notices (`RTMGRP_LINK`).
const LINK_GROUP: u32 = 1;
/// One notice; a link message with all its attributes is below 2 KiB.
const NOTICE_BYTES: usize = 8 * 1024;

/// A change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkNotice {
    /// This interface is so now.
    Carrier {
        /// Name of the interface.
        interface: String,
        /// How it is.
        carrier: Carrier,
    },
    /// Notices were lost: look at every interface.
    LookAnew,
}

/// Hears about links. Readable when there is something to read.
pub struct LinkNotices {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl LinkNotices {
    /// Begin to listen.
    ///
    /// # Errors
    /// No socket.
    pub fn open() -> io::Result<Self> {
        let socket = socket::open(LINK_GROUP)?;
        fcntl(&socket, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self {
            socket,
            buffer: vec![0; NOTICE_BYTES],
        })
    }

    /// Read what there is, at most `most` datagrams.
    pub fn read(&mut self, most: usize, mut tell: impl FnMut(LinkNotice)) {
        for _ in 0..most {
            let length = match socket::receive(self.socket.as_fd(), &mut self.buffer) {
                Ok(length) => length,
                Err(Errno::ENOBUFS) => {
                    tell(LinkNotice::LookAnew);
                    continue;
                }
                Err(_) => return,
            };
            for message in messages(&self.buffer[..length]) {
                let gone = message.kind == RTM_DELLINK;
                // Other families tell of a bridge's ports, not of the link.
                let of_link = message.body.first() == Some(&0);
                if !of_link || !gone && message.kind != RTM_NEWLINK {
                    continue;
                }
                if let Some(link) = read_link(message.body) {
                    let carrier = if gone { Carrier::Down } else { carrier(&link) };
                    let interface = link.name;
                    tell(LinkNotice::Carrier { interface, carrier });
                }
            }
        }
    }
}

impl AsFd for LinkNotices {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
