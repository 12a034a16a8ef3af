//! Over real sockets: plain TCP, TLS with a file of roots, a server that TLS does not know, and the token's file.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{SeededEntropy, TokioClock, spawner};
use crate::trading::platform::client::{PlatformClient, PlatformFailure};
use crate::trading::platform::connection::LinkParts;
use crate::trading::platform::dial::{PlatformTls, TcpDial};
use crate::trading::platform::link;

/// Answers the first request with its token.
async fn answer_once(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let (reader, mut writer) = tokio::io::split(stream);
    let Ok(Some(line)) = BufReader::new(reader).lines().next_line().await else { return };
    let request: serde_json::Value = serde_json::from_str(&line).unwrap();
    let answer = json!({"extID": request["extID"], "status": 200, "data": {"token": request["__token"]}});
    writer.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
    writer.flush().await.unwrap();
    std::future::pending::<()>().await;
}

fn pem(certificate: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

struct Place {
    folder: tempfile::TempDir,
    listener: TcpListener,
    key: CertifiedKey<rcgen::KeyPair>,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "\u{feff}the-token\r\n").unwrap();
        let key = generate_simple_self_signed(["platform.test".to_owned()]).unwrap();
        std::fs::write(folder.path().join("roots.pem"), pem(key.cert.der())).unwrap();
        Self { folder, listener: TcpListener::bind("127.0.0.1:0").await.unwrap(), key }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn acceptor(&self) -> TlsAcceptor {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(self.key.cert.der().to_vec())], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    fn client(&self, tls: &PlatformTls) -> (PlatformClient, Arc<super::OwnTasks>) {
        let address = self.listener.local_addr().unwrap().to_string();
        let dial = Arc::new(TcpDial::new(&address, tls, &self.file("token")).unwrap());
        let (clock, entropy, tasks) = (TokioClock::arc(), SeededEntropy::arc(1), spawner());
        (
            link::open(
                LinkParts { dial, clock, entropy, heartbeat: "GetGroups".into(), expected: Vec::new() },
                &*tasks,
            ),
            tasks,
        )
    }
}

#[tokio::test]
async fn a_call_over_plain_tcp_is_answered_and_bears_the_token_of_the_file() {
    let place = Place::new().await;
    let (client, _tasks) = place.client(&PlatformTls::Plain);
    let server = async { answer_once(place.listener.accept().await.unwrap().0).await };
    tokio::select! {
        answer = client.call("GetGroups", json!({})) => assert_eq!(answer.unwrap()["token"], "the-token"),
        () = server => panic!("the server ended"),
    }
}

#[tokio::test]
async fn a_call_over_tls_is_answered_where_the_roots_file_knows_the_server() {
    let place = Place::new().await;
    let tls = PlatformTls::RootsFile { name: "platform.test".into(), file: place.file("roots.pem") };
    let (client, _tasks) = place.client(&tls);
    let server = async {
        let socket = place.listener.accept().await.unwrap().0;
        answer_once(place.acceptor().accept(socket).await.unwrap()).await;
    };
    tokio::select! {
        answer = client.call("GetGroups", json!({})) => assert_eq!(answer.unwrap()["token"], "the-token"),
        () = server => panic!("the server ended"),
    }
}

#[tokio::test]
async fn a_server_that_the_public_roots_do_not_know_is_sent_nothing() {
    let place = Place::new().await;
    let (client, _tasks) = place.client(&PlatformTls::PublicRoots { name: "platform.test".into() });
    let server = async {
        loop {
            let socket = place.listener.accept().await.unwrap().0;
            assert!(place.acceptor().accept(socket).await.is_err());
        }
    };
    tokio::select! {
        answer = client.call("GetGroups", json!({})) => assert!(matches!(answer, Err(PlatformFailure::NeverSent(_))), "{answer:?}"),
        () = server => {}
    }
}

#[tokio::test]
async fn a_token_file_that_is_no_token_is_named_and_not_repeated() {
    let place = Place::new().await;
    for (content, problem) in [("", "must hold one token"), ("CANARY one CANARY", "must hold one token")] {
        std::fs::write(place.file("bad"), content).unwrap();
        let refused = TcpDial::new("127.0.0.1:1", &PlatformTls::Plain, &place.file("bad")).err().unwrap();
        assert!(refused.what.contains(problem) && !refused.what.contains("CANARY"), "{refused}");
    }
    assert!(TcpDial::new("127.0.0.1:1", &PlatformTls::Plain, &place.file("none")).is_err());
    let tls = PlatformTls::RootsFile { name: "platform.test".into(), file: place.file("token") };
    let refused = TcpDial::new("127.0.0.1:1", &tls, &place.file("token")).err().unwrap();
    assert!(refused.what.ends_with("has no certificate"), "{refused}");
}
