//! The platform's side of one connection: reads lines, and answers each in its manner. Its protocol code is its own.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use crate::platform::FakePlatform;
use crate::state::Manner;

/// Answers and what belongs between them, on their way to one connection.
enum Sent {
    Bytes(Vec<u8>),
    Close,
}

/// Serves a connection until either side ends it. What was received whole is done even where nobody waits for it any more.
pub async fn serve(fake: Arc<FakePlatform>, stream: impl AsyncRead + AsyncWrite) {
    let (reader, mut writer) = tokio::io::split(stream);
    let (mut reader, mut line) = (BufReader::new(reader), Vec::new());
    let (answers, mut queue) = mpsc::unbounded_channel();
    let (mut cuts, mut pushes) = (fake.cuts(), fake.state().pushes.subscribe());
    loop {
        tokio::select! {
            biased;
            _ = cuts.changed() => return,
            sent = queue.recv() => match sent {
                Some(Sent::Bytes(bytes)) if writer.write_all(&bytes).await.is_ok() => {}
                Some(_) | None => return,
            },
            push = pushes.recv() => match push {
                Ok(push) if writer.write_all(format!("{push}\r\n").as_bytes()).await.is_ok() => {}
                Err(RecvError::Lagged(_)) => {}
                Ok(_) | Err(RecvError::Closed) => return,
            },
            // What is read of a line stays in it when another branch is first.
            read = reader.read_until(b'\n', &mut line) => match read {
                // A line without its end is of a client that died.
                Ok(_) if line.ends_with(b"\n") => {
                    drop(tokio::spawn(answer(Arc::clone(&fake), std::mem::take(&mut line), answers.clone())));
                }
                Ok(_) | Err(_) => return,
            },
        }
    }
}

async fn answer(fake: Arc<FakePlatform>, line: Vec<u8>, answers: mpsc::UnboundedSender<Sent>) {
    let request: Value = serde_json::from_slice(&line).expect("the client sends whole messages");
    let (command, data) = (request["command"].as_str().unwrap().to_owned(), request["data"].clone());
    let (manner, way_ms) = {
        let mut state = fake.state();
        let token = request["__token"].as_str().unwrap();
        let manner = state.receive(&command, token);
        let is_refused = state.accepts_token.as_ref().is_some_and(|accepted| accepted != token);
        (if is_refused { Manner::Refuses(401, "WHO_ARE_YOU") } else { manner }, state.way_ms)
    };
    let send = |bytes: Vec<u8>| drop(answers.send(Sent::Bytes(bytes)));
    let perform = || message(&request["extID"], fake.perform(&command, &data));
    let sleep = |length| tokio::time::sleep(Duration::from_millis(length));
    if way_ms > 0 {
        sleep(way_ms).await;
    }
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
        Manner::RefusesNamingNone(code, text) => {
            send(format!("{}\r\n", json!({"status": code, "message": text})).into_bytes());
        }
        Manner::DoneAs(status) => {
            let data = fake.perform(&command, &data).unwrap_or_default();
            let answer = json!({"extID": request["extID"], "status": status, "data": data});
            send(format!("{answer}\r\n").into_bytes());
        }
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
