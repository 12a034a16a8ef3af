//! Calls that a server must not judge: whoever has no secret, or an old message, gets nothing done, and a mistake is named. What is
//! sent before the account is known has no posting; what has one is of a login and a customer that nobody has, so that a server
//! that takes it moves nothing.

use bytes::Bytes;
use cashier_core::account::AccountFacts;
use cashier_core::ids::{CustomerId, ID_MAX, Login};
use cashier_core::money::Money;
use serde_json::{Map, Value, json};

use super::super::calling::encoded;
use super::super::reading::KeyOutcome;
use super::super::requests::{AccountRequest, PostingsRequest};
use super::super::signature::TIMESTAMP_TOLERANCE_SECONDS;
use super::super::transport::SignedRequest;
use super::answered::words;
use super::exchanges::{Checker, KeyCall, NOBODY, PromiseLine, expect, line};
use crate::ports::Posting;

/// A minute beyond the tolerance, so that clocks that differ by seconds decide nothing.
pub(super) const BEYOND_TOLERANCE: i64 = TIMESTAMP_TOLERANCE_SECONDS + 60;

/// Four minutes, within the tolerance whatever the two clocks differ by in a second.
const WITHIN_TOLERANCE: i64 = TIMESTAMP_TOLERANCE_SECONDS - 60;

/// A body beyond what a request may have.
const LARGE_BODY: usize = 65 * 1024;

/// An instance and a cursor that no server has.
pub(super) const NOT_ITS_OWN: &str = "not-its-own";

/// A signature that is by no secret: 32 bytes of zeros.
const JUNK_SIGNATURE: &str = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// Calls without a posting.
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
    let cursor = checker.signed(encoded(&PostingsRequest::new(instance, NOT_ITS_OWN, 1)));
    let large = format!(r#"{{"call":"health","instance":"{instance}","padding":"{}"}}"#, "x".repeat(LARGE_BODY));
    let table = [
        ("a call without a signature is 401", unsigned, 401),
        ("a call with the signature of another one is 401", forged, 401),
        ("a call whose body was altered is 401", altered, 401),
        ("a call six minutes old is 401", old, 401),
        ("a call six minutes ahead is 401", early, 401),
        ("an answer that is sent back as a request is 401", reflected, 401),
        ("an unknown call is 400", of(&format!(r#"{{"call":"nothing","instance":"{instance}"}}"#)), 400),
        ("a body that is no JSON object is 400", of("[]"), 400),
        ("a call without an instance is 400", of(r#"{"call":"health"}"#), 400),
        ("postings: a cursor that is not the server's is 400", cursor, 400),
    ];
    let within = [-WITHIN_TOLERANCE, WITHIN_TOLERANCE]
        .map(|seconds| checker.signed_at(account(), now.plus(seconds), id(checker.signed(account()))));
    let mut lines = Vec::new();
    for (promise, request, expected) in table {
        lines.push(line(promise, has_status(checker, request, expected).await));
    }
    lines
        .push(line("a call four minutes old, or four minutes ahead, is answered", are_answered(checker, within).await));
    // A server that closes the connection instead of reading on has refused it as well.
    let too_large = checker.send(of(&large)).await.map_or(Ok(()), |reply| {
        expect(matches!(reply.status, 400 | 413), || format!("the status is {}", reply.status))
    });
    lines.push(line("a body beyond 64 KiB is 413", too_large));
    lines.push(line("a member that it does not know is passed over", passes_over(checker).await));
    let mut signed_twice = checker.signed(account());
    signed_twice.signature = format!("{JUNK_SIGNATURE} {}", signed_twice.signature);
    let signed_twice = checker.proven(signed_twice).await.map(drop);
    lines.push(line("a signature of another secret before the right one is passed over", signed_twice));
    lines
}

/// Calls with a posting.
pub(super) async fn check_postings(checker: &mut Checker, facts: &AccountFacts) -> Vec<PromiseLine> {
    let mut lines = Vec::new();
    let currency = facts.group.currency;
    let too_fine = format!("0.{:0>1$}", 1, usize::from(currency.exponent()) + 1);
    let amount_as_number = [("amount", json!(1))];
    lines.push(line("an amount that is a number is 400", malformed(checker, facts, &amount_as_number).await));
    let of_another_form = [
        // Of these the cashier could read no posting.
        ("key", json!("test")),
        ("key", json!(NOBODY.to_string() + ":1")),
        ("amount", json!("1e0")),
        ("amount", json!("+1")),
        ("amount", json!(too_fine)),
        ("login", json!(ID_MAX + 1)),
        ("login", json!(NOBODY.to_string())),
        ("transaction_id", json!(0)),
        ("cmd", json!(7)),
        ("purpose", json!("gift")),
        ("only_on", Value::Null),
        ("only_on", json!(2)),
    ];
    let checked = malformed(checker, facts, &of_another_form).await;
    lines.push(line("a posting that is not of its form is 400, and is not recorded", checked));
    lines
}

pub(super) fn of_nobody(checker: &mut Checker, facts: &AccountFacts) -> Posting {
    let group = &facts.group;
    let unit = 10_i64.pow(u32::from(group.currency.exponent()));
    checker.posting(CustomerId(NOBODY), Login(NOBODY), Money::new(unit, group.currency), Some(group.account_mode))
}

/// Postings with one member of another form each.
async fn malformed(checker: &mut Checker, facts: &AccountFacts, members: &[(&str, Value)]) -> Result<(), String> {
    for (name, value) in members {
        let posting = of_nobody(checker, facts);
        let change = |members: &mut Map<String, Value>| drop(members.insert((*name).to_owned(), value.clone()));
        let request = checker.signed(checker.body_with(KeyCall::Post, &posting, change));
        has_status(checker, request, 400).await.map_err(|seen| format!("{name} {value}: {seen}"))?;
        is_unknown(checker, &posting).await.map_err(|seen| format!("{name} {value}: {seen}"))?;
    }
    Ok(())
}

pub(super) async fn is_unknown(checker: &Checker, posting: &Posting) -> Result<(), String> {
    let found = checker.find(posting).await?;
    expect(found == KeyOutcome::Unknown, || format!("it is recorded: {}", words(&found)))
}

pub(super) async fn has_status(checker: &Checker, request: SignedRequest, expected: u16) -> Result<(), String> {
    let reply = checker.send_question(request).await?;
    expect(reply.status == expected, || format!("the status is {}", reply.status))
}

async fn are_answered(checker: &Checker, requests: [SignedRequest; 2]) -> Result<(), String> {
    for request in requests {
        has_status(checker, request, 200).await?;
    }
    Ok(())
}

async fn passes_over(checker: &Checker) -> Result<(), String> {
    let body = format!(r#"{{"call":"health","instance":"{}","of_a_later_protocol":{{"a":[1]}}}}"#, checker.instance());
    checker.ask(body.into()).await.map(drop)
}
