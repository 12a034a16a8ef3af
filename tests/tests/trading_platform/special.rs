//! What happens to a posting beside lost messages: restarts with its orders and without, an account that changes between the look-up and
//! the posting, refusals, and a dealer.

use cashier_fake_platform::{DECLINED, FakeState, Manner};
use cashier_tests::roster::LOGIN;
use cashier_tests::waiting::eventually;
use serde_json::json;

use super::{APPROVE, CREATE, MOVE, Platform, SLOW_CLOCK};

fn other_owner(state: &mut FakeState) {
    state.accounts.get_mut(&LOGIN).unwrap().customer = 6;
}

fn other_currency(state: &mut FakeState) {
    state.groups.insert("euro", ("EUR", 0, true));
    let account = state.accounts.get_mut(&LOGIN).unwrap();
    (account.group, account.currency) = ("euro", "EUR");
}

/// Its database is an older one.
fn forgets(state: &mut FakeState) {
    state.orders.clear();
    state.accounts.values_mut().for_each(|account| account.balance = cashier_tests::platform_peer::OPENING_MINOR);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_refuses_connections_gets_the_posting_once_when_it_listens_again() {
    for phases in [2, 1] {
        let mut platform = Platform::start(phases).await;
        let unpaid = platform.ordered(250).await;
        platform.peer.listener.close().await;
        platform.pay(&unpaid).await;
        platform.has_status(unpaid.id, 2).await;
        assert_eq!(platform.moved(), 0);
        platform.peer.listener.open().await;
        platform.is_credited_once(&unpaid).await;
        assert_eq!(platform.moved(), unpaid.minor, "{phases}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_with_its_postings_within_each_message_posts_once() {
    for (phases, command) in [(2, CREATE), (2, APPROVE), (1, MOVE)] {
        let mut platform = Platform::start(phases).await;
        let unpaid = platform.paid(&[(command, Manner::NeverAnswers)]).await;
        eventually("the request", async || (platform.peer.fake().received(command) > 0).then_some(())).await;
        platform.peer.listener.restart(true).await;
        platform.is_credited_once(&unpaid).await;
        assert_eq!(platform.moved(), unpaid.minor, "{command}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_the_platform_forgot_is_listed_and_never_made_anew() {
    let mut platform = Platform::start_at(2, SLOW_CLOCK).await;
    let unpaid = platform.paid(&[(CREATE, Manner::Then(forgets))]).await;
    platform.waits_for_a_person(&unpaid, "posting_unknown").await;
    platform.peer.listener.restart(true).await;
    // Asked for again and again.
    platform.deployment.clock.advance_seconds(300);
    let asked = platform.peer.fake().received("MngGetTradesByFilter");
    eventually("a further question", async || {
        (platform.peer.fake().received("MngGetTradesByFilter") > asked + 2).then_some(())
    })
    .await;
    platform.waits_for_a_person(&unpaid, "posting_unknown").await;
    assert_eq!((platform.peer.fake().received(CREATE), platform.peer.fake().received(APPROVE)), (1, 0));
    assert_eq!(platform.moved(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_movement_that_the_platform_forgot_before_it_answered_is_listed_and_never_sent_again() {
    let mut platform = Platform::start(1).await;
    let unpaid = platform.paid(&[(MOVE, Manner::NeverAnswers)]).await;
    eventually("the movement", async || (platform.moved() != 0).then_some(())).await;
    forgets(&mut platform.peer.fake().state());
    platform.peer.listener.restart(true).await;
    platform.waits_for_a_person(&unpaid, "posting_unknown").await;
    platform.deployment.clock.advance_seconds(300);
    let asked = platform.peer.fake().received("MngGetTradesByFilter");
    eventually("a further question", async || {
        (platform.peer.fake().received("MngGetTradesByFilter") > asked + 2).then_some(())
    })
    .await;
    platform.waits_for_a_person(&unpaid, "posting_unknown").await;
    assert_eq!((platform.peer.fake().received(MOVE), platform.moved()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_without_its_postings_posts_nothing_again_and_the_next_start_says_so() {
    for phases in [2, 1] {
        let mut platform = Platform::start(phases).await;
        let unpaid = platform.paid(&[]).await;
        platform.is_credited_once(&unpaid).await;
        forgets(&mut platform.peer.fake().state());
        platform.peer.listener.restart(true).await;
        platform.deployment.restart().await;
        eventually("the difference is shown", async || {
            let shown = platform.deployment.watch("readyz?verbose").await.text();
            shown.contains("it does not list 1 postings of the books").then_some(())
        })
        .await;
        assert_eq!((platform.posted(unpaid.id), platform.moved()), ((0, 0), 0), "{phases}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_changes_before_the_posting_gets_nothing_and_a_person_is_asked() {
    for (change, reason) in
        [(other_owner as fn(&mut FakeState), "OWNER_MISMATCH"), (other_currency, "CURRENCY_MISMATCH")]
    {
        let platform = Platform::start(2).await;
        let unpaid = platform.paid(&[(CREATE, Manner::Then(change))]).await;
        platform.waits_for_a_person(&unpaid, "posting_refused").await;
        let seen = platform.seen(unpaid.id).await;
        assert_eq!(seen["balance_operations"][0]["failure_reason"], json!(reason), "{seen}");
        assert_eq!((platform.peer.fake().in_state(DECLINED), platform.open(), platform.moved()), (1, 0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_changes_with_the_posting_is_a_review() {
    for (phases, command) in [(2, APPROVE), (1, MOVE)] {
        let platform = Platform::start(phases).await;
        let unpaid = platform.paid(&[(command, Manner::Then(other_owner))]).await;
        platform.is_listed(unpaid.id, "review").await;
        let seen = platform.seen(unpaid.id).await;
        assert_eq!(seen["balance_operations"][0]["failure_reason"], json!("POSTED_TO_CHANGED_ACCOUNT"), "{seen}");
        assert_eq!((platform.posted(unpaid.id), platform.moved()), ((1, unpaid.minor), unpaid.minor), "{command}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_platform_refuses_for_good_is_listed_and_leaves_nothing_open() {
    for (phases, command) in [(2, CREATE), (2, APPROVE), (1, MOVE)] {
        let platform = Platform::start(phases).await;
        let unpaid = platform.paid(&[(command, Manner::Refuses(13, "NO_MONEY"))]).await;
        platform.waits_for_a_person(&unpaid, "posting_refused").await;
        assert_eq!((platform.open(), platform.moved()), (0, 0), "{command}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dealer_who_approves_the_request_and_its_duplicate_makes_a_review() {
    let platform = Platform::start(2).await;
    let unpaid = platform.ordered(250).await;
    platform.peer.fake().script(&[(CREATE, Manner::ArrivesLate(700)), (APPROVE, Manner::Loses)]);
    platform.pay(&unpaid).await;
    eventually("two requests of one key", async || (platform.open() == 2).then_some(())).await;
    platform.peer.fake().state().dealer_approves(|_| true);
    platform.is_listed(unpaid.id, "review").await;
    let seen = platform.seen(unpaid.id).await;
    assert_eq!(seen["balance_operations"][0]["failure_reason"], json!("POSTED_TWICE"), "{seen}");
    assert_eq!((platform.posted(unpaid.id).0, platform.moved()), (2, 2 * unpaid.minor));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_cashier_within_each_message_posts_once_or_asks_a_person() {
    for (phases, command) in [(2, CREATE), (2, APPROVE), (1, MOVE)] {
        let mut platform = Platform::start(phases).await;
        let unpaid = platform.paid(&[(command, Manner::NeverAnswers)]).await;
        eventually("the request", async || (platform.peer.fake().received(command) > 0).then_some(())).await;
        platform.deployment.restart().await;
        platform.is_credited_once(&unpaid).await;
        assert_eq!((platform.moved(), platform.peer.fake().received(command)), (unpaid.minor, 1), "{command}");
    }
}
