//! Reading and writing the fields of a message, in order and within bounds.

/// A body, read from front to back.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) const fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A text of at most `most` bytes.
    pub(super) fn text(&mut self, most: usize) -> Option<String> {
        let length = usize::from(self.u8()?);
        if length > most {
            return None;
        }
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        core::str::from_utf8(taken).ok().map(str::to_owned)
    }

    /// One of `words`, by its place from 1.
    pub(super) fn word<W: Copy>(&mut self, words: &[W]) -> Option<W> {
        let place = usize::from(self.u8()?);
        words.get(place.checked_sub(1)?).copied()
    }

    /// A number that may be absent. Absence has one form only.
    pub(super) fn option(&mut self) -> Option<Option<u32>> {
        match (self.u8()?, self.u32()?) {
            (0, 0) => Some(None),
            (1, number) => Some(Some(number)),
            _ => None,
        }
    }
}

pub(super) fn put_word<W: PartialEq>(out: &mut Vec<u8>, words: &[W], word: W) {
    let place = words
        .iter()
        .position(|one| *one == word)
        .map_or(0, |at| at + 1);
    out.push(u8::try_from(place).unwrap_or(0));
}

/// What does not fit in 255 bytes is cut; no text of a message comes near.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    out.push(length);
    out.extend_from_slice(&text.as_bytes()[..usize::from(length)]);
}

pub(super) fn put_option(out: &mut Vec<u8>, number: Option<u32>) {
    out.push(u8::from(number.is_some()));
    out.extend_from_slice(&number.unwrap_or(0).to_be_bytes());
}
