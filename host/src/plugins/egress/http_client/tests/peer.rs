//! The peer of the client: a raw TCP or TLS server with the behaviour of one test, which records the requests it received.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::super::dial::Duplex;
use super::super::{Egress, EgressRequest, EgressRules, EgressSettings, HttpClient, HttpReply, Resolve};

/// What a test does on each connection.
pub(super) type Behaviour = fn(PeerConnection) -> BoxFuture<'static, ()>;

/// One accepted connection.
pub(super) struct PeerConnection {
    pub(super) stream: Box<dyn Duplex>,
    received: Arc<watch::Sender<Vec<String>>>,
}

impl PeerConnection {
    /// Reads one request with its body; false when the client closed the connection.
    pub(super) async fn receive(&mut self) -> bool {
        let mut text = String::new();
        loop {
            let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                body.len() >= length.map_or(0, |length| length.parse().unwrap())
            });
            if whole {
                self.received.send_modify(|received| received.push(text));
                return true;
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return false,
                Ok(count) => text.push_str(std::str::from_utf8(&buffer[..count]).unwrap()),
            }
        }
    }

    /// Adds to what was received.
    pub(super) fn note(&self, text: &str) {
        self.received.send_modify(|received| received.push(text.into()));
    }

    pub(super) async fn send(&mut self, text: &str) {
        // The client may have closed the connection on purpose.
        let _ = self.stream.write_all(text.as_bytes()).await;
        let _ = self.stream.flush().await;
    }

    /// Receives requests and sends each the same reply until the client closes the connection.
    pub(super) async fn reply_to_all(&mut self, reply: &str) {
        while self.receive().await {
            self.send(reply).await;
        }
    }
}

/// A listening peer.
pub(super) struct Peer {
    pub(super) port: u16,
    accepted: watch::Receiver<usize>,
    received: watch::Receiver<Vec<String>>,
}

impl Peer {
    pub(super) async fn plain(behaviour: Behaviour) -> Self {
        Self::listen(None, behaviour).await
    }

    pub(super) async fn tls(acceptor: TlsAcceptor, behaviour: Behaviour) -> Self {
        Self::listen(Some(acceptor), behaviour).await
    }

    async fn listen(acceptor: Option<TlsAcceptor>, behaviour: Behaviour) -> Self {
        let receiver = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = receiver.local_addr().unwrap().port();
        let (count, accepted) = watch::channel(0);
        let (sender, received) = watch::channel(Vec::new());
        let sender = Arc::new(sender);
        tokio::spawn(async move {
            for number in 1.. {
                let (socket, _) = receiver.accept().await.unwrap();
                count.send_replace(number);
                let (received, acceptor) = (Arc::clone(&sender), acceptor.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = wrap(socket, acceptor).await {
                        behaviour(PeerConnection { stream, received }).await;
                    }
                });
            }
        });
        Self { port, accepted, received }
    }

    /// Connections so far.
    pub(super) fn accepted(&self) -> usize {
        *self.accepted.borrow()
    }

    /// Requests so far, as received.
    pub(super) fn received(&self) -> Vec<String> {
        self.received.borrow().clone()
    }

    pub(super) async fn until_accepted(&self, count: usize) {
        self.accepted.clone().wait_for(|accepted| *accepted >= count).await.unwrap();
    }

    pub(super) async fn until_received(&self, count: usize) {
        self.received.clone().wait_for(|received| received.len() >= count).await.unwrap();
    }

    /// The network of a provider that is this peer by address, over plain HTTP.
    pub(super) fn egress(&self) -> Egress {
        let exception = format!("127.0.0.1:{}", self.port);
        egress(&EgressSettings::default(), &[], &[&exception])
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

async fn wrap(socket: TcpStream, acceptor: Option<TlsAcceptor>) -> io::Result<Box<dyn Duplex>> {
    match acceptor {
        Some(acceptor) => Ok(Box::new(acceptor.accept(socket).await?)),
        None => Ok(Box::new(socket)),
    }
}

pub(super) fn egress(settings: &EgressSettings, allowed: &[&str], exceptions: &[&str]) -> Egress {
    HttpClient::new(settings).unwrap().pool(EgressRules::read(allowed, exceptions).unwrap())
}

pub(super) fn get(url: impl AsRef<str>) -> EgressRequest {
    EgressRequest { method: "GET".into(), url: url.as_ref().into(), headers: Vec::new(), body: "".into() }
}

pub(super) fn post(url: impl AsRef<str>, body: &'static str) -> EgressRequest {
    EgressRequest { method: "POST".into(), body: body.into(), ..get(url) }
}

/// The reply's status and text.
pub(super) fn status_and_body(reply: HttpReply) -> String {
    format!("{} {}", reply.status, String::from_utf8_lossy(&reply.body))
}

/// A resolver with a table of the test's own.
#[derive(Clone)]
pub(super) struct NameTable(pub(super) &'static [(&'static str, &'static [&'static str])]);

impl Resolve for NameTable {
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let found = self.0.iter().find(|(name, _)| *name == host).map(|(_, addresses)| *addresses);
        let address = move |text: &&str| SocketAddr::new(text.parse().unwrap(), port);
        Box::pin(async move {
            match found {
                Some(["no reply"]) => std::future::pending().await,
                Some(addresses) => Ok(addresses.iter().map(address).collect()),
                None => Err(io::Error::other("no such name")),
            }
        })
    }
}

/// A certificate authority of the test's own, and a server with its certificate for one name.
pub(super) fn authority(name: &str) -> (CertificateDer<'static>, TlsAcceptor) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &root).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    (root.der().clone(), TlsAcceptor::from(Arc::new(config)))
}

/// Collects everything that is logged on this thread, at every level.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
