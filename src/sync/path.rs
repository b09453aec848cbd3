//! Names inside a category: relative, of bytes, and never able to leave the tree they are looked up in.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest component in bytes: what Linux file systems take.
pub const COMPONENT_BYTES_MAX: usize = 255;
/// Longest path in bytes. Longer than the kernel's own 4,096: the resolver goes piece by piece.
pub const PATH_BYTES_MAX: usize = 16_384;
/// Most components.
pub const DEPTH_MAX: usize = 256;

/// A path of one or more components below the root of a category.
///
/// The first component names one of the category's trees; the rest is below that tree's directory. No component is
/// empty, `.` or `..`, or holds a NUL, so a path cannot mean anything outside.
///
/// Paths sort by component: a directory, then all that is in it, then its next sibling.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct RelPath(Box<[u8]>);

/// Bytes that are no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// No component at all.
    #[error("an empty path; expected at least one name")]
    Empty,
    /// It starts with `/`.
    #[error("an absolute path; expected one relative to the category")]
    Absolute,
    /// Two `/` in a row, or one at the end.
    #[error("an empty name in a path; expected one `/` between names and none at the end")]
    EmptyComponent,
    /// `.` or `..`.
    #[error("`.` or `..` in a path; expected plain names")]
    Dots,
    /// A NUL byte.
    #[error("a NUL byte in a path")]
    Nul,
    /// A component over [`COMPONENT_BYTES_MAX`].
    #[error("a name of {0} bytes; at most {COMPONENT_BYTES_MAX}")]
    LongComponent(usize),
    /// Over [`PATH_BYTES_MAX`].
    #[error("a path of {0} bytes; at most {PATH_BYTES_MAX}")]
    Long(usize),
    /// Over [`DEPTH_MAX`].
    #[error("a path of {0} names; at most {DEPTH_MAX}")]
    Deep(usize),
}

impl RelPath {
    /// The path that these bytes spell, `/` between names.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, PathError> {
        let bytes = bytes.into();
        judge(&bytes)?;
        Ok(Self(bytes.into_boxed_slice()))
    }

    /// This path and one more name.
    pub fn join(&self, name: &[u8]) -> Result<Self, PathError> {
        if name.contains(&b'/') {
            return Err(PathError::EmptyComponent);
        }
        let mut bytes = Vec::with_capacity(self.0.len() + 1 + name.len());
        bytes.extend_from_slice(&self.0);
        bytes.push(b'/');
        bytes.extend_from_slice(name);
        Self::new(bytes)
    }

    /// All bytes, `/` between names.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The names, first to last.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/')
    }

    /// How many names, 1 or more.
    pub fn depth(&self) -> usize {
        self.components().count()
    }

    /// The last name.
    pub fn name(&self) -> &[u8] {
        self.slash().map_or(&self.0, |at| &self.0[at + 1..])
    }

    /// The first name: which tree.
    pub fn tree(&self) -> &[u8] {
        self.split_tree().0
    }

    /// The first name, and what is below it; empty for the tree's own directory.
    pub fn split_tree(&self) -> (&[u8], &[u8]) {
        match self.0.iter().position(|byte| *byte == b'/') {
            Some(at) => (&self.0[..at], &self.0[at + 1..]),
            None => (&self.0, &[]),
        }
    }

    /// The directory it is in; none if it has one name.
    pub fn parent(&self) -> Option<Self> {
        self.slash().map(|at| Self(self.0[..at].into()))
    }

    /// Whether `self` is `above` or inside of it.
    pub fn is_within(&self, above: &Self) -> bool {
        let rest = self.0.strip_prefix(&*above.0);
        rest.is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'/'))
    }

    fn slash(&self) -> Option<usize> {
        self.0.iter().rposition(|byte| *byte == b'/')
    }
}

fn judge(bytes: &[u8]) -> Result<(), PathError> {
    match bytes {
        [] => return Err(PathError::Empty),
        [b'/', ..] => return Err(PathError::Absolute),
        _ if bytes.len() > PATH_BYTES_MAX => return Err(PathError::Long(bytes.len())),
        _ if bytes.contains(&0) => return Err(PathError::Nul),
        _ => {}
    }
    let mut depth = 0;
    for name in bytes.split(|byte| *byte == b'/') {
        match name {
            [] => return Err(PathError::EmptyComponent),
            b"." | b".." => return Err(PathError::Dots),
            _ if name.len() > COMPONENT_BYTES_MAX => {
                return Err(PathError::LongComponent(name.len()));
            }
            _ => depth += 1,
        }
    }
    if depth > DEPTH_MAX {
        return Err(PathError::Deep(depth));
    }
    Ok(())
}

impl Ord for RelPath {
    fn cmp(&self, other: &Self) -> Ordering {
        const STRIDE: usize = 32;
        let strides = self
            .0
            .chunks_exact(STRIDE)
            .zip(other.0.chunks_exact(STRIDE));
        let same = strides.take_while(|(mine, theirs)| mine == theirs).count() * STRIDE;
        // `/` sorts before every byte of a name: NUL, which no name holds, stands for it.
        let key = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
        self.0[same..]
            .iter()
            .map(key)
            .cmp(other.0[same..].iter().map(key))
    }
}

impl PartialOrd for RelPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl TryFrom<Vec<u8>> for RelPath {
    type Error = PathError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, PathError> {
        Self::new(bytes)
    }
}

impl TryFrom<&str> for RelPath {
    type Error = PathError;

    fn try_from(text: &str) -> Result<Self, PathError> {
        Self::new(text)
    }
}

impl From<RelPath> for Vec<u8> {
    fn from(path: RelPath) -> Self {
        path.0.into_vec()
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_escaped(out, &self.0)
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "`{self}`")
    }
}

/// Writes a name that somebody else chose so that it cannot act on a terminal or break a log line: control characters,
/// `\` and bytes that are no UTF-8 as `\xNN`.
pub(crate) fn write_escaped(out: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter.is_control() || letter == '\\' {
                let mut bytes = [0; 4];
                for byte in letter.encode_utf8(&mut bytes).bytes() {
                    write!(out, "\\x{byte:02x}")?;
                }
            } else {
                write!(out, "{letter}")?;
            }
        }
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::try_from(text).unwrap()
    }

    #[test]
    fn what_could_leave_the_tree_is_no_path() {
        let refused = |bytes: &[u8]| RelPath::new(bytes).unwrap_err();
        assert_eq!(refused(b""), PathError::Empty);
        assert_eq!(refused(b"/etc"), PathError::Absolute);
        assert_eq!(refused(b"a//b"), PathError::EmptyComponent);
        assert_eq!(refused(b"a/"), PathError::EmptyComponent);
        assert_eq!(refused(b"a/../b"), PathError::Dots);
        assert_eq!(refused(b"."), PathError::Dots);
        assert_eq!(refused(b"a\0b"), PathError::Nul);
        assert_eq!(refused(&[b'a'; 256]), PathError::LongComponent(256));
        assert_eq!(refused(&b"a/".repeat(9000)), PathError::Long(18_000));
        let deep = vec!["a"; 257].join("/");
        assert_eq!(refused(deep.as_bytes()), PathError::Deep(257));
        assert!(RelPath::new([b'a'; 255]).is_ok());
    }

    #[test]
    fn the_same_rules_hold_for_what_a_peer_sends() {
        let bytes = postcard::to_stdvec(&b"a/../../etc".to_vec()).unwrap();
        assert!(postcard::from_bytes::<RelPath>(&bytes).is_err());
        let bytes = postcard::to_stdvec(&path("a/b")).unwrap();
        assert_eq!(postcard::from_bytes::<RelPath>(&bytes), Ok(path("a/b")));
    }

    #[test]
    fn a_directory_sorts_right_before_what_is_in_it() {
        let mut paths = ["a-b", "a/b/c", "a", "a/b", "b", "a/b-c", "a!"].map(path);
        paths.sort();
        assert_eq!(
            paths,
            ["a", "a/b", "a/b/c", "a/b-c", "a!", "a-b", "b"].map(path)
        );
    }

    #[test]
    fn parts_of_a_path() {
        let deep = path("tree/a/b");
        assert_eq!(deep.name(), b"b");
        assert_eq!(deep.split_tree(), (&b"tree"[..], &b"a/b"[..]));
        assert_eq!(deep.parent(), Some(path("tree/a")));
        assert_eq!(path("tree").parent(), None);
        assert_eq!(path("tree").split_tree(), (&b"tree"[..], &b""[..]));
        assert!(deep.is_within(&path("tree")) && deep.is_within(&deep));
        assert!(!path("tree-2").is_within(&path("tree")));
        assert_eq!(path("a").join(b"x/y"), Err(PathError::EmptyComponent));
    }

    #[test]
    fn hostile_names_are_shown_escaped() {
        let nasty = RelPath::new(b"a\x1b[31m/\xff\n\\".to_vec()).unwrap();
        assert_eq!(nasty.to_string(), "a\\x1b[31m/\\xff\\x0a\\x5c");
    }
}
