//! Kernel calls that neither nix nor the hardware crates offer, made safe.
//!
//! This is the only module of the agent with `unsafe` in it. Every function takes a borrowed descriptor (so it
//! cannot be closed underneath the call), passes the kernel a fully initialised structure of the size the
//! request number names, and gives back a typed result. Nothing here decides, retries or logs.
//!
//! If a call fails, the descriptor is still good and nothing was half done: each of these requests either
//! takes effect or reports an error.

#![expect(
    unsafe_code,
    reason = "ioctl, sched_setscheduler and inherited descriptors have no safe wrapper anywhere"
)]

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{LinkAddr, SockaddrLike};

/// Most lines one GPIO v1 request can hold (`GPIOHANDLES_MAX`).
pub const GPIO_LINES_MAX: usize = 64;

const AF_PACKET: libc::sa_family_t = 17;

/// First descriptor the service manager hands over (`SD_LISTEN_FDS_START`).
pub const INHERITED_FIRST: RawFd = 3;

// ---------------------------------------------------------------- I2C

/// What an I2C adapter can do: the `I2C_FUNC_*` bits of `linux/i2c.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct I2cFunctions(pub libc::c_ulong);

impl I2cFunctions {
    /// Plain I2C messages (`I2C_RDWR`).
    pub const PLAIN: Self = Self(0x0000_0001);
    /// Packet error codes computed by the kernel or the adapter.
    pub const PEC: Self = Self(0x0000_0008);
    /// SMBus receive byte.
    pub const READ_BYTE: Self = Self(0x0002_0000);
    /// SMBus send byte.
    pub const WRITE_BYTE: Self = Self(0x0004_0000);
    /// SMBus read byte data.
    pub const READ_BYTE_DATA: Self = Self(0x0008_0000);
    /// SMBus write byte data.
    pub const WRITE_BYTE_DATA: Self = Self(0x0010_0000);
    /// SMBus read word data.
    pub const READ_WORD_DATA: Self = Self(0x0020_0000);
    /// SMBus write word data.
    pub const WRITE_WORD_DATA: Self = Self(0x0040_0000);
    /// SMBus block read, the target says how many.
    pub const READ_BLOCK_DATA: Self = Self(0x0100_0000);
    /// SMBus block write.
    pub const WRITE_BLOCK_DATA: Self = Self(0x0200_0000);

    /// Names for people, in the order of the kernel's bits.
    const NAMES: [(Self, &'static str); 10] = [
        (Self::PLAIN, "plain I2C"),
        (Self::PEC, "PEC"),
        (Self::READ_BYTE, "receive byte"),
        (Self::WRITE_BYTE, "send byte"),
        (Self::READ_BYTE_DATA, "read byte data"),
        (Self::WRITE_BYTE_DATA, "write byte data"),
        (Self::READ_WORD_DATA, "read word data"),
        (Self::WRITE_WORD_DATA, "write word data"),
        (Self::READ_BLOCK_DATA, "block read"),
        (Self::WRITE_BLOCK_DATA, "block write"),
    ];

    /// Whether all of `wanted` is offered.
    pub const fn offers(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// The transactions this agent knows of that the adapter offers, for error texts.
    pub fn describe(self) -> String {
        let names: Vec<&str> = Self::NAMES
            .iter()
            .filter(|(function, _)| self.offers(*function))
            .map(|(_, name)| *name)
            .collect();
        if names.is_empty() {
            "nothing this agent knows of".to_owned()
        } else {
            names.join(", ")
        }
    }
}

/// Ask an adapter (`/dev/i2c-N`) what it can do.
pub fn i2c_functions(adapter: impl AsFd) -> io::Result<I2cFunctions> {
    let mut functions: libc::c_ulong = 0;
    // SAFETY: the descriptor is borrowed for the call; I2C_FUNCS stores one unsigned long through the pointer.
    unsafe { request::i2c_funcs(adapter.as_fd().as_raw_fd(), &raw mut functions) }?;
    Ok(I2cFunctions(functions))
}

/// Bound the time one transfer may take. The kernel counts in 10 ms; shorter is rounded up to that. It is a
/// property of the adapter, shared with everybody who uses it, and kept until somebody changes it.
pub fn i2c_set_timeout(adapter: impl AsFd, timeout: Duration) -> io::Result<()> {
    let units = timeout.as_millis().div_ceil(10).max(1);
    let units = libc::c_int::try_from(units).map_err(|_| invalid("timeout too long"))?;
    // SAFETY: the descriptor is borrowed for the call; I2C_TIMEOUT takes its argument by value.
    unsafe { request::i2c_timeout(adapter.as_fd().as_raw_fd(), units) }?;
    Ok(())
}

/// How often the adapter repeats a transfer that lost arbitration, by itself.
pub fn i2c_set_retries(adapter: impl AsFd, retries: u8) -> io::Result<()> {
    // SAFETY: the descriptor is borrowed for the call; I2C_RETRIES takes its argument by value.
    unsafe { request::i2c_retries(adapter.as_fd().as_raw_fd(), libc::c_int::from(retries)) }?;
    Ok(())
}

// ---------------------------------------------------------------- GPIO v1 line handles

/// Physical levels of all lines of a GPIO v1 line handle, in the order they were requested.
pub fn line_levels(handle: impl AsFd, lines: usize) -> io::Result<Vec<bool>> {
    check_line_count(lines)?;
    let mut data = HandleData {
        values: [0; GPIO_LINES_MAX],
    };
    // SAFETY: the descriptor is borrowed for the call; the kernel fills at most the 64 bytes of the structure.
    unsafe { request::handle_get(handle.as_fd().as_raw_fd(), &raw mut data) }?;
    Ok(data.values[..lines]
        .iter()
        .map(|value| *value != 0)
        .collect())
}

/// Drive all output lines of a GPIO v1 line handle at once. `levels` must name every line of the handle:
/// lines that are left out would be driven low.
pub fn set_line_levels(handle: impl AsFd, levels: &[bool]) -> io::Result<()> {
    let mut data = HandleData {
        values: level_array(levels)?,
    };
    // SAFETY: the descriptor is borrowed for the call; the kernel reads the 64 bytes of the structure.
    unsafe { request::handle_set(handle.as_fd().as_raw_fd(), &raw mut data) }?;
    Ok(())
}

/// Turn a line handle that was requested *as is* into outputs with these levels, without letting go of the
/// lines in between (Linux 5.5 and later; older kernels answer `EINVAL`).
pub fn turn_into_outputs(handle: impl AsFd, levels: &[bool]) -> io::Result<()> {
    let mut config = HandleConfig {
        flags: HANDLE_REQUEST_OUTPUT,
        default_values: level_array(levels)?,
        padding: [0; 4],
    };
    // SAFETY: the descriptor is borrowed for the call; the kernel reads the structure, whose layout is frozen.
    unsafe { request::handle_set_config(handle.as_fd().as_raw_fd(), &raw mut config) }?;
    Ok(())
}

/// A second descriptor for what `source` holds open, closed on exec. The GPIO crate shows only the number of
/// its descriptor; a line stays requested for as long as any descriptor of it is open.
pub fn duplicate(source: &impl AsRawFd) -> io::Result<OwnedFd> {
    // SAFETY: `source` is borrowed and so stays open for the whole call.
    let borrowed = unsafe { BorrowedFd::borrow_raw(source.as_raw_fd()) };
    borrowed.try_clone_to_owned()
}

// ---------------------------------------------------------------- watchdog

/// What a watchdog device says of itself (`struct watchdog_info`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchdogSupport {
    /// `WDIOF_*` bits; the named ones are constants of this type.
    pub options: u32,
    /// Firmware version of the part, 0 where it has none.
    pub firmware: u32,
    /// The driver's identity, such as `i6300ESB timer`.
    pub identity: String,
}

impl WatchdogSupport {
    /// The timeout can be set.
    pub const SET_TIMEOUT: u32 = 0x0080;
    /// Writing `V` before closing stops it.
    pub const MAGIC_CLOSE: u32 = 0x0100;
    /// A pretimeout can be set.
    pub const PRETIMEOUT: u32 = 0x0200;
    /// It answers keepalives.
    pub const KEEPALIVE_PING: u32 = 0x8000;
    /// In the boot status: the last reset was the watchdog's doing.
    pub const CARD_RESET: u32 = 0x0020;

    /// Whether all of `option` is offered.
    pub const fn offers(&self, option: u32) -> bool {
        self.options & option == option
    }
}

/// Who the watchdog is and what it can do.
pub fn watchdog_support(device: impl AsFd) -> io::Result<WatchdogSupport> {
    let mut info = WatchdogInfo {
        options: 0,
        firmware_version: 0,
        identity: [0; 32],
    };
    // SAFETY: the descriptor is borrowed for the call; the kernel fills exactly this structure.
    unsafe { request::watchdog_support(device.as_fd().as_raw_fd(), &raw mut info) }?;
    let length = info.identity.iter().position(|byte| *byte == 0);
    let identity = &info.identity[..length.unwrap_or(info.identity.len())];
    Ok(WatchdogSupport {
        options: info.options,
        firmware: info.firmware_version,
        identity: String::from_utf8_lossy(identity).into_owned(),
    })
}

/// `WDIOF_*` bits that tell why the machine booted; see [`WatchdogSupport::CARD_RESET`].
pub fn watchdog_boot_status(device: impl AsFd) -> io::Result<u32> {
    let mut flags = 0;
    // SAFETY: the descriptor is borrowed for the call; the kernel stores one int.
    unsafe { request::watchdog_boot_status(device.as_fd().as_raw_fd(), &raw mut flags) }?;
    Ok(flags.cast_unsigned())
}

/// The timeout in force, in whole seconds.
pub fn watchdog_timeout(device: impl AsFd) -> io::Result<Duration> {
    let mut seconds = 0;
    // SAFETY: the descriptor is borrowed for the call; the kernel stores one int.
    unsafe { request::watchdog_timeout(device.as_fd().as_raw_fd(), &raw mut seconds) }?;
    whole_seconds(seconds)
}

/// Ask for a timeout; the answer is the one the driver really took, which may differ.
pub fn watchdog_set_timeout(device: impl AsFd, timeout: Duration) -> io::Result<Duration> {
    let mut seconds = seconds_up(timeout)?;
    // SAFETY: the descriptor is borrowed for the call; the kernel reads and stores one int.
    unsafe { request::watchdog_set_timeout(device.as_fd().as_raw_fd(), &raw mut seconds) }?;
    whole_seconds(seconds)
}

/// Time left until the watchdog fires. Many drivers cannot tell (`EOPNOTSUPP`).
pub fn watchdog_time_left(device: impl AsFd) -> io::Result<Duration> {
    let mut seconds = 0;
    // SAFETY: the descriptor is borrowed for the call; the kernel stores one int.
    unsafe { request::watchdog_time_left(device.as_fd().as_raw_fd(), &raw mut seconds) }?;
    whole_seconds(seconds)
}

/// How long before the timeout the pretimeout comes; zero means none.
pub fn watchdog_pretimeout(device: impl AsFd) -> io::Result<Duration> {
    let mut seconds = 0;
    // SAFETY: the descriptor is borrowed for the call; the kernel stores one int.
    unsafe { request::watchdog_pretimeout(device.as_fd().as_raw_fd(), &raw mut seconds) }?;
    whole_seconds(seconds)
}

/// Ask for a pretimeout, counted back from the timeout; zero switches it off. The answer is the effective one.
pub fn watchdog_set_pretimeout(device: impl AsFd, before: Duration) -> io::Result<Duration> {
    let mut seconds = seconds_up(before)?;
    // SAFETY: the descriptor is borrowed for the call; the kernel reads and stores one int.
    unsafe { request::watchdog_set_pretimeout(device.as_fd().as_raw_fd(), &raw mut seconds) }?;
    whole_seconds(seconds)
}

/// Feed the watchdog.
pub fn watchdog_keepalive(device: impl AsFd) -> io::Result<()> {
    let mut ignored = 0;
    // SAFETY: the descriptor is borrowed for the call; the kernel ignores the argument.
    unsafe { request::watchdog_keepalive(device.as_fd().as_raw_fd(), &raw mut ignored) }?;
    Ok(())
}

// ---------------------------------------------------------------- scheduling

/// Put the calling thread into `SCHED_FIFO` at `priority` (1..=99). Children do not inherit it: a check plugin
/// at real-time priority could starve the very loop that watches it. Refused (`EPERM`) without `CAP_SYS_NICE`
/// or a sufficient `RLIMIT_RTPRIO`.
pub fn enter_real_time(priority: u8) -> io::Result<()> {
    let parameter = libc::sched_param {
        sched_priority: libc::c_int::from(priority),
    };
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: pid 0 is the calling thread; the parameter outlives the call and is only read.
    let result = unsafe { libc::sched_setscheduler(0, policy, &raw const parameter) };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Touch the next 256 KiB of the calling thread's stack, so that with locked memory no later call pays for a
/// page fault. Call it once, on the thread concerned, after `mlockall`.
#[inline(never)]
pub fn prefault_stack() {
    const BYTES: usize = 256 * 1024;
    const PAGE_BYTES: usize = 4096;
    let mut stack = [0_u8; BYTES];
    for page in stack.iter_mut().step_by(PAGE_BYTES) {
        *page = 1;
    }
    std::hint::black_box(&mut stack);
}

// ---------------------------------------------------------------- packet sockets

/// The address that ties a packet socket to an interface; `protocol` is the frames it hears (an `ETH_P_*` number),
/// 0 for none.
pub fn packet_address(interface: u32, protocol: u16) -> io::Result<LinkAddr> {
    let index = libc::c_int::try_from(interface).map_err(|_| invalid("no such interface"))?;
    let raw = libc::sockaddr_ll {
        sll_family: AF_PACKET,
        sll_protocol: protocol.to_be(),
        sll_ifindex: index,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let bytes = libc::socklen_t::try_from(size_of_val(&raw)).ok();
    // SAFETY: the pointer is to a whole sockaddr_ll that outlives the call, and the length is its size.
    unsafe { LinkAddr::from_raw((&raw const raw).cast(), bytes) }
        .ok_or_else(|| invalid("no packet address"))
}

// ---------------------------------------------------------------- inherited descriptors

/// Take ownership of a descriptor this process was started with, and mark it closed on exec.
///
/// Each number can be taken once per process; a number that is not open is an error. Call it before anything
/// else opens files, and only with numbers the service manager announced (`LISTEN_FDS`): a number that code
/// in this process opened for itself has an owner already.
pub fn adopt_inherited(number: RawFd) -> io::Result<OwnedFd> {
    static ADOPTED: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());
    if number < INHERITED_FIRST {
        return Err(invalid("standard streams are not handed over"));
    }
    let mut adopted = ADOPTED.lock().unwrap_or_else(PoisonError::into_inner);
    if adopted.contains(&number) {
        return Err(invalid("descriptor was already adopted"));
    }
    // SAFETY: only borrowed for the fcntl below, which fails with EBADF if the number is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    adopted.insert(number);
    // SAFETY: the number is open (fcntl succeeded), came from outside this process, and the set above makes
    // this the only owner that is ever built from it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

// ---------------------------------------------------------------- structures and requests

/// `GPIOHANDLE_REQUEST_OUTPUT`.
const HANDLE_REQUEST_OUTPUT: u32 = 1 << 1;

/// `struct gpiohandle_data`.
#[repr(C)]
struct HandleData {
    values: [u8; GPIO_LINES_MAX],
}

/// `struct gpiohandle_config`.
#[repr(C)]
struct HandleConfig {
    flags: u32,
    default_values: [u8; GPIO_LINES_MAX],
    padding: [u32; 4],
}

/// `struct watchdog_info`.
#[repr(C)]
struct WatchdogInfo {
    options: u32,
    firmware_version: u32,
    identity: [u8; 32],
}

/// The requests themselves. Numbers from `linux/i2c-dev.h`, `linux/gpio.h` and `linux/watchdog.h`.
mod request {
    use super::{HandleConfig, HandleData, WatchdogInfo};

    nix::ioctl_write_int_bad!(i2c_retries, 0x0701);
    nix::ioctl_write_int_bad!(i2c_timeout, 0x0702);
    nix::ioctl_read_bad!(i2c_funcs, 0x0705, libc::c_ulong);

    nix::ioctl_readwrite!(handle_get, 0xB4, 0x08, HandleData);
    nix::ioctl_readwrite!(handle_set, 0xB4, 0x09, HandleData);
    nix::ioctl_readwrite!(handle_set_config, 0xB4, 0x0A, HandleConfig);

    nix::ioctl_read!(watchdog_support, b'W', 0, WatchdogInfo);
    nix::ioctl_read!(watchdog_boot_status, b'W', 2, libc::c_int);
    nix::ioctl_read!(watchdog_keepalive, b'W', 5, libc::c_int);
    nix::ioctl_readwrite!(watchdog_set_timeout, b'W', 6, libc::c_int);
    nix::ioctl_read!(watchdog_timeout, b'W', 7, libc::c_int);
    nix::ioctl_readwrite!(watchdog_set_pretimeout, b'W', 8, libc::c_int);
    nix::ioctl_read!(watchdog_pretimeout, b'W', 9, libc::c_int);
    nix::ioctl_read!(watchdog_time_left, b'W', 10, libc::c_int);
}

fn level_array(levels: &[bool]) -> io::Result<[u8; GPIO_LINES_MAX]> {
    check_line_count(levels.len())?;
    let mut values = [0; GPIO_LINES_MAX];
    for (value, level) in values.iter_mut().zip(levels) {
        *value = u8::from(*level);
    }
    Ok(values)
}

fn check_line_count(lines: usize) -> io::Result<()> {
    if lines == 0 || lines > GPIO_LINES_MAX {
        return Err(invalid("a line request holds 1 to 64 lines"));
    }
    Ok(())
}

fn whole_seconds(seconds: libc::c_int) -> io::Result<Duration> {
    u64::try_from(seconds)
        .map(Duration::from_secs)
        .map_err(|_| invalid("the driver reported a negative time"))
}

fn seconds_up(span: Duration) -> io::Result<libc::c_int> {
    let seconds = span.as_millis().div_ceil(1000);
    libc::c_int::try_from(seconds).map_err(|_| invalid("time too long for the driver"))
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::IntoRawFd;

    use super::*;

    #[test]
    fn structures_have_the_kernels_sizes() {
        assert_eq!(size_of::<HandleData>(), 64);
        assert_eq!(size_of::<HandleConfig>(), 84);
        assert_eq!(size_of::<WatchdogInfo>(), 40);
    }

    #[test]
    fn a_file_that_is_no_device_is_refused_by_every_request() {
        let file = File::open("/dev/null").unwrap();
        assert!(i2c_functions(&file).is_err());
        assert!(i2c_set_timeout(&file, Duration::from_millis(50)).is_err());
        assert!(i2c_set_retries(&file, 1).is_err());
        assert!(line_levels(&file, 1).is_err());
        assert!(set_line_levels(&file, &[true]).is_err());
        assert!(turn_into_outputs(&file, &[true]).is_err());
        assert!(watchdog_support(&file).is_err());
        assert!(watchdog_timeout(&file).is_err());
        assert!(watchdog_set_timeout(&file, Duration::from_secs(5)).is_err());
        assert!(watchdog_keepalive(&file).is_err());
    }

    #[test]
    fn line_counts_are_bounded() {
        let file = File::open("/dev/null").unwrap();
        let kind = |result: io::Result<()>| result.unwrap_err().kind();
        assert_eq!(
            kind(set_line_levels(&file, &[])),
            io::ErrorKind::InvalidInput
        );
        assert_eq!(
            kind(set_line_levels(&file, &[false; GPIO_LINES_MAX + 1])),
            io::ErrorKind::InvalidInput
        );
    }

    #[test]
    fn a_descriptor_is_adopted_once() {
        let number = File::open("/dev/null").unwrap().into_raw_fd();
        let owned = adopt_inherited(number).unwrap();
        assert_eq!(owned.as_raw_fd(), number);
        assert!(adopt_inherited(number).is_err());
        assert!(adopt_inherited(1).is_err());
        assert!(adopt_inherited(9_999).is_err());
    }

    #[test]
    fn functions_are_named_for_people() {
        let functions = I2cFunctions(I2cFunctions::READ_WORD_DATA.0 | I2cFunctions::WRITE_BYTE.0);
        assert!(functions.offers(I2cFunctions::WRITE_BYTE));
        assert!(!functions.offers(I2cFunctions::PLAIN));
        assert_eq!(functions.describe(), "send byte, read word data");
        assert_eq!(I2cFunctions(0).describe(), "nothing this agent knows of");
    }
}
