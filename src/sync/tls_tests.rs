#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use rustls::client::ResolvesClientCert;
use rustls::{ClientConnection, ServerConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::identity::Side;

fn identities(secrets: &[u8], side: Side) -> Vec<Identity> {
    let secrets: Vec<[u8; 32]> = secrets
        .iter()
        .map(|from| core::array::from_fn(|at| from.wrapping_add(u8::try_from(at).unwrap())))
        .collect();
    Identity::all(&secrets, side).unwrap()
}

/// Shake hands in memory; what both ends make of it, once each has also read a byte of the other's: in TLS 1.3 the
/// client believes itself connected before the server has judged its key.
async fn shake(
    client: Arc<ClientConfig>,
    name: ServerName<'static>,
    server: Arc<ServerConfig>,
) -> (Result<(), String>, Result<(), String>) {
    let (near, far): (DuplexStream, DuplexStream) = duplex(64 * 1024);
    let connect = async {
        let mut stream = TlsConnector::from(client).connect(name, near).await?;
        assert_eq!(alpn_of_client(stream.get_ref().1), Some(ALPN));
        stream.write_all(b"c").await?;
        stream.read_u8().await.map(|_| ())
    };
    let accept = async {
        let mut stream = TlsAcceptor::from(server).accept(far).await?;
        assert_eq!(alpn_of_server(stream.get_ref().1), Some(ALPN));
        stream.write_all(b"s").await?;
        stream.read_u8().await.map(|_| ())
    };
    let (connected, accepted) = tokio::join!(connect, accept);
    let words = |outcome: std::io::Result<()>| outcome.map_err(|error| error.to_string());
    (words(connected), words(accepted))
}

fn alpn_of_client(connection: &ClientConnection) -> Option<&[u8]> {
    connection.alpn_protocol()
}

fn alpn_of_server(connection: &ServerConnection) -> Option<&[u8]> {
    connection.alpn_protocol()
}

#[tokio::test]
async fn the_two_nodes_of_a_pair_meet() {
    let (config, name) = client(&identities(&[1], Side::Preferred)[0]).unwrap();
    let server = server(&identities(&[1], Side::Other)).unwrap();
    assert_eq!(shake(config, name, server).await, (Ok(()), Ok(())));
}

#[tokio::test]
async fn a_pair_that_changes_keys_meets_by_any_key_both_have() {
    let old_and_new = identities(&[1, 2], Side::Preferred);
    let only_old = || server(&identities(&[1], Side::Other)).unwrap();
    let (config, name) = client(&old_and_new[0]).unwrap();
    assert_eq!(shake(config, name, only_old()).await, (Ok(()), Ok(())));
    let (config, name) = client(&old_and_new[1]).unwrap();
    let (connected, accepted) = shake(config, name, only_old()).await;
    assert!(connected.is_err() && accepted.is_err());
}

#[tokio::test]
async fn another_pairs_node_is_refused_by_both() {
    let ours = identities(&[1], Side::Other);
    let stranger = identities(&[9], Side::Preferred);
    // It even knows the name to ask for.
    let (config, _) = client(&stranger[0]).unwrap();
    let (_, name) = client(&identities(&[1], Side::Preferred)[0]).unwrap();
    let (connected, accepted) = shake(config, name, server(&ours).unwrap()).await;
    assert!(
        connected
            .unwrap_err()
            .contains("ApplicationVerificationFailure")
    );
    assert!(accepted.is_err());
}

#[tokio::test]
async fn a_client_with_the_wrong_key_is_refused_even_if_it_trusts_us() {
    let ours = identities(&[1], Side::Other);
    let mut imposter = identities(&[9], Side::Preferred).remove(0);
    imposter.peer = ours[0].own.cert[0].clone();
    imposter.mark = ours[0].mark.clone();
    let (config, name) = client(&imposter).unwrap();
    let (connected, accepted) = shake(config, name, server(&ours).unwrap()).await;
    assert!(connected.is_err());
    assert!(
        accepted
            .unwrap_err()
            .contains("ApplicationVerificationFailure")
    );
}

/// The same node twice is no pair: an echo of our own connection must not pass for the peer.
#[tokio::test]
async fn our_own_reflection_is_refused() {
    let ours = identities(&[1], Side::Preferred);
    let (config, name) = client(&ours[0]).unwrap();
    let (connected, accepted) = shake(config, name, server(&ours).unwrap()).await;
    assert!(connected.is_err() && accepted.is_err());
}

#[derive(Debug)]
struct Nobody;

impl ResolvesClientCert for Nobody {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }
    fn only_raw_public_keys(&self) -> bool {
        true
    }
    fn has_certs(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_client_without_a_key_is_refused() {
    let ours = identities(&[1], Side::Other);
    let peer = &identities(&[1], Side::Preferred)[0];
    let (_, name) = client(peer).unwrap();
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned::new(vec![peer.peer.clone()])))
        .with_client_cert_resolver(Arc::new(Nobody));
    config.alpn_protocols = vec![ALPN.to_vec()];
    let (connected, accepted) = shake(Arc::new(config), name, server(&ours).unwrap()).await;
    assert!(connected.is_err());
    assert!(accepted.unwrap_err().contains("peer sent no certificates"));
}

#[tokio::test]
async fn another_major_version_of_the_protocol_is_refused() {
    let (config, name) = client(&identities(&[1], Side::Preferred)[0]).unwrap();
    let mut config = (*config).clone();
    config.alpn_protocols = vec![b"fencepost-sync/2".to_vec()];
    let server = server(&identities(&[1], Side::Other)).unwrap();
    let (connected, accepted) = shake(Arc::new(config), name, server).await;
    assert!(connected.unwrap_err().contains("NoApplicationProtocol"));
    assert!(accepted.is_err());
}

/// A client hello of TLS 1.2, by hand: this build has no code that could speak it.
#[tokio::test]
async fn tls_1_2_is_refused() {
    let mut hello = vec![0x03, 0x03];
    hello.extend([7; 32]); // random
    hello.push(0); // no session
    hello.extend([0, 2, 0xc0, 0x2b]); // ECDHE-ECDSA-AES128-GCM-SHA256
    hello.extend([1, 0]); // no compression
    hello.extend([0, 16]); // extensions:
    hello.extend([0, 10, 0, 4, 0, 2, 0, 29]); // x25519
    hello.extend([0, 13, 0, 4, 0, 2, 0x08, 0x07]); // Ed25519
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
    let mut record = vec![0x16, 0x03, 0x01, 0, length(&hello) + 4];
    record.extend([1, 0, 0, length(&hello)]);
    record.extend(hello);

    let (mut near, far) = duplex(64 * 1024);
    near.write_all(&record).await.unwrap();
    let server = server(&identities(&[1], Side::Other)).unwrap();
    let refused = TlsAcceptor::from(server).accept(far).await.map(|_| ());
    let words = refused.unwrap_err().to_string();
    assert!(words.contains("peer is incompatible"), "{words}");
}
