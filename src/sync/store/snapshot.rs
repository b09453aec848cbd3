//! Small files of the store, each replaced as a whole: written aside, synced, renamed over, the directory synced.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{StoreError, io};
use crate::digest::{Digest, Domain};
use crate::resolve::{self, Dir, absent};

/// A larger file is none of ours.
const FILE_BYTES_MAX: usize = 1 << 30;
const SUM_BYTES: usize = 32;

/// Puts a value in the place of the one before.
pub(super) fn write<T: Serialize>(dir: &Dir, name: &[u8], value: &T) -> Result<(), StoreError> {
    let shown = String::from_utf8_lossy(name).into_owned();
    let body = postcard::to_stdvec(value).map_err(|_| StoreError::Damaged(shown.clone()))?;
    let temporary = [name, b".new"].concat();
    let written = || {
        absent(dir.remove(&temporary))?;
        let file = dir.create(&temporary)?;
        resolve::write_at(&file, Digest::of(Domain::Record, &body).as_bytes(), 0)?;
        resolve::write_at(&file, &body, SUM_BYTES as u64)?;
        resolve::sync_file(&file)?;
        dir.move_over(&temporary, dir, name)?;
        dir.sync()
    };
    written().map_err(io("write", shown))
}

/// The value in a file, if there is one.
pub(super) fn read<T: DeserializeOwned>(dir: &Dir, name: &[u8]) -> Result<Option<T>, StoreError> {
    let shown = String::from_utf8_lossy(name).into_owned();
    let read = || match absent(dir.file(name))? {
        Some(file) => resolve::read_all(&file, FILE_BYTES_MAX).map(Some),
        None => Ok(None),
    };
    let Some(bytes) = read().map_err(io("read", &shown))? else {
        return Ok(None);
    };
    let value = bytes.split_at_checked(SUM_BYTES).and_then(|(sum, body)| {
        let whole = Digest::of(Domain::Record, body).as_bytes()[..] == *sum;
        whole.then(|| postcard::from_bytes(body).ok()).flatten()
    });
    value.map(Some).ok_or(StoreError::Damaged(shown))
}
