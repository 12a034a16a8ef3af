//! Which database of postings a server has, across restarts of the cashier: another one is sent nothing until a person accepts it.

use std::sync::Barrier;

use super::*;
use crate::trading::http::instances::InstanceFile;

fn adapter_in(folder: &std::path::Path, url: &str) -> HttpTradingServer {
    fixed_in(folder, url, None)
}

/// With this `instance` in the settings.
fn fixed_in(folder: &std::path::Path, url: &str, instance: Option<&str>) -> HttpTradingServer {
    let file = InstanceFile::of(folder, &ServerName::read("main").unwrap());
    let settings = HttpServerSettings { instance_file: Some(file), instance: instance.map(Box::from), ..settings(url) };
    HttpTradingServer::open(settings, Arc::new(TestClock::default()), Arc::new(TestEntropy::default())).unwrap()
}

/// A server whose instance the test changes, and that refuses any other one.
async fn changing(instance: &Arc<Mutex<&'static str>>) -> ScriptedServer {
    let instance = Arc::clone(instance);
    ScriptedServer::open(move |call, body| {
        let now = *lock(&instance);
        match call {
            "identity" => Scripted::Signed(IDENTITY.replace("i-1", now)),
            _ if body["instance"] != now => {
                Scripted::Raw(reply("421 Misdirected Request", "", r#"{"error":"wrong_instance"}"#))
            }
            _ => signed(&json!({"result": "posted", "key": KEY, "order": 7})),
        }
    })
    .await
}

#[tokio::test]
async fn another_instance_after_a_restart_is_sent_nothing_until_it_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let instance = Arc::new(Mutex::new("i-1"));
    let server = changing(&instance).await;
    let done = PostStep::Done(PostingOutcome::posted(7));
    assert_eq!(adapter_in(folder.path(), &server.url).post(durable(posting(1))).await, done);
    *lock(&instance) = "i-2";
    let restarted = adapter_in(folder.path(), &server.url);
    assert_eq!(restarted.post(durable(posting(1))).await, PostStep::NotSent);
    let problem = restarted.find(&posting(1)).await.unwrap_err().to_string();
    let expected = "another database of postings than before (instance i-2, before i-1): restore it, or accept it with \
                    `cashier trading accept-instance main i-2`";
    assert!(problem.contains(expected), "{problem}");
    assert!(restarted.health().unwrap_err().to_string().contains("before i-1"));
    assert_eq!(server.calls(), ["identity", "post", "identity", "identity"]);
    // A person accepts it, while the cashier runs.
    InstanceFile::of(folder.path(), &ServerName::read("main").unwrap()).write("i-2").unwrap();
    assert_eq!(restarted.post(durable(posting(1))).await, done);
}

#[tokio::test]
async fn a_server_that_becomes_another_instance_meanwhile_is_asked_who_it_is_again() {
    let folder = tempfile::tempdir().unwrap();
    let instance = Arc::new(Mutex::new("i-1"));
    let server = changing(&instance).await;
    let adapter = adapter_in(folder.path(), &server.url);
    let done = PostStep::Done(PostingOutcome::posted(7));
    assert_eq!(adapter.post(durable(posting(1))).await, done);
    *lock(&instance) = "i-2";
    assert_eq!(adapter.post(durable(posting(1))).await, PostStep::Done(PostingOutcome::Unknown));
    let problem = adapter.find(&posting(1)).await.unwrap_err().to_string();
    assert!(problem.contains("(instance i-2, before i-1)"), "{problem}");
    // The database is restored.
    *lock(&instance) = "i-1";
    assert_eq!(adapter.post(durable(posting(1))).await, done);
    assert_eq!(server.calls(), ["identity", "post", "post", "identity", "identity", "post"]);
}

#[tokio::test]
async fn an_instance_of_the_settings_is_kept_so_that_taking_it_out_admits_no_other_database() {
    let folder = tempfile::tempdir().unwrap();
    let instance = Arc::new(Mutex::new("i-1"));
    let server = changing(&instance).await;
    let done = PostStep::Done(PostingOutcome::posted(7));
    assert_eq!(fixed_in(folder.path(), &server.url, Some("i-1")).post(durable(posting(1))).await, done);
    *lock(&instance) = "i-2";
    for fixed in [None, Some("i-1"), Some("i-2")] {
        let restarted = fixed_in(folder.path(), &server.url, fixed);
        assert_eq!(restarted.post(durable(posting(1))).await, PostStep::NotSent, "{fixed:?}");
        let problem = restarted.health().unwrap_err().to_string();
        let expected = match fixed {
            Some("i-1") => "than the settings say (instance i-2, `instance` there is i-1)",
            _ => "(instance i-2, before i-1): restore it, or accept it with",
        };
        assert!(problem.contains(expected), "{fixed:?}: {problem}");
    }
    let kept = InstanceFile::of(folder.path(), &ServerName::read("main").unwrap());
    assert_eq!(kept.read().unwrap().as_deref(), Some("i-1"));
    assert_eq!(server.calls(), ["identity", "post", "identity", "identity", "identity"]);
}

#[tokio::test]
async fn another_database_that_was_accepted_is_posted_nothing_before_it_was_compared() {
    let folder = tempfile::tempdir().unwrap();
    let instance = Arc::new(Mutex::new("i-1"));
    let server = changing(&instance).await;
    let adapter = adapter_in(folder.path(), &server.url);
    let done = PostStep::Done(PostingOutcome::posted(7));
    assert_eq!(adapter.post(durable(posting(1))).await, done);
    assert!(adapter.is_compared());
    *lock(&instance) = "i-2";
    InstanceFile::of(folder.path(), &ServerName::read("main").unwrap()).write("i-2").unwrap();
    assert_eq!(adapter.post(durable(posting(1))).await, PostStep::Done(PostingOutcome::Unknown));
    for compared in [0, 2] {
        assert_eq!(adapter.post(durable(posting(1))).await, PostStep::NotSent);
        assert!(adapter.void(durable(posting(1)), ReasonCode::Withheld).await.is_err());
        assert!(!adapter.is_compared() && adapter.reaches().is_ok());
        assert!(adapter.health().unwrap_err().to_string().contains("which is compared with the books first"));
        assert_eq!(adapter.find(&posting(1)).await, Ok(Some(PostingOutcome::posted(7))), "it is asked");
        adapter.note_compared(compared);
    }
    assert_eq!(server.calls(), ["identity", "post", "post", "identity", "find", "find"]);
    adapter.note_compared(adapter.database());
    assert_eq!(adapter.post(durable(posting(1))).await, done);
}

#[tokio::test]
async fn an_instance_that_cannot_be_recorded_or_read_is_sent_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = changing(&Arc::new(Mutex::new("i-1"))).await;
    let lost = adapter_in(&folder.path().join("absent"), &server.url);
    assert_eq!(lost.post(durable(posting(1))).await, PostStep::NotSent);
    std::fs::write(folder.path().join("trading_instance.main"), "\n").unwrap();
    let problem = adapter_in(folder.path(), &server.url).find(&posting(1)).await.unwrap_err().to_string();
    assert!(problem.contains("there is no instance in it"), "{problem}");
    assert_eq!(server.calls(), ["identity", "identity"]);
}

#[test]
fn calls_that_learn_the_instance_together_agree_on_the_one_recorded_first() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let file = InstanceFile::of(folder.path(), &ServerName::read("main").unwrap());
        let at_once = Barrier::new(8);
        let admitted = std::thread::scope(|scope| {
            let learned = |number: usize| {
                at_once.wait();
                file.admit(["i-1", "i-2"][number % 2])
            };
            let calls: Vec<_> = (0..8).map(|number| scope.spawn(move || learned(number))).collect();
            calls.into_iter().map(|call| call.join().unwrap()).collect::<Vec<_>>()
        });
        let recorded = file.read().unwrap().unwrap();
        for (number, admitted) in admitted.into_iter().enumerate() {
            match admitted {
                Ok(()) => assert_eq!(*recorded, *["i-1", "i-2"][number % 2]),
                Err(fault) => {
                    assert_ne!(*recorded, *["i-1", "i-2"][number % 2]);
                    assert!(fault.to_string().contains("another database of postings"), "{fault}");
                }
            }
        }
    }
}
