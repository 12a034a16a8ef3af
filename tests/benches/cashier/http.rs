//! HTTP/1.1 over one persistent connection, no more of it than a load generator needs: it runs on the cores that are being
//! measured.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::BenchResult;

/// A persistent connection. One request at a time.
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// An answer in its connection's buffer.
#[derive(Clone, Copy)]
pub(crate) struct RawReply<'a> {
    pub status: u16,
    head: &'a [u8],
    pub body: &'a [u8],
}

impl<'a> RawReply<'a> {
    /// The value of a header; `name` in lower case, as hyper writes them.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        let text = std::str::from_utf8(self.head).ok()?;
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
    }

    pub(crate) fn has(&self, text: &str) -> bool {
        self.body.windows(text.len()).any(|window| window == text.as_bytes())
    }

    pub(crate) fn text(&self) -> String {
        format!("{} {}", self.status, String::from_utf8_lossy(self.body))
    }
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> BenchResult<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(16 * 1024) })
    }

    pub(crate) async fn send(&mut self, request: &[u8]) -> BenchResult<RawReply<'_>> {
        self.stream.write_all(request).await?;
        self.received.clear();
        let head = loop {
            if let Some(end) = self.received.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            self.receive().await?;
        };
        let total = head + content_length(self.received.get(..head).unwrap_or_default())?;
        while self.received.len() < total {
            self.receive().await?;
        }
        let (head, body) = self.received.split_at(head);
        let status = head.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()).ok_or("no status line")?;
        Ok(RawReply { status: status.parse()?, head, body })
    }

    async fn receive(&mut self) -> BenchResult<()> {
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err("the connection was closed in the middle of an answer".into()),
            _ => Ok(()),
        }
    }
}

/// Both sides of every comparison answer with a length; an answer without one is a fault of the setup.
fn content_length(head: &[u8]) -> BenchResult<usize> {
    let name = b"content-length:";
    let at = head.windows(name.len()).position(|window| window.eq_ignore_ascii_case(name));
    let value = at.and_then(|at| head.get(at + name.len()..)).ok_or("an answer without content-length")?;
    let value = value.split(|byte| *byte == b'\r').next().unwrap_or_default();
    Ok(std::str::from_utf8(value)?.trim().parse()?)
}

/// A GET as a browser's library sends it, without headers that the cashier does not read.
pub(crate) fn get(path: &str, token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: cashier.test\r\nauthorization: Bearer {token}\r\naccept: */*\r\n\r\n")
        .into_bytes()
}

/// A POST of JSON.
pub(crate) fn post(path: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!(
        "POST {path} HTTP/1.1\r\nhost: cashier.test\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}

/// Sends one request on a new connection, from outside a runtime.
pub(crate) fn send_once(address: SocketAddr, request: &[u8]) -> BenchResult<(u16, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = Connection::open(address).await?;
        let reply = connection.send(request).await?;
        Ok((reply.status, String::from_utf8_lossy(reply.body).into_owned()))
    })
}
