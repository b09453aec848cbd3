//! The name of a category.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest name in bytes.
pub const CATEGORY_ID_BYTES_MAX: usize = 32;

/// A category's name: lower-case letters, digits and `-`, starting with a letter. It is also the name of a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CategoryId(String);

/// A text that names no category.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no category name: expected 1 to {CATEGORY_ID_BYTES_MAX} of a-z, 0-9 and `-`, starting with a letter"
)]
pub struct CategoryIdError(String);

impl CategoryId {
    /// The category with this name.
    pub fn new(name: impl Into<String>) -> Result<Self, CategoryIdError> {
        let name = name.into();
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let starts = name
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_lowercase());
        if !starts || name.len() > CATEGORY_ID_BYTES_MAX || !name.bytes().all(letter) {
            return Err(CategoryIdError(name));
        }
        Ok(Self(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CategoryId {
    type Error = CategoryIdError;

    fn try_from(name: String) -> Result<Self, CategoryIdError> {
        Self::new(name)
    }
}

impl From<CategoryId> for String {
    fn from(id: CategoryId) -> Self {
        id.0
    }
}

impl fmt::Display for CategoryId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_safe_directory() {
        assert!(CategoryId::new("dhcp-leases").is_ok());
        for bad in ["", "a/b", "..", "A", "1a", "a b", &"a".repeat(33)] {
            assert!(CategoryId::new(bad).is_err(), "{bad}");
        }
    }
}
