//! The fake platform's side of a connection, in memory: reads lines, and answers each in its manner. Its protocol code is its own.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::fake::{Fake, Manner};
use crate::trading::platform::dial::{PlatformDial, PlatformStream};

pub(super) const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.CANARY-TOKEN-CANARY-TOKEN.x";

/// Answers and what belongs between them, on their way to one connection.
enum Sent {
    Bytes(Vec<u8>),
    Close,
}

pub(super) struct FakeDial(pub(super) Arc<Fake>);

impl PlatformDial for FakeDial {
    fn dial(&self) -> BoxFuture<'static, Result<Box<dyn PlatformStream>, String>> {
        let fake = Arc::clone(&self.0);
        Box::pin(async move {
            if fake.state().is_down {
                return Err("nobody listens".to_owned());
            }
            let (client, server) = tokio::io::duplex(16 * 1024);
            tokio::spawn(serve(fake, server));
            Ok(Box::new(client) as Box<dyn PlatformStream>)
        })
    }

    fn token(&self) -> Result<Arc<Zeroizing<String>>, String> {
        Ok(Arc::new(Zeroizing::new(TOKEN.to_owned())))
    }
}

async fn serve(fake: Arc<Fake>, stream: DuplexStream) {
    let (reader, mut writer) = tokio::io::split(stream);
    let mut lines = BufReader::new(reader.take(u64::MAX)).lines();
    let (answers, mut queue) = mpsc::unbounded_channel();
    let mut cut = fake.cut.subscribe();
    loop {
        tokio::select! {
            biased;
            _ = cut.changed() => return,
            sent = queue.recv() => match sent {
                Some(Sent::Bytes(bytes)) if writer.write_all(&bytes).await.is_ok() => {}
                Some(_) | None => return,
            },
            line = lines.next_line() => match line {
                Ok(Some(line)) => drop(tokio::spawn(answer(Arc::clone(&fake), line, answers.clone()))),
                Ok(None) | Err(_) => return,
            },
        }
    }
}

async fn answer(fake: Arc<Fake>, line: String, answers: mpsc::UnboundedSender<Sent>) {
    let request: Value = serde_json::from_str(&line).expect("the client sends whole messages");
    let (command, data) = (request["command"].as_str().unwrap().to_owned(), request["data"].clone());
    let manner = {
        let mut state = fake.state();
        state.requests.push((command.clone(), data.clone()));
        state.tokens.push(request["__token"].as_str().unwrap().to_owned());
        state.manner(&command)
    };
    let send = |bytes: Vec<u8>| drop(answers.send(Sent::Bytes(bytes)));
    let perform = || message(&request["extID"], fake.perform(&command, &data));
    let sleep = |length| tokio::time::sleep(Duration::from_millis(length));
    // The way of a message takes a while.
    sleep(2).await;
    match manner {
        Manner::Well => send(perform()),
        Manner::AnswersLate(length) => {
            let answer = perform();
            sleep(length).await;
            send(answer);
        }
        Manner::AnswersTwice => {
            let answer = perform();
            send(answer.clone());
            send(answer);
        }
        Manner::NeverAnswers => drop(perform()),
        Manner::Loses => {}
        Manner::ClosesBefore => drop(answers.send(Sent::Close)),
        Manner::ClosesAfter => {
            perform();
            drop(answers.send(Sent::Close));
        }
        Manner::HalfALine => {
            let answer = perform();
            send(answer[..answer.len() / 2].to_vec());
            drop(answers.send(Sent::Close));
        }
        Manner::Garbage => {
            perform();
            send(b"\x00\xffHTTP/1.1 400 Bad Request\r\n".to_vec());
        }
        Manner::Refuses(code, text) => send(message(&request["extID"], Err((code, text)))),
        Manner::TimesOut(length) => {
            send(message(&request["extID"], Err((504, "SYNC_TIMEOUT"))));
            sleep(length).await;
            perform();
        }
        Manner::ArrivesLate(length) => {
            sleep(length).await;
            perform();
        }
        Manner::PushesFirst => {
            let ext_id = &request["extID"];
            send(b"\r\n[\"t\",{\"s\":\"EURUSD\",\"extID\":1}]\r\n".to_vec());
            let push = json!({"event": "trade:event", "extID": ext_id, "status": 200, "type": 1, "data": {"login": 100, "order": 1}});
            send(format!("{push}\r\n").into_bytes());
            send(perform());
        }
        Manner::Then(change) => {
            let answer = perform();
            change(&mut fake.state());
            send(answer);
        }
    }
}

fn message(ext_id: &Value, done: Result<Value, (i64, &'static str)>) -> Vec<u8> {
    let answer = match done {
        Ok(data) => json!({"extID": ext_id, "status": 200, "data": data}),
        Err((code, text)) => json!({"extID": ext_id, "status": code, "data": {"message": text}}),
    };
    format!("{answer}\r\n").into_bytes()
}
