//! Each of the ten calls with something wrong that is not in its members: a signature, a time, an instance. A server that verifies one
//! call need not verify another. Postings are of a login and a customer that nobody has.

use bytes::Bytes;
use cashier_core::account::AccountFacts;
use cashier_core::reason::ReasonCode;

use super::super::calling::encoded;
use super::super::requests::{
    AccountRequest, CustomerRequest, FindRequest, GroupsRequest, HealthRequest, IdentityRequest, PostRequest,
    PostingsRequest, RateRequest, VoidRequest,
};
use super::super::transport::SignedRequest;
use super::exchanges::{Checker, PromiseLine, line};
use super::refused_calls::{BEYOND_TOLERANCE, NOT_ITS_OWN, has_status, is_unknown, of_nobody};
use crate::ports::Posting;

pub(super) async fn check(checker: &mut Checker, facts: &AccountFacts) -> Vec<PromiseLine> {
    let unsigned =
        |checker: &Checker, body: &Bytes| SignedRequest { signature: String::new(), ..checker.signed(body.clone()) };
    let of_another_time = |checker: &Checker, body: &Bytes| {
        let mut request = checker.signed(body.clone());
        request.signature = checker.signed_at(body.clone(), checker.now().plus(1), request.id.clone()).signature;
        request
    };
    let in_other_case = |checker: &Checker, body: &Bytes| {
        let mut request = checker.signed(body.clone());
        request.signature = with_letters_in_other_case(&request.signature);
        request
    };
    // By the server's clock: six minutes from ours may be one from its.
    let at = |seconds: i64| {
        move |checker: &Checker, body: &Bytes| {
            let id = checker.signed(body.clone()).id;
            checker.signed_at(body.clone(), checker.now_there().plus(seconds), id)
        }
    };
    let wrong_signatures: [(&str, WrongRequest<'_>); 3] = [
        ("without a signature", &unsigned),
        ("with the signature of another second", &of_another_time),
        ("with the letters of its signature in the other case", &in_other_case),
    ];
    let (old, early) = (at(-BEYOND_TOLERANCE), at(BEYOND_TOLERANCE));
    let wrong_times: [(&str, WrongRequest<'_>); 2] = [("six minutes old", &old), ("six minutes ahead", &early)];
    let signatures = refused(checker, facts, &wrong_signatures).await;
    let times = refused(checker, facts, &wrong_times).await;
    let instances = of_another_instance(checker, facts).await;
    vec![
        line("each of the ten calls is 401 with a wrong signature", signatures),
        line("each of the ten calls is 401 six minutes from the server's clock", times),
        line("a call for another instance is 421, whichever it is", instances),
    ]
}

/// Makes the request of a body wrong.
type WrongRequest<'c> = &'c dyn Fn(&Checker, &Bytes) -> SignedRequest;

async fn refused(
    checker: &mut Checker,
    facts: &AccountFacts,
    changes: &[(&str, WrongRequest<'_>)],
) -> Result<(), String> {
    for (what, change) in changes {
        let posting = of_nobody(checker, facts);
        for (call, body) in calls(checker.instance(), facts, &posting) {
            let request = change(checker, &body);
            has_status(checker, request, 401).await.map_err(|seen| format!("{call} {what}: {seen}"))?;
        }
        is_unknown(checker, &posting).await.map_err(|seen| format!("{what}: {seen}"))?;
    }
    Ok(())
}

async fn of_another_instance(checker: &mut Checker, facts: &AccountFacts) -> Result<(), String> {
    let posting = of_nobody(checker, facts);
    for (call, body) in calls(NOT_ITS_OWN, facts, &posting) {
        // The one call without an instance.
        if call != IDENTITY {
            has_status(checker, checker.signed(body), 421).await.map_err(|seen| format!("{call}: {seen}"))?;
        }
    }
    is_unknown(checker, &posting).await
}

const IDENTITY: &str = "identity";

/// Each call with what it takes.
fn calls(instance: &str, facts: &AccountFacts, posting: &Posting) -> [(&'static str, Bytes); 10] {
    let currency = facts.group.currency.code();
    [
        (IDENTITY, encoded(&IdentityRequest::new())),
        ("health", encoded(&HealthRequest::new(instance))),
        ("customer", encoded(&CustomerRequest::new(instance, facts.customer.customer_id))),
        ("account", encoded(&AccountRequest::new(instance, facts.account.login))),
        ("groups", encoded(&GroupsRequest::new(instance))),
        ("post", encoded(&PostRequest::new(instance, posting))),
        ("find", encoded(&FindRequest::new(instance, posting))),
        ("void", encoded(&VoidRequest::new(instance, posting, ReasonCode::Withheld.name()))),
        ("postings", encoded(&PostingsRequest::new(instance, "", 1))),
        ("rate", encoded(&RateRequest::new(instance, currency, currency))),
    ]
}

/// Base64 distinguishes capitals from small letters.
fn with_letters_in_other_case(signature: &str) -> String {
    let (version, code) = signature.split_once(',').unwrap_or((signature, ""));
    let other = |letter: char| {
        if letter.is_ascii_lowercase() { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
    };
    format!("{version},{}", code.chars().map(other).collect::<String>())
}
