//! TLS between the two nodes: 1.3 only, mutual, and each end accepts exactly one key.
//!
//! Raw public keys (RFC 7250) instead of certificates: nothing to parse, no names, no dates, no authority that could
//! vouch for somebody else. The protocol's major version is agreed by ALPN, the pair's secret by the server name that
//! the connecting side sends. This is the one place that chooses the cryptographic provider.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error,
    PeerMisbehaved, ServerConfig, SignatureScheme, version,
};

use crate::identity::Identity;

/// Name and major version of the protocol; ends that do not share it do not talk.
pub const ALPN: &[u8] = b"fencepost-sync/1";
/// What follows a secret's mark in the server name; `.invalid` names nothing (RFC 2606).
const NAME_SUFFIX: &str = ".sync.fencepost.invalid";

/// For the side that connects, with one of its identities.
///
/// # Errors
/// The library refuses TLS 1.3.
pub fn client(identity: &Identity) -> Result<(Arc<ClientConfig>, ServerName<'static>), Error> {
    let pinned = Pinned::new(vec![identity.peer.clone()]);
    let own = AlwaysResolvesClientRawPublicKeys::new(Arc::clone(&identity.own));
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pinned))
        .with_client_cert_resolver(Arc::new(own));
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A session that is resumed proves no key.
    config.resumption = Resumption::disabled();
    let name = format!("{}{NAME_SUFFIX}", identity.mark);
    let name = ServerName::try_from(name).map_err(|error| Error::General(error.to_string()))?;
    Ok((Arc::new(config), name))
}

/// For the side that listens; whichever of its identities the other end names.
///
/// # Errors
/// The library refuses TLS 1.3.
pub fn server(identities: &[Identity]) -> Result<Arc<ServerConfig>, Error> {
    let peers = identities.iter().map(|one| one.peer.clone()).collect();
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])?
        .with_client_cert_verifier(Arc::new(Pinned::new(peers)))
        .with_cert_resolver(Arc::new(ByMark(identities.to_vec())));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Accepts the pinned keys and nothing else.
#[derive(Debug)]
struct Pinned {
    keys: Vec<CertificateDer<'static>>,
}

impl Pinned {
    const fn new(keys: Vec<CertificateDer<'static>>) -> Self {
        Self { keys }
    }

    fn check(&self, shown: &CertificateDer<'_>, more: &[CertificateDer<'_>]) -> Result<(), Error> {
        if more.is_empty() && self.keys.iter().any(|key| key == shown) {
            Ok(())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }
}

fn signed(
    message: &[u8],
    key: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let key = SubjectPublicKeyInfoDer::from(key.as_ref());
    let schemes = aws_lc_rs::default_provider().signature_verification_algorithms;
    verify_tls13_signature_with_raw_key(message, &key, signature, &schemes)
}

const TOO_OLD: Error =
    Error::PeerMisbehaved(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity, intermediates)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(TOO_OLD)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signed(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity, intermediates)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(TOO_OLD)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signed(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// Chooses our identity by the secret the other end names.
#[derive(Debug)]
struct ByMark(Vec<Identity>);

impl ResolvesServerCert for ByMark {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mark = hello.server_name()?.strip_suffix(NAME_SUFFIX)?;
        let identity = self.0.iter().find(|identity| identity.mark == mark)?;
        Some(Arc::clone(&identity.own))
    }

    fn only_raw_public_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
