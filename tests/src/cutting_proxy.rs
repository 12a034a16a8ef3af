//! A proxy before a server of JSON calls that breaks one exchange as a test wants it: closes before, within or after a request or
//! its answer, holds either until the test releases it, or sends the request twice. Every other exchange passes.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// Closed before the server gets a byte.
    BeforeRequest,
    /// The server gets a part of the body.
    WithinRequest,
    /// The server gets all of it and answers; the client is closed at once.
    AfterRequest,
    /// The server answered; the client is closed then.
    BeforeAnswer,
    /// The client gets a part of the answer's body.
    WithinAnswer,
    /// The server gets the request when the test releases it, and the client the answer then.
    HeldRequest,
    /// The server answers; the client gets it when the test releases it.
    HeldAnswer,
    /// The server gets it twice; the client gets the second answer.
    Duplicated,
}

/// A running proxy.
pub struct CuttingProxy {
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: u16,
    planned: Mutex<Option<(&'static str, Break)>>,
    /// Exchanges that were broken and have come so far that the test may go on.
    broken: watch::Sender<usize>,
    released: watch::Sender<bool>,
    /// Held exchanges that ended after their release.
    ended: watch::Sender<usize>,
}

impl CuttingProxy {
    pub async fn before(upstream: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/cashier", listener.local_addr().expect("bound"));
        let shared = Arc::new(Shared {
            upstream,
            planned: Mutex::default(),
            broken: watch::Sender::new(0),
            released: watch::Sender::new(false),
            ended: watch::Sender::new(0),
        });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                // What ends a connection is what the test wants, or the end of the test.
                tokio::spawn(async move { serve(client, &shared).await });
            }
        });
        Self { url, shared }
    }

    /// Breaks the next exchange of this call.
    pub fn plan(&self, call: &'static str, how: Break) {
        *self.shared.planned.lock().unwrap() = Some((call, how));
    }

    /// Waits until so many exchanges were broken.
    pub async fn until_broken(&self, count: usize) {
        self.shared.broken.subscribe().wait_for(|broken| *broken >= count).await.expect("the proxy runs");
    }

    /// Lets what is held pass, and waits until the server has answered it.
    pub async fn release(&self) {
        let mut ended = self.shared.ended.subscribe();
        self.shared.released.send_replace(true);
        ended.wait_for(|ended| *ended > 0).await.expect("the proxy runs");
    }
}

/// Passes exchanges on until one is broken or the client goes.
async fn serve(mut client: TcpStream, shared: &Shared) -> Option<()> {
    loop {
        let request = message(&mut client).await?;
        let how = shared.planned.lock().unwrap().take_if(|(call, _)| is_call(&request, call)).map(|(_, how)| how);
        let mut server = TcpStream::connect(("127.0.0.1", shared.upstream)).await.ok()?;
        match how {
            None => {
                let answer = exchange(&mut server, &request).await?;
                client.write_all(&answer).await.ok()?;
            }
            Some(how) => {
                shared.broken_as(how, client, &mut server, &request).await;
                return None;
            }
        }
    }
}

impl Shared {
    async fn broken_as(&self, how: Break, mut client: TcpStream, server: &mut TcpStream, request: &[u8]) -> Option<()> {
        let half = |bytes: &[u8]| bytes[..bytes.len() - 10].to_vec();
        let count = || self.broken.send_modify(|broken| *broken += 1);
        match how {
            Break::BeforeRequest => {}
            Break::WithinRequest => server.write_all(&half(request)).await.ok()?,
            Break::AfterRequest => {
                server.write_all(request).await.ok()?;
                drop(client);
                // The test goes on once the server is done.
                message(server).await?;
            }
            Break::BeforeAnswer => drop(exchange(server, request).await?),
            Break::WithinAnswer => {
                let answer = exchange(server, request).await?;
                client.write_all(&half(&answer)).await.ok()?;
            }
            Break::HeldRequest => {
                count();
                self.released().await;
                let answer = exchange(server, request).await;
                // The client has given up.
                let _ = client.write_all(&answer.unwrap_or_default()).await;
                self.ended.send_modify(|ended| *ended += 1);
                return None;
            }
            Break::HeldAnswer => {
                let answer = exchange(server, request).await?;
                count();
                self.released().await;
                let _ = client.write_all(&answer).await;
                self.ended.send_modify(|ended| *ended += 1);
                return None;
            }
            Break::Duplicated => {
                exchange(server, request).await?;
                let answer = exchange(server, request).await?;
                client.write_all(&answer).await.ok()?;
            }
        }
        count();
        None
    }

    async fn released(&self) {
        // A sender that is gone releases too.
        let _ = self.released.subscribe().wait_for(|released| *released).await;
    }
}

async fn exchange(server: &mut TcpStream, request: &[u8]) -> Option<Vec<u8>> {
    server.write_all(request).await.ok()?;
    message(server).await
}

/// The bytes of the next message with its body; none where the connection ends before.
async fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..at]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if bytes.len() >= at + 4 + length.map_or(0, |length| length.trim().parse::<usize>().expect("a length")) {
                return Some(bytes);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn is_call(request: &[u8], call: &str) -> bool {
    String::from_utf8_lossy(request).contains(&format!("\"call\":\"{call}\""))
}
