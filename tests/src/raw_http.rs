//! A client that writes raw bytes, so that tests can send malformed requests and break connections.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::waiting::WAIT_MAX;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// How long an answer to raw bytes may take; the longest timeout of a listener is ten seconds.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(20);

/// A connection to a listener.
pub struct RawConnection {
    stream: TcpStream,
}

impl RawConnection {
    /// `url` is `http://127.0.0.1:port`.
    pub async fn connect(url: &str) -> Self {
        let stream = TcpStream::connect(url.trim_start_matches("http://")).await.expect("the listener is open");
        stream.set_nodelay(true).expect("a socket takes options");
        Self { stream }
    }

    /// The same from another address of this machine, such as `127.0.0.2`.
    pub async fn connect_from(source: &str, url: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        let source: IpAddr = source.parse().expect("an address");
        socket.bind(SocketAddr::new(source, 0)).expect("an address of this machine");
        let address = url.trim_start_matches("http://").parse().expect("an address");
        Self { stream: socket.connect(address).await.expect("the listener is open") }
    }

    /// With the smallest buffer for what it does not read.
    pub async fn connect_reading_little(url: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4_096).expect("a socket takes options");
        let address = url.trim_start_matches("http://").parse().expect("an address");
        Self { stream: socket.connect(address).await.expect("the listener is open") }
    }

    /// What comes, until it is so much or the answer of a refusal is whole.
    pub async fn read_up_to(&mut self, bytes: usize) -> String {
        let mut read = Vec::new();
        while read.len() < bytes && !is_whole(&read) {
            let more = tokio::time::timeout(ANSWER_TIME_MAX, self.stream.read_buf(&mut read)).await;
            if !matches!(more, Ok(Ok(1..))) {
                break;
            }
        }
        String::from_utf8_lossy(&read).into_owned()
    }

    /// Writes; returns false when the other side has closed already.
    pub async fn write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// Reads until the other side closes; fails where it does not.
    pub async fn read_all(&mut self) -> String {
        let mut whole = Vec::new();
        let reading = tokio::time::timeout(WAIT_MAX, self.stream.read_to_end(&mut whole)).await;
        // A reset connection ends the answer as a close does.
        let _ = reading.expect("the connection is closed");
        String::from_utf8_lossy(&whole).into_owned()
    }

    /// One answer: its head and as much body as it announces.
    pub async fn read_answer(&mut self) -> String {
        let reading = async {
            let mut whole = Vec::new();
            let mut piece = [0; 4096];
            loop {
                match self.stream.read(&mut piece).await {
                    Ok(0) | Err(_) => break,
                    Ok(length) => whole.extend_from_slice(&piece[..length]),
                }
                if is_whole(&whole) {
                    break;
                }
            }
            whole
        };
        let whole = tokio::time::timeout(ANSWER_TIME_MAX, reading).await.unwrap_or_default();
        String::from_utf8_lossy(&whole).into_owned()
    }

    /// Closes the connection without reading (FIN), as a closed browser does.
    pub fn close(self) {
        drop(self.stream);
    }

    /// Resets the connection (RST), as a crashed machine does.
    pub fn reset(self) {
        self.stream.set_zero_linger().expect("a socket takes options");
        drop(self.stream);
    }
}

/// A whole request with a body.
pub fn post(path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut request = format!("POST {path} HTTP/1.1\r\nhost: cashier\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    [request.as_bytes(), body].concat()
}

fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let announced = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    body.len() >= announced.unwrap_or(0)
}

/// The status of a raw answer; 0 when there is none.
pub fn status_of(answer: &str) -> u16 {
    answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// Number and code of a raw answer; the body must be the published error.
pub fn refusal_of(answer: &str) -> (u16, String) {
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let error = body["error"].as_str().or(body["data"]["error"].as_str()).unwrap_or_default();
    (status_of(answer), error.to_owned())
}

/// Writes a request on a new connection and reads the answer.
pub async fn exchange(url: &str, request: &[u8]) -> String {
    let mut client = RawConnection::connect(url).await;
    client.write(request).await;
    client.read_answer().await
}
