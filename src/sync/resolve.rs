//! The only way in which this crate opens a path inside a tree.
//!
//! A tree's own directory is configured and opened by path. Below it every step starts at a held descriptor and goes by
//! `openat2` with BENEATH, NO_SYMLINKS, NO_MAGICLINKS and NO_XDEV: a name that somebody exchanged for a link between two
//! steps is refused by the kernel, not noticed by us. What is done to an entry is done through the descriptor of the
//! directory it is in, held meanwhile, and a single name.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    self, AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, ResolveFlags, Timespec, Timestamps,
    Uid,
};
use rustix::io::{Errno, Result};

use crate::entry::Xattrs;
use crate::manifest::{XATTR_BYTES_MAX, XATTR_NAME_BYTES_MAX};
use crate::seam::{self, before_change};

/// Most bytes given to the kernel at once; it takes 4,096.
const PIECE_BYTES_MAX: usize = 3072;
/// A copy moves this much per call at most.
const COPY_BYTES_MAX: u64 = 1 << 30;

/// An open directory.
#[derive(Debug)]
pub(crate) struct Dir(OwnedFd);

/// What identifies a state of a file, and tells two states apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    pub(crate) size: u64,
    pub(crate) mtime_ns: i64,
    pub(crate) ctime_ns: i64,
}

/// What `stat` says, in our types.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Status {
    pub(crate) stamp: Stamp,
    pub(crate) file_type: FileType,
    /// Twelve bits.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) links: u64,
}

impl Dir {
    /// The directory that the operator named, which is none if it is a link.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        fs::open(path, flags, Mode::empty()).map(Self)
    }

    /// A directory below this one; `below` is empty for this one itself.
    pub(crate) fn dir(&self, below: &[u8]) -> Result<Self> {
        let mut held: Option<Self> = None;
        let mut rest = below;
        loop {
            let (piece, after) = split_piece(rest);
            let from = held.as_ref().unwrap_or(self);
            let name = if piece.is_empty() { b"." } else { piece };
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            let next = from.resolve(name, flags)?;
            if after.is_empty() {
                return Ok(Self(next));
            }
            (held, rest) = (Some(Self(next)), after);
        }
    }

    /// The directory that an entry below this one is in, and the entry's name.
    pub(crate) fn parent<'a>(&self, below: &'a [u8]) -> Result<(Self, &'a [u8])> {
        let slash = below.iter().rposition(|byte| *byte == b'/');
        let (above, name) = slash.map_or((&b""[..], below), |at| (&below[..at], &below[at + 1..]));
        Ok((self.dir(above)?, name))
    }

    /// A file in this directory, to read; never waits for a writer of a pipe.
    pub(crate) fn file(&self, name: &[u8]) -> Result<OwnedFd> {
        single(name)?;
        self.resolve(name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK)
    }

    /// A new file in this directory, for us alone.
    pub(crate) fn create(&self, name: &[u8]) -> Result<OwnedFd> {
        single(name)?;
        before_change()?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let mode = Mode::RUSR | Mode::WUSR;
        fs::openat(&self.0, name, flags | OFlags::CLOEXEC, mode)
    }

    /// A file of ours in this directory, to read and write.
    pub(crate) fn reopen(&self, name: &[u8]) -> Result<OwnedFd> {
        single(name)?;
        self.resolve(name, OFlags::RDWR | OFlags::NOFOLLOW)
    }

    /// What is at a name, links not followed.
    pub(crate) fn status(&self, name: &[u8]) -> Result<Status> {
        single(name)?;
        fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| Status::of(&stat))
    }

    /// What is at a name, if anything.
    pub(crate) fn look(&self, name: &[u8]) -> Result<Option<Status>> {
        absent(self.status(name))
    }

    /// The target of a link.
    pub(crate) fn target(&self, name: &[u8]) -> Result<Vec<u8>> {
        single(name)?;
        fs::readlinkat(&self.0, name, Vec::new()).map(std::ffi::CString::into_bytes)
    }

    /// Names in this directory, sorted.
    pub(crate) fn names(&self) -> Result<Vec<Vec<u8>>> {
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name.to_vec());
            }
        }
        names.sort();
        Ok(names)
    }

    /// A new directory, for us alone.
    pub(crate) fn make_dir(&self, name: &[u8]) -> Result<()> {
        single(name)?;
        before_change()?;
        fs::mkdirat(&self.0, name, Mode::RWXU)
    }

    /// A directory that is made, for us alone, unless it is there.
    pub(crate) fn ensure_dir(&self, name: &[u8]) -> Result<Self> {
        match self.make_dir(name) {
            Ok(()) | Err(Errno::EXIST) => self.dir(name),
            Err(error) => Err(error),
        }
    }

    /// A new link, with its owner and time.
    pub(crate) fn make_link(
        &self,
        name: &[u8],
        target: &[u8],
        owner: (u32, u32),
        mtime_ns: i64,
    ) -> Result<()> {
        single(name)?;
        before_change()?;
        fs::symlinkat(target, &self.0, name)?;
        let (uid, gid) = (Some(Uid::from_raw(owner.0)), Some(Gid::from_raw(owner.1)));
        fs::chownat(&self.0, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
        fs::utimensat(&self.0, name, &times(mtime_ns), AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Moves an entry to a name that must be free.
    pub(crate) fn move_to(&self, name: &[u8], other: &Self, new: &[u8]) -> Result<()> {
        self.rename(name, other, new, RenameFlags::NOREPLACE)
    }

    /// Moves an entry over a file or link.
    pub(crate) fn move_over(&self, name: &[u8], other: &Self, new: &[u8]) -> Result<()> {
        self.rename(name, other, new, RenameFlags::empty())
    }

    /// Exchanges two entries in one step, whatever they are.
    pub(crate) fn exchange(&self, name: &[u8], other: &Self, new: &[u8]) -> Result<()> {
        self.rename(name, other, new, RenameFlags::EXCHANGE)
    }

    fn rename(&self, name: &[u8], other: &Self, new: &[u8], flags: RenameFlags) -> Result<()> {
        single(name)?;
        single(new)?;
        before_change()?;
        seam::moves(&self.0, name);
        if flags.contains(RenameFlags::EXCHANGE) {
            seam::moves(&other.0, new);
        }
        fs::renameat_with(&self.0, name, &other.0, new, flags)
    }

    /// Removes a file or link.
    pub(crate) fn remove(&self, name: &[u8]) -> Result<()> {
        single(name)?;
        before_change()?;
        fs::unlinkat(&self.0, name, AtFlags::empty())
    }

    /// Removes an empty directory.
    pub(crate) fn remove_dir(&self, name: &[u8]) -> Result<()> {
        single(name)?;
        before_change()?;
        fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)
    }

    /// Removes an entry of ours and all that is in it, if it is there. Mounts inside stay, and are an error.
    pub(crate) fn remove_all(&self, name: &[u8]) -> Result<()> {
        match self.look(name)? {
            None => Ok(()),
            Some(status) if status.file_type != FileType::Directory => self.remove(name),
            Some(_) => {
                let dir = self.dir(name)?;
                dir.clear()?;
                self.remove_dir(name)
            }
        }
    }

    /// Removes all that is in this directory.
    pub(crate) fn clear(&self) -> Result<()> {
        let remove = |name: &Vec<u8>| self.remove_all(name);
        self.names()?.iter().try_for_each(remove)
    }

    /// What this directory itself is.
    pub(crate) fn own_status(&self) -> Result<Status> {
        fs::fstat(&self.0).map(|stat| Status::of(&stat))
    }

    /// Makes names in this directory durable.
    pub(crate) fn sync(&self) -> Result<()> {
        before_change()?;
        fs::fsync(&self.0)?;
        seam::synced(&self.0);
        Ok(())
    }

    /// Makes all of the file system durable, and says what failed since this directory was opened.
    pub(crate) fn sync_file_system(&self) -> Result<()> {
        before_change()?;
        fs::syncfs(&self.0)?;
        seam::synced_all();
        Ok(())
    }

    fn resolve(&self, name: &[u8], flags: OFlags) -> Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH
            | ResolveFlags::NO_SYMLINKS
            | ResolveFlags::NO_MAGICLINKS
            | ResolveFlags::NO_XDEV;
        loop {
            let opened = fs::openat2(
                &self.0,
                name,
                flags | OFlags::CLOEXEC,
                Mode::empty(),
                resolve,
            );
            // The kernel says so when something was renamed meanwhile and it could not be sure.
            if !matches!(opened, Err(Errno::AGAIN)) {
                return opened;
            }
        }
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Status {
    /// Of an open file.
    pub(crate) fn of_file(file: impl AsFd) -> Result<Self> {
        fs::fstat(file).map(|stat| Self::of(&stat))
    }

    #[allow(clippy::useless_conversion, reason = "32 bits on some processors")]
    fn of(stat: &fs::Stat) -> Self {
        let nanoseconds = |seconds: i64, nanoseconds: u64| {
            let rest = i64::try_from(nanoseconds).unwrap_or(0);
            seconds.saturating_mul(1_000_000_000).saturating_add(rest)
        };
        Self {
            stamp: Stamp {
                dev: stat.st_dev,
                ino: stat.st_ino,
                size: u64::try_from(stat.st_size).unwrap_or(0),
                mtime_ns: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
                ctime_ns: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
            },
            file_type: FileType::from_raw_mode(stat.st_mode),
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            links: u64::from(stat.st_nlink),
        }
    }
}

/// Sets the owner of an open file or directory, then its mode: the kernel clears set-user-id when the owner changes.
pub(crate) fn own(file: impl AsFd, owner: (u32, u32), mode: u32) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
    before_change()?;
    fs::fchown(&file, Some(uid), Some(gid))?;
    fs::fchmod(&file, Mode::from_raw_mode(mode))
}

/// Sets the time of an open file or directory.
pub(crate) fn set_mtime(file: impl AsFd, mtime_ns: i64) -> Result<()> {
    before_change()?;
    fs::futimens(file, &times(mtime_ns))
}

/// Makes a file's bytes durable.
pub(crate) fn sync_file(file: impl AsFd) -> Result<()> {
    before_change()?;
    fs::fdatasync(&file)?;
    seam::synced(file);
    Ok(())
}

/// Makes a file's bytes and metadata durable.
pub(crate) fn sync_all(file: impl AsFd) -> Result<()> {
    before_change()?;
    fs::fsync(&file)?;
    seam::synced(file);
    Ok(())
}

/// Sets the length of an open file.
pub(crate) fn set_length(file: impl AsFd, length: u64) -> Result<()> {
    before_change()?;
    fs::ftruncate(file, length)
}

/// Writes all bytes at a place of an open file.
pub(crate) fn write_at(file: impl AsFd, mut bytes: &[u8], mut at: u64) -> Result<()> {
    before_change()?;
    while !bytes.is_empty() {
        match rustix::io::pwrite(&file, bytes, at)? {
            0 => return Err(Errno::IO),
            written => {
                bytes = &bytes[written..];
                at += written as u64;
            }
        }
    }
    Ok(())
}

/// All bytes of an open file, of which there may be no more than `most`.
pub(crate) fn read_all(file: impl AsFd, most: usize) -> Result<Vec<u8>> {
    let length = usize::try_from(Status::of_file(&file)?.stamp.size).unwrap_or(usize::MAX);
    if length > most {
        return Err(Errno::FBIG);
    }
    let mut bytes = vec![0; length];
    let mut at = 0;
    while at < length {
        match rustix::io::pread(&file, &mut bytes[at..], at as u64)? {
            0 => break,
            read => at += read,
        }
    }
    bytes.truncate(at);
    Ok(bytes)
}

/// Gives an open file or directory exactly these of the extended attributes for which `ours` is true.
pub(crate) fn set_xattrs(
    file: impl AsFd,
    wanted: &Xattrs,
    ours: impl Fn(&[u8]) -> bool,
) -> Result<()> {
    for name in xattr_names(&file)? {
        if ours(&name) && !wanted.contains_key(&name) {
            before_change()?;
            fs::fremovexattr(&file, &name[..])?;
        }
    }
    for (name, value) in wanted {
        before_change()?;
        fs::fsetxattr(&file, &name[..], value, fs::XattrFlags::empty())?;
    }
    Ok(())
}

/// Names of all extended attributes; none where the file system has no such thing.
pub(crate) fn xattr_names(file: impl AsFd) -> Result<Vec<Vec<u8>>> {
    let mut list = vec![0; XATTR_BYTES_MAX];
    let length = match fs::flistxattr(&file, &mut list[..]) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => 0,
        Err(error) => return Err(error),
    };
    let names = list[..length].split(|byte| *byte == 0);
    let named = names.filter(|name| (1..=XATTR_NAME_BYTES_MAX).contains(&name.len()));
    Ok(named.map(<[u8]>::to_vec).collect())
}

/// Copies `size` bytes of one open file over another: shared if the file system can, holes kept as far as it knows.
pub(crate) fn copy(from: impl AsFd, to: impl AsFd, size: u64) -> Result<()> {
    before_change()?;
    if fs::ioctl_ficlone(&to, &from).is_ok() {
        return fs::ftruncate(&to, size);
    }
    fs::ftruncate(&to, size)?;
    let mut at = 0;
    while at < size {
        let (start, end) = match data_from(&from, at, size)? {
            Some(span) => span,
            None => return Ok(()),
        };
        at = start;
        while at < end {
            let (mut read, mut write) = (at, at);
            let most = usize::try_from((end - at).min(COPY_BYTES_MAX)).unwrap_or(usize::MAX);
            match fs::copy_file_range(&from, Some(&mut read), &to, Some(&mut write), most) {
                Ok(0) => return Err(Errno::IO),
                Ok(moved) => at += moved as u64,
                // Between two file systems, or on one that cannot: through our own memory.
                Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                    copy_span(&from, &to, at, end)?;
                    at = end;
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

fn copy_span(from: impl AsFd, to: impl AsFd, mut at: u64, end: u64) -> Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    while at < end {
        let most = usize::try_from(end - at).map_or(buffer.len(), |left| left.min(buffer.len()));
        let read = rustix::io::pread(&from, &mut buffer[..most], at)?;
        if read == 0 {
            return Err(Errno::IO);
        }
        write_at(&to, &buffer[..read], at)?;
        at += read as u64;
    }
    Ok(())
}

/// The next piece that is no hole, from `at` on and before `size`.
fn data_from(file: impl AsFd, at: u64, size: u64) -> Result<Option<(u64, u64)>> {
    let start = match fs::seek(&file, fs::SeekFrom::Data(at)) {
        Ok(start) if start < size => start,
        Ok(_) | Err(Errno::NXIO) => return Ok(None),
        Err(_) => return Ok(Some((at, size))),
    };
    let end = fs::seek(&file, fs::SeekFrom::Hole(start)).unwrap_or(size);
    Ok(Some((start, end.min(size))))
}

/// `None` for what is not there.
pub(crate) fn absent<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn times(mtime_ns: i64) -> Timestamps {
    let time = Timespec {
        tv_sec: mtime_ns.div_euclid(1_000_000_000),
        tv_nsec: mtime_ns.rem_euclid(1_000_000_000),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

/// A name that is only a name: `openat2` guards paths, the other calls have nobody else.
fn single(name: &[u8]) -> Result<()> {
    let plain = !name.is_empty() && name != b"." && name != b".." && !name.contains(&b'/');
    plain.then_some(()).ok_or(Errno::INVAL)
}

/// As many whole names as the kernel takes at once, and the rest.
fn split_piece(path: &[u8]) -> (&[u8], &[u8]) {
    if path.len() <= PIECE_BYTES_MAX {
        return (path, &[]);
    }
    let slash = path[..PIECE_BYTES_MAX]
        .iter()
        .rposition(|byte| *byte == b'/');
    slash.map_or((path, &[]), |at| (&path[..at], &path[at + 1..]))
}
