//! What is logged of the requests of an exchange.

use cashier_core::provider_call::{CallOutcome, CallPurpose, ProviderCall};
use cashier_provider_sdk as sdk;

use super::super::super::convert::SecretMasks;
use super::super::super::sent_requests::{RequestLine, logged};
use super::rig::{Rig, never_sent, reply, unknown};
use super::*;

/// Method, host, status, duration and outcome.
fn lines(calls: &[ProviderCall]) -> Vec<String> {
    let line = |call: &ProviderCall| {
        format!("{} {} {} {} ms {}", call.method, call.host, call.status, call.duration_ms, call.outcome.name())
    };
    calls.iter().map(line).collect()
}

#[tokio::test]
async fn each_request_is_logged_with_its_host_and_how_it_ended_and_nothing_else() {
    let refused = || Err(SendError::Refused("evil.test:443 is not among the hosts of this provider".to_owned()));
    let table = [
        (
            vec![reply(200, "CANARY-token"), reply(200, "wait")],
            vec!["GET p.test 200 10 ms answered", "POST p.test 200 10 ms answered"],
        ),
        (
            vec![reply(200, "t1"), reply(402, "")],
            vec!["GET p.test 200 10 ms answered", "POST p.test 402 10 ms answered"],
        ),
        (vec![reply(200, "t1"), unknown()], vec!["GET p.test 200 10 ms answered", "POST p.test 0 10 ms no_answer"]),
        (vec![never_sent()], vec!["GET p.test 0 10 ms never_sent"]),
        (vec![refused()], vec!["GET p.test 0 10 ms refused"]),
    ];
    for (answers, expected) in table {
        let rig = Rig::new(GatewayLimits::default(), answers).await;
        let calls = rig.logged_create("pays").await;
        assert_eq!(lines(&calls), expected);
        assert!(calls.iter().all(|call| call.purpose == CallPurpose::Create));
        assert!(!format!("{calls:?}").contains("CANARY") && !format!("{calls:?}").contains("/pay"), "{calls:?}");
    }
    let rig = Rig::new(GatewayLimits::default(), vec![reply(200, "t1"), reply(200, "wait"), reply(200, "wait")]).await;
    rig.logged_create("pays").await;
    assert_eq!(lines(&rig.logged_create("pays").await).len(), 1, "a reply from the cache is no request");
}

#[tokio::test]
async fn a_request_that_timed_out_or_was_not_sent_is_logged_as_such() {
    let rig = Rig::new(GatewayLimits::default(), Vec::new()).await;
    rig.script.answers.lock().unwrap().push_back((30_000, unknown()));
    assert_eq!(lines(&rig.logged_create("pays").await), ["GET p.test 0 30000 ms timed_out"]);
    let limits = GatewayLimits { steps_max: 1, ..GatewayLimits::default() };
    let rig = Rig::new(limits, vec![reply(200, "")]).await;
    let calls = rig.logged_create("loops").await;
    assert_eq!(lines(&calls), ["GET p.test 200 10 ms answered", "GET p.test 0 0 ms refused"]);
    let rig = Rig::new(GatewayLimits::default(), (0..5).map(|_| never_sent()).collect()).await;
    for _ in 0..5 {
        rig.logged_create("pays").await;
    }
    assert!(rig.driver.circuit_is_open());
    assert_eq!(lines(&rig.logged_create("pays").await), ["GET p.test 0 0 ms never_sent"]);
}

#[test]
fn no_part_of_a_url_but_its_host_is_logged() {
    let secret = sdk::ProviderConfig { secret_key: "canary-key".into(), ..sdk::ProviderConfig::default() };
    let masks = SecretMasks::of(&secret, &sdk::Descriptor::default());
    let table = [
        ("https://user:CANARY@api.test/v1/CANARY?key=CANARY#CANARY", "api.test"),
        ("https://api.test:8443/CANARY", "api.test:8443"),
        ("http://[::1]:80/CANARY", "[::1]"),
        ("https://canary-key.api.test/", "***.api.test"),
        ("CANARY", ""),
    ];
    for (url, host) in table {
        let request = HttpRequest::get(url);
        let line = RequestLine::of(&request, cashier_core::time::UnixTime(5));
        let sent = line.ended(&Ok(HttpReply::new(200, "")), Duration::ZERO, Duration::from_secs(1));
        let calls = logged(&[sent], CallPurpose::Query, &masks);
        assert_eq!((&*calls[0].host, calls[0].outcome), (host, CallOutcome::Answered), "{url}");
    }
}
