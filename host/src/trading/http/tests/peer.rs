//! A trading server of a test: a raw TCP listener that answers each call as the test wants it, and remembers the calls.

use std::sync::{Arc, Mutex};

use cashier_core::time::UnixTime;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::super::signature::SigningSecrets;
use super::{SECRET, lock};
use crate::test_cashier::TestClock;

/// What is answered to one call.
pub(super) enum Scripted {
    /// 200, signed as it must be.
    Signed(String),
    /// 200, signed as this says: id behind the request's, seconds beside now, the secret, the body.
    SignedAs {
        suffix: &'static str,
        seconds: i64,
        secret: &'static str,
        body: String,
    },
    /// These bytes; the connection stays open.
    Raw(String),
    /// These bytes, and the connection is closed.
    Last(String),
    Silence,
}

/// Answers a call by its name and its body.
pub(super) type Script = dyn Fn(&str, &Value) -> Scripted + Send + Sync;

pub(super) struct ScriptedServer {
    pub(super) url: String,
    calls: Arc<Mutex<Vec<String>>>,
}

impl ScriptedServer {
    pub(super) async fn open(script: impl Fn(&str, &Value) -> Scripted + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/cashier", listener.local_addr().unwrap());
        let calls = Arc::<Mutex<Vec<String>>>::default();
        let (recorded, script): (_, Arc<Script>) = (Arc::clone(&calls), Arc::new(script));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&recorded), Arc::clone(&script)));
            }
        });
        Self { url, calls }
    }

    /// The names of the calls so far.
    pub(super) fn calls(&self) -> Vec<String> {
        lock(&self.calls).clone()
    }
}

async fn serve(mut stream: tokio::net::TcpStream, recorded: Arc<Mutex<Vec<String>>>, script: Arc<Script>) {
    while let Some((head, body)) = request(&mut stream).await {
        let header = |name: &str| {
            let line = head.lines().find_map(|line| line.split_once(": ").filter(|(known, _)| *known == name));
            line.map(|(_, value)| value.to_owned()).unwrap_or_default()
        };
        let (id, at) = (header("webhook-id"), UnixTime(header("webhook-timestamp").parse().unwrap()));
        let secrets = SigningSecrets::parse(SECRET).unwrap();
        assert!(secrets.verify(&header("webhook-signature"), &id, at, body.as_bytes()), "the request is signed");
        assert!(head.starts_with("POST /cashier HTTP/1.1\r\n"), "{head}");
        let read: Value = serde_json::from_str(&body).unwrap();
        let call = read["call"].as_str().unwrap();
        lock(&recorded).push(call.to_owned());
        let (text, is_last) = match script(call, &read) {
            Scripted::Signed(body) => (signed(&secrets, &format!("{id}.answer"), TestClock::START, &body), false),
            Scripted::SignedAs { suffix, seconds, secret, body } => {
                let secrets = SigningSecrets::parse(secret).unwrap();
                (signed(&secrets, &format!("{id}{suffix}"), TestClock::START.plus(seconds), &body), false)
            }
            Scripted::Raw(text) => (text, false),
            Scripted::Last(text) => (text, true),
            Scripted::Silence => (String::new(), false),
        };
        // The client may have closed the connection on purpose.
        let _ = stream.write_all(text.as_bytes()).await;
        if is_last {
            return;
        }
    }
}

/// The head and the body of the next request; none when the client closed the connection.
async fn request(stream: &mut tokio::net::TcpStream) -> Option<(String, String)> {
    let mut text = String::new();
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() >= length.parse().unwrap() {
                return Some((format!("{head}\r\n"), body.to_owned()));
            }
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => text.push_str(std::str::from_utf8(&buffer[..count]).unwrap()),
        }
    }
}

fn signed(secrets: &SigningSecrets, id: &str, at: UnixTime, body: &str) -> String {
    let signature = secrets.sign(id, at, body.as_bytes());
    reply("200 OK", &format!("webhook-id: {id}\r\nwebhook-timestamp: {at}\r\nwebhook-signature: {signature}\r\n"), body)
}

/// An HTTP reply as text.
pub(super) fn reply(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}
