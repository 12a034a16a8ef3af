//! Calls that a server must not judge: whoever has no secret, or an old message, gets nothing done, and a mistake is named. It
//! sends no posting that could be made.

use bytes::Bytes;
use cashier_core::ids::Login;

use super::super::calling::encoded;
use super::super::requests::{AccountRequest, HealthRequest};
use super::super::signature::TIMESTAMP_TOLERANCE_SECONDS;
use super::super::transport::SignedRequest;
use super::exchanges::{Checker, PromiseLine, expect, line};

/// A minute beyond the tolerance, so that clocks that differ by seconds decide nothing.
const BEYOND_TOLERANCE: i64 = TIMESTAMP_TOLERANCE_SECONDS + 60;

/// A body beyond what a request may have.
const LARGE_BODY: usize = 65 * 1024;

pub(super) async fn check(checker: &Checker, login: Login) -> Vec<PromiseLine> {
    let account = || encoded(&AccountRequest::new(checker.instance(), login));
    let unsigned = SignedRequest { signature: String::new(), ..checker.signed(account()) };
    let mut forged = checker.signed(account());
    forged.signature = checker.signed_at(account(), checker.now().plus(1), forged.id.clone()).signature;
    let mut altered = checker.signed(account());
    altered.body = encoded(&AccountRequest::new(checker.instance(), Login(login.0.saturating_add(1))));
    // By the server's clock: six minutes from ours may be one from its.
    let now = checker.now_there();
    let id = |request: SignedRequest| request.id;
    let old = checker.signed_at(account(), now.plus(-BEYOND_TOLERANCE), id(checker.signed(account())));
    let early = checker.signed_at(account(), now.plus(BEYOND_TOLERANCE), id(checker.signed(account())));
    let reflected = checker.signed_at(account(), checker.now(), format!("{}.answer", id(checker.signed(account()))));
    let of = |body: &str| checker.signed(Bytes::from(body.to_owned()));
    let instance = checker.instance();
    let as_number = format!(
        r#"{{"call":"post","instance":"{instance}","posting":{{"key":"{}","transaction_id":1,"operation_id":1,"login":{login},"customer_id":1,"currency":"USD","amount":1,"cmd":6,"purpose":"deposit","comment":"","created_time":1}}}}"#,
        "d000000000000000000x:1"
    );
    let large = format!(r#"{{"call":"health","instance":"{instance}","padding":"{}"}}"#, "x".repeat(LARGE_BODY));
    let other_instance = checker.signed(encoded(&HealthRequest::new("another-instance")));
    let table = [
        ("a call without a signature is 401", unsigned, [401].as_slice()),
        ("a call with the signature of another one is 401", forged, &[401]),
        ("a call whose body was altered is 401", altered, &[401]),
        ("a call six minutes old is 401", old, &[401]),
        ("a call six minutes ahead is 401", early, &[401]),
        ("an answer that is sent back as a request is 401", reflected, &[401]),
        ("a call for another instance is 421", other_instance, &[421]),
        ("an unknown call is 400", of(&format!(r#"{{"call":"nothing","instance":"{instance}"}}"#)), &[400]),
        ("a body that is no JSON object is 400", of("[]"), &[400]),
        ("an amount that is a number is 400", of(&as_number), &[400]),
    ];
    let mut lines = Vec::new();
    for (promise, request, expected) in table {
        lines.push(line(promise, has_status(checker, request, expected).await));
    }
    // A server that closes the connection instead of reading on has refused it as well.
    let too_large = checker.send(of(&large)).await.map_or(Ok(()), |reply| {
        expect(matches!(reply.status, 400 | 413), || format!("the status is {}", reply.status))
    });
    lines.push(line("a body beyond 64 KiB is 413", too_large));
    lines.push(line("a member that it does not know is passed over", passes_over(checker).await));
    lines
}

async fn has_status(checker: &Checker, request: SignedRequest, expected: &[u16]) -> Result<(), String> {
    let reply = checker.send(request).await?;
    expect(expected.contains(&reply.status), || format!("the status is {}", reply.status))
}

async fn passes_over(checker: &Checker) -> Result<(), String> {
    let body = format!(r#"{{"call":"health","instance":"{}","of_a_later_protocol":{{"a":[1]}}}}"#, checker.instance());
    checker.ask(body.into()).await.map(drop)
}
