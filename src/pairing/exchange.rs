//! The words of a pairing as bytes, and what each side may believe. No sockets, no files.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use spake2::{Ed25519Group, Identity, Password, Spake2};

use super::{Code, Terms};

/// Bytes of a share: one for the side, the rest a point.
pub(super) const SHARE_BYTES: usize = 33;
/// Bytes of a proof.
pub(super) const PROOF_BYTES: usize = 32;
/// Version, terms, share.
pub(super) const HELLO_BYTES: usize = 2 + SHARE_BYTES;

const VERSION: u8 = 1;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Inviter,
    Joiner,
}

/// A word that only somebody who ended with the same key can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    KnowsCode,
    Staged,
    InPlace,
}

/// Why a hello is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misfit {
    Version,
    Terms,
}

/// A share of ours is out, the other's is awaited.
pub(super) struct Started {
    spake: Spake2<Ed25519Group>,
    terms: Terms,
    own: [u8; SHARE_BYTES],
    part: Part,
}

/// Both shares are there. Whether the other knew the code is shown by its first word.
pub(super) struct Agreed {
    key: [u8; 32],
}

impl Started {
    /// A fresh share, whatever was said before: what is recorded of one pairing is worth nothing in another.
    pub(super) fn new(part: Part, terms: Terms, code: &Code) -> Self {
        let password = Password::new(code.bytes());
        let inviter = Identity::new(b"fencepost pair 1 inviter");
        let joiner = Identity::new(b"fencepost pair 1 joiner");
        let (spake, share) = match part {
            Part::Inviter => Spake2::start_a(&password, &inviter, &joiner),
            Part::Joiner => Spake2::start_b(&password, &inviter, &joiner),
        };
        let mut own = [0; SHARE_BYTES];
        own.iter_mut().zip(share).for_each(|(to, from)| *to = from);
        Self {
            spake,
            terms,
            own,
            part,
        }
    }

    pub(super) fn share(&self) -> [u8; SHARE_BYTES] {
        self.own
    }

    pub(super) fn hello(&self) -> [u8; HELLO_BYTES] {
        let mut hello = [0; HELLO_BYTES];
        hello[0] = VERSION;
        hello[1] = terms_byte(self.terms);
        hello[2..].copy_from_slice(&self.own);
        hello
    }

    /// `None`: the share is no share.
    pub(super) fn agree(self, other: &[u8; SHARE_BYTES]) -> Option<Agreed> {
        let shared = self.spake.finish(other).ok()?;
        let (inviter, joiner) = match self.part {
            Part::Inviter => (&self.own, other),
            Part::Joiner => (other, &self.own),
        };
        // The library's key covers shares and code; version and terms are ours to cover.
        let mut mac = mac(&shared)?;
        mac.update(&[VERSION, terms_byte(self.terms)]);
        mac.update(inviter);
        mac.update(joiner);
        Some(Agreed {
            key: mac.finalize().into_bytes().into(),
        })
    }
}

/// Takes a hello apart.
pub(super) fn hello(bytes: &[u8; HELLO_BYTES], terms: Terms) -> Result<[u8; SHARE_BYTES], Misfit> {
    if bytes[0] != VERSION {
        return Err(Misfit::Version);
    }
    if bytes[1] != terms_byte(terms) {
        return Err(Misfit::Terms);
    }
    Ok(core::array::from_fn(|at| bytes[at + 2]))
}

impl Agreed {
    /// What `part` says to prove that it has come this far.
    pub(super) fn say(&self, part: Part, word: Word) -> [u8; PROOF_BYTES] {
        self.derive(&label(part, word))
    }

    /// Whether it was said by somebody with our key. Takes the same time for every wrong one.
    pub(super) fn heard(&self, part: Part, word: Word, said: &[u8; PROOF_BYTES]) -> bool {
        let mac = mac(&self.key).map(|mac| mac.chain_update(label(part, word)));
        mac.is_some_and(|mac| mac.verify_slice(said).is_ok())
    }

    /// The pair's new secret.
    pub(super) fn secret(&self) -> [u8; 32] {
        self.derive(b"secret of the pair")
    }

    fn derive(&self, label: &[u8]) -> [u8; 32] {
        let mac = mac(&self.key).map(|mac| mac.chain_update(label));
        // HMAC takes keys of any length.
        mac.map_or([0; 32], |mac| mac.finalize().into_bytes().into())
    }
}

fn mac(key: &[u8]) -> Option<Hmac<Sha256>> {
    Hmac::new_from_slice(key).ok()
}

fn label(part: Part, word: Word) -> [u8; 2] {
    let part = match part {
        Part::Inviter => 1,
        Part::Joiner => 2,
    };
    let word = match word {
        Word::KnowsCode => 1,
        Word::Staged => 2,
        Word::InPlace => 3,
    };
    [part, word]
}

fn terms_byte(terms: Terms) -> u8 {
    match terms {
        Terms::New => 1,
        Terms::Add => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(inviter: &str, joiner: &str, terms: [Terms; 2]) -> [Agreed; 2] {
        let started = |part, terms, code| Started::new(part, terms, &Code::parse(code).unwrap());
        let inviter = started(Part::Inviter, terms[0], inviter);
        let joiner = started(Part::Joiner, terms[1], joiner);
        let shares = [inviter.share(), joiner.share()];
        [
            inviter.agree(&shares[1]).unwrap(),
            joiner.agree(&shares[0]).unwrap(),
        ]
    }

    #[test]
    fn the_same_code_makes_the_same_secret_and_each_word_is_one_sides() {
        let [inviter, joiner] = both("AAAA-BBBB", "aaaabbbb", [Terms::New; 2]);
        assert_eq!(inviter.secret(), joiner.secret());
        let words = [Word::KnowsCode, Word::Staged, Word::InPlace];
        let mut said = vec![inviter.secret()];
        for part in [Part::Inviter, Part::Joiner] {
            for word in words {
                let proof = inviter.say(part, word);
                assert!(joiner.heard(part, word, &proof));
                assert!(!said.contains(&proof), "one word says two things");
                said.push(proof);
            }
        }
    }

    #[test]
    fn another_code_or_other_terms_make_another_key() {
        for [inviter, joiner] in [
            both("AAAA-BBBB", "AAAA-BBBC", [Terms::New; 2]),
            both("AAAA-BBBB", "AAAA-BBBB", [Terms::New, Terms::Add]),
        ] {
            assert_ne!(inviter.secret(), joiner.secret());
            let said = joiner.say(Part::Joiner, Word::KnowsCode);
            assert!(!inviter.heard(Part::Joiner, Word::KnowsCode, &said));
        }
    }

    #[test]
    fn a_share_is_fresh_each_time_and_rubbish_is_none() {
        let code = Code::parse("AAAA-BBBB").unwrap();
        let start = || Started::new(Part::Inviter, Terms::New, &code);
        assert_ne!(start().share(), start().share());
        assert!(start().agree(&[0xFF; SHARE_BYTES]).is_none());
        // Its own share, reflected.
        let one = start();
        let share = one.share();
        assert!(one.agree(&share).is_none());
    }

    #[test]
    fn a_hello_says_what_it_is() {
        let code = Code::parse("AAAA-BBBB").unwrap();
        let started = Started::new(Part::Joiner, Terms::Add, &code);
        let mut bytes = started.hello();
        assert_eq!(hello(&bytes, Terms::Add), Ok(started.share()));
        assert_eq!(hello(&bytes, Terms::New), Err(Misfit::Terms));
        bytes[0] = 9;
        assert_eq!(hello(&bytes, Terms::Add), Err(Misfit::Version));
    }
}
