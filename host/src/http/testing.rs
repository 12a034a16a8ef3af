//! A listener on loopback, and a client that writes raw bytes, so that tests can send malformed requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::http::answering::ListenerContext;
use crate::http::connection_limits::ConnectionLimits;
use crate::http::serve::{Listener, serve};
use crate::http::switched_routes::SwitchedRoutes;
use crate::http::tls::ServedTls;
use crate::test_cashier::{TestClock, TestEntropy};

/// A served listener.
pub(crate) struct TestListener {
    pub(crate) address: SocketAddr,
    pub(crate) routes: Arc<SwitchedRoutes>,
    pub(crate) end: watch::Sender<Option<Duration>>,
    pub(crate) served: JoinHandle<usize>,
}

impl TestListener {
    pub(crate) const DRAIN: Duration = Duration::from_secs(3);
    pub(crate) const LIMITS: ConnectionLimits =
        ConnectionLimits { all: 64, reserved: 16, per_address: 32, idle: Duration::from_secs(75) };

    pub(crate) async fn open(routes: impl Into<SwitchedRoutes>, clock: Arc<TestClock>) -> Self {
        Self::open_with(routes, clock, Self::LIMITS, None, &[]).await
    }

    pub(crate) async fn open_with(
        routes: impl Into<SwitchedRoutes>,
        clock: Arc<TestClock>,
        limits: ConnectionLimits,
        tls: Option<Arc<ServedTls>>,
        trusted_proxies: &[&str],
    ) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let (end, ended) = watch::channel(None);
        let context = ListenerContext {
            clock,
            entropy: Arc::new(TestEntropy::default()),
            trusted_proxies: trusted_proxies.iter().map(|range| range.parse().unwrap()).collect::<Vec<IpNet>>().into(),
        };
        let routes = Arc::new(routes.into());
        let listener = Listener { name: "test", socket, tls, limits, routes: Arc::clone(&routes) };
        let served = tokio::spawn(serve(listener, context, ended));
        Self { address, routes, end, served }
    }

    pub(crate) async fn connect(&self) -> Client<TcpStream> {
        Client { stream: TcpStream::connect(self.address).await.unwrap() }
    }

    /// A connection from this address of the machine.
    pub(crate) async fn connect_from(&self, source: &str) -> Client<TcpStream> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(source.parse().unwrap(), 0)).unwrap();
        Client { stream: socket.connect(self.address).await.unwrap() }
    }

    /// One request on a connection of its own.
    pub(crate) async fn request(&self, request: &str) -> ReceivedResponse {
        self.connect().await.request(request).await
    }

    /// A request with these header lines, each with its line end, and this body.
    pub(crate) async fn send(&self, line: &str, headers: &str, body: &str) -> ReceivedResponse {
        let length = body.len();
        self.request(&format!("{line} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {length}\r\n\r\n{body}")).await
    }
}

pub(crate) struct Client<S> {
    pub(crate) stream: S,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) async fn request(&mut self, request: &str) -> ReceivedResponse {
        self.stream.write_all(request.as_bytes()).await.unwrap();
        self.receive().await.expect("a response")
    }

    /// A HEAD request, whose response has no body.
    pub(crate) async fn head(&mut self, path: &str) -> ReceivedResponse {
        self.stream.write_all(format!("HEAD {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        let (status, head, rest) = self.receive_head().await.expect("a response");
        assert_eq!(rest, b"", "{path}");
        ReceivedResponse { status, head, body: String::new() }
    }

    /// The next response; `None` when the connection ends before it.
    pub(crate) async fn receive(&mut self) -> Option<ReceivedResponse> {
        let (status, head, mut body) = self.receive_head().await?;
        if head.contains("transfer-encoding: chunked") {
            while !body.ends_with(b"\r\n0\r\n\r\n") {
                if self.stream.read_buf(&mut body).await.ok()? == 0 {
                    return None;
                }
            }
            return Some(ReceivedResponse { status, head, body: String::from_utf8(unchunked(&body)).unwrap() });
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
        let length = length.parse::<usize>().unwrap();
        while body.len() < length {
            if self.stream.read_buf(&mut body).await.ok()? == 0 {
                return None;
            }
        }
        Some(ReceivedResponse { status, head, body: String::from_utf8(body).unwrap() })
    }

    async fn receive_head(&mut self) -> Option<(u16, String, Vec<u8>)> {
        let mut bytes = Vec::new();
        let head_end = loop {
            if let Some(place) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break place + 4;
            }
            if self.stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        };
        let rest = bytes.split_off(head_end);
        let head = String::from_utf8(bytes).unwrap();
        Some((head[9..12].parse().unwrap(), head, rest))
    }
}

/// The content of chunks, each behind a line with its length.
fn unchunked(mut chunks: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    while let Some(end) = chunks.windows(2).position(|pair| pair == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&chunks[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            break;
        }
        content.extend_from_slice(&chunks[end + 2..end + 2 + length]);
        chunks = &chunks[end + 2 + length + 2..];
    }
    content
}

/// A response as received.
#[derive(Debug)]
pub(crate) struct ReceivedResponse {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl ReceivedResponse {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The published error code.
    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }
}
