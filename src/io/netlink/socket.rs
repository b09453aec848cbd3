//! A routing-netlink socket: batches out, answers in.
//!
//! The kernel carries a request out *inside* the call that sends it: when the call is back, everything in the batch is
//! done or refused, and only the report of it is still to be read. So nothing of ours is ever left under way, and a
//! process that dies takes its unsent requests with it. Reports that were lost are said to be lost, and the caller reads
//! back what is true.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, send,
    setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::message::{
    Message, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR,
    Writer, error_number, messages,
};

/// Requests per call. Their error reports fit into the smallest receive buffer kernels are set up with.
const BATCH: usize = 64;
/// What one report or piece of a list is read into; the kernel uses no larger pieces.
const DATAGRAM_BYTES: usize = 32 * 1024;
/// The kernel queues reports before the sending call returns; not to have one after this means that it was dropped.
const REPORT_S: i64 = 2;

/// A socket for requests.
pub(super) struct Route {
    socket: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
    out: Writer,
}

/// Reports of a batch: which requests were refused.
#[derive(Debug, Default)]
pub(super) struct Reports {
    /// Index of the request and the kernel's reason.
    pub(super) refused: Vec<(usize, Errno)>,
    /// Some reports never came: only reading back tells what was done.
    pub(super) lost: bool,
}

impl Route {
    pub(super) fn open() -> io::Result<Self> {
        let socket = open(0)?;
        setsockopt(
            &socket,
            sockopt::ReceiveTimeout,
            &TimeVal::seconds(REPORT_S),
        )?;
        Ok(Self {
            socket,
            sequence: 0,
            buffer: vec![0; DATAGRAM_BYTES],
            out: Writer::default(),
        })
    }

    /// Carry out one request per item, in order.
    pub(super) fn each<T>(
        &mut self,
        kind: u16,
        flags: u16,
        items: &[T],
        fill: impl Fn(&T, &mut Vec<u8>),
    ) -> io::Result<Reports> {
        let mut reports = Reports::default();
        for (batch, items) in items.chunks(BATCH).enumerate() {
            self.out.bytes.clear();
            let first = self.sequence.wrapping_add(1);
            for (at, item) in items.iter().enumerate() {
                self.sequence = self.sequence.wrapping_add(1);
                // Refusals are reported anyway; a report of the last one means that all were reported.
                let acknowledge = if at + 1 == items.len() { NLM_F_ACK } else { 0 };
                let flags = flags | NLM_F_REQUEST | acknowledge;
                self.out
                    .message(kind, flags, self.sequence, |out| fill(item, out));
            }
            self.send()?;
            self.collect(first, batch * BATCH, items.len(), &mut reports)?;
        }
        Ok(reports)
    }

    fn collect(
        &mut self,
        first: u32,
        offset: usize,
        count: usize,
        reports: &mut Reports,
    ) -> io::Result<()> {
        loop {
            let length = match self.receive() {
                Ok(length) => length,
                // The kernel dropped reports (ENOBUFS), or all of them are read and the last one was dropped.
                Err(Errno::ENOBUFS | Errno::EAGAIN) => {
                    reports.lost = true;
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            };
            for message in messages(&self.buffer[..length]) {
                let at = usize::try_from(message.sequence.wrapping_sub(first)).unwrap_or(count);
                if message.kind != NLMSG_ERROR || at >= count {
                    continue;
                }
                let number = error_number(message.body);
                if number != 0 {
                    reports.refused.push((offset + at, Errno::from_raw(number)));
                }
                if at + 1 == count {
                    return Ok(());
                }
            }
        }
    }

    /// Ask for a list and hand each of its messages of kind `wanted` to `take`. A list that changed while it was read
    /// is refused (`EINTR`): half of it would be old.
    pub(super) fn list(
        &mut self,
        kind: u16,
        fill: impl FnOnce(&mut Vec<u8>),
        mut take: impl FnMut(&Message<'_>),
    ) -> io::Result<()> {
        self.request(kind, NLM_F_DUMP, fill)?;
        let mut changed = false;
        loop {
            let length = self.receive()?;
            for message in messages(&self.buffer[..length]) {
                if message.sequence != self.sequence {
                    continue;
                }
                changed |= message.flags & NLM_F_DUMP_INTR != 0;
                match message.kind {
                    NLMSG_DONE if changed => return Err(Errno::EINTR.into()),
                    NLMSG_DONE => return Ok(()),
                    NLMSG_ERROR => {
                        return Err(io::Error::from_raw_os_error(error_number(message.body)));
                    }
                    _ => take(&message),
                }
            }
        }
    }

    /// Ask for one thing.
    pub(super) fn one<R>(
        &mut self,
        kind: u16,
        fill: impl FnOnce(&mut Vec<u8>),
        read: impl Fn(&Message<'_>) -> Option<R>,
    ) -> io::Result<R> {
        self.request(kind, 0, fill)?;
        loop {
            let length = self.receive()?;
            for message in messages(&self.buffer[..length]) {
                if message.sequence != self.sequence {
                    continue;
                }
                if message.kind == NLMSG_ERROR {
                    return Err(io::Error::from_raw_os_error(error_number(message.body)));
                }
                return read(&message).ok_or_else(|| Errno::EPROTO.into());
            }
        }
    }

    fn request(
        &mut self,
        kind: u16,
        flags: u16,
        fill: impl FnOnce(&mut Vec<u8>),
    ) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        self.out.bytes.clear();
        self.out
            .message(kind, flags | NLM_F_REQUEST, self.sequence, fill);
        self.send()
    }

    fn send(&self) -> io::Result<()> {
        let sent = send(self.socket.as_raw_fd(), &self.out.bytes, MsgFlags::empty())?;
        if sent == self.out.bytes.len() {
            Ok(())
        } else {
            Err(Errno::EMSGSIZE.into())
        }
    }

    fn receive(&mut self) -> Result<usize, Errno> {
        receive(self.socket.as_fd(), &mut self.buffer)
    }
}

/// A netlink socket that hears the given groups; 0 for requests only.
pub(super) fn open(groups: u32) -> io::Result<OwnedFd> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
    Ok(socket)
}

/// One datagram from the kernel; those of other processes are passed over.
pub(super) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize, Errno> {
    loop {
        match recvfrom::<NetlinkAddr>(socket.as_raw_fd(), buffer) {
            Ok((length, Some(sender))) if sender.pid() == 0 => return Ok(length),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}
