//! The one-time code: eight letters and digits that nobody confuses when reading them aloud.

use std::fmt;

/// Letters and digits, without I, L, O and U (Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// 40 bits: with three tries one guess in 366 billion.
const LETTERS: usize = 8;

/// A code. It never prints by accident: [`Code::show`] is the one way.
#[derive(Clone, PartialEq, Eq)]
pub struct Code([u8; LETTERS]);

/// Why a text is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Of another length.
    #[error("a code has {LETTERS} letters and digits; this has {0}")]
    Length(usize),
    /// A sign that is in no code.
    #[error("`{0}` is in no code; letters and digits are")]
    Sign(char),
}

impl Code {
    /// From random bytes.
    pub fn new(random: [u8; LETTERS]) -> Self {
        Self(random.map(|byte| ALPHABET[usize::from(byte % 32)]))
    }

    /// As typed: capitals or not, with or without hyphens and blanks; O is 0, I and L are 1.
    ///
    /// # Errors
    /// Too short, too long, or a sign that is in no code.
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        let mut letters = Vec::with_capacity(LETTERS);
        for typed in text
            .chars()
            .filter(|it| !matches!(it, '-' | ' ' | '\n' | '\r' | '\t'))
        {
            let letter = match typed.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            let known = u8::try_from(letter)
                .ok()
                .filter(|byte| ALPHABET.contains(byte));
            letters.push(known.ok_or(CodeError::Sign(typed))?);
        }
        let length = letters.len();
        letters
            .try_into()
            .map(Self)
            .map_err(|_| CodeError::Length(length))
    }

    /// For the person who carries it to the other node: `K7QM-2X9D`.
    pub fn show(&self) -> String {
        let letters: String = self.0.iter().map(|byte| char::from(*byte)).collect();
        let (first, second) = letters.split_at(LETTERS / 2);
        format!("{first}-{second}")
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_typed_by_a_person() {
        let code = Code::new([0, 1, 10, 31, 32, 33, 200, 255]);
        assert_eq!(code.show(), "01AZ-018Z");
        for typed in ["01AZ-018Z", "o1az 018z\n", "Olaz-oI8z"] {
            assert_eq!(Code::parse(typed), Ok(code.clone()), "{typed}");
        }
        assert_eq!(format!("{code:?}"), "Code(..)");
    }

    #[test]
    fn what_is_no_code_is_refused_in_words() {
        assert_eq!(Code::parse("01AZ-018"), Err(CodeError::Length(7)));
        assert_eq!(Code::parse(""), Err(CodeError::Length(0)));
        assert_eq!(Code::parse("01AZ-018U"), Err(CodeError::Sign('U')));
        assert_eq!(Code::parse("01AZ-018ü"), Err(CodeError::Sign('ü')));
    }
}
