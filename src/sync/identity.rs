//! Who the two ends of the sync connection are: keys derived from what the pair shares already.
//!
//! Each node derives both nodes' Ed25519 keys from the pair's secret, so each knows the other's public key with no
//! exchange, no authority and no dates. A pair that changes its secret holds several for a while: the one who connects
//! names the one it uses, by a mark that tells nothing about it.
//!
//! What if a secret leaks? Whoever has it speaks for either node, here as on the heartbeat links.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::sign::any_eddsa_type;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SigningKey};

/// Bytes of a pair's secret.
pub const SECRET_BYTES: usize = 32;
/// Most secrets in use at once, as in the pair's key file.
pub const SECRETS_MAX: usize = 4;

/// For [`blake3::derive_key`]; part of the protocol.
const CONTEXT_KEY: &str = "fencepost sync 1 node identity, Ed25519 seed";
const CONTEXT_MARK: &str = "fencepost sync 1 mark of a secret";
/// What stands before the 32 bytes of an Ed25519 seed in PKCS #8 (RFC 8410, section 7).
const PKCS8_BEFORE_SEED: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// Which of the two nodes this is. The root crate maps its own idea of sides onto it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The one that is preferred where only order can decide.
    Preferred,
    /// The other one.
    Other,
}

impl Side {
    /// The peer's.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Preferred => Self::Other,
            Self::Other => Self::Preferred,
        }
    }

    const fn byte(self) -> u8 {
        match self {
            Self::Preferred => 1,
            Self::Other => 2,
        }
    }
}

/// Why there is no identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// No secret at all.
    #[error("the pair has no key")]
    NoSecret,
    /// More than [`SECRETS_MAX`].
    #[error("the pair has {0} keys; at most {SECRETS_MAX} are used at once, remove the oldest")]
    TooMany(usize),
    /// The cryptographic library refused what we derived.
    #[error("no identity can be made from the pair's key: {0}")]
    Library(String),
}

/// What one secret makes of this node and of its peer.
#[derive(Clone)]
pub struct Identity {
    /// Name of the secret on the wire.
    pub(crate) mark: String,
    /// Our key, ready to sign.
    pub(crate) own: Arc<CertifiedKey>,
    /// The peer's public key, as `SubjectPublicKeyInfo`.
    pub(crate) peer: CertificateDer<'static>,
}

impl Identity {
    /// Identities of both nodes, as `side` sees them, one per secret; oldest first, as the secrets are.
    ///
    /// # Errors
    /// No secrets, too many, or a library that refuses to work.
    pub fn all(secrets: &[[u8; SECRET_BYTES]], side: Side) -> Result<Vec<Self>, IdentityError> {
        match secrets.len() {
            0 => Err(IdentityError::NoSecret),
            1..=SECRETS_MAX => secrets
                .iter()
                .map(|secret| Self::new(secret, side))
                .collect(),
            more => Err(IdentityError::TooMany(more)),
        }
    }

    fn new(secret: &[u8; SECRET_BYTES], side: Side) -> Result<Self, IdentityError> {
        let own = signing_key(secret, side)?;
        let peer = signing_key(secret, side.peer())?;
        let mark = blake3::derive_key(CONTEXT_MARK, secret);
        Ok(Self {
            mark: blake3::Hash::from_bytes(mark).to_hex()[..16].to_owned(),
            own: Arc::new(CertifiedKey::new(vec![public(own.as_ref())?], own)),
            peer: public(peer.as_ref())?,
        })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.mark)
    }
}

fn signing_key(
    secret: &[u8; SECRET_BYTES],
    side: Side,
) -> Result<Arc<dyn SigningKey>, IdentityError> {
    let mut material = secret.to_vec();
    material.push(side.byte());
    let mut der = PKCS8_BEFORE_SEED.to_vec();
    der.extend(blake3::derive_key(CONTEXT_KEY, &material));
    any_eddsa_type(&PrivatePkcs8KeyDer::from(der))
        .map_err(|error| IdentityError::Library(error.to_string()))
}

fn public(key: &dyn SigningKey) -> Result<CertificateDer<'static>, IdentityError> {
    let none = || IdentityError::Library("a key without its public half".to_owned());
    let spki = key.public_key().ok_or_else(none)?;
    Ok(CertificateDer::from(spki.to_vec()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

    use super::*;

    fn secret(from: u8) -> [u8; SECRET_BYTES] {
        core::array::from_fn(|at| from.wrapping_add(u8::try_from(at).unwrap()))
    }

    fn one(from: u8, side: Side) -> Identity {
        Identity::all(&[secret(from)], side).unwrap().remove(0)
    }

    #[test]
    fn each_knows_the_other_with_no_exchange() {
        let (left, right) = (one(1, Side::Preferred), one(1, Side::Other));
        assert_eq!(left.own.cert[0], right.peer);
        assert_eq!(right.own.cert[0], left.peer);
        assert_ne!(left.own.cert, right.own.cert);
        assert_eq!(left.mark, right.mark);
    }

    #[test]
    fn another_secret_is_another_pair() {
        let (ours, theirs) = (one(1, Side::Preferred), one(2, Side::Preferred));
        assert_ne!(ours.own.cert, theirs.own.cert);
        assert_ne!(ours.peer, theirs.peer);
        assert_ne!(ours.mark, theirs.mark);
    }

    /// The label is part of the protocol: a pair of two versions must still know itself.
    #[test]
    fn derivation_is_frozen() {
        let identity = one(1, Side::Preferred);
        assert_eq!(identity.mark, "4899822df99e13ba");
        let spki = identity.own.cert[0].as_ref();
        let hash = blake3::hash(spki).to_hex();
        assert_eq!(&hash[..16], "12820d143ec1d19e");
    }

    #[test]
    fn the_number_of_secrets_has_limits() {
        let all = |secrets: &[[u8; 32]]| Identity::all(secrets, Side::Other).unwrap_err();
        assert_eq!(all(&[]), IdentityError::NoSecret);
        assert_eq!(all(&[secret(1); 5]), IdentityError::TooMany(5));
    }

    #[test]
    fn nothing_secret_prints() {
        let printed = format!("{:?}", one(1, Side::Preferred));
        assert_eq!(printed, "Identity(4899822df99e13ba)");
    }
}
