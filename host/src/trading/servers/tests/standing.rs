//! What a server is shown as, what counts for its circuit breaker, and how it is found out that one call alone failed.

use super::*;

async fn posted(env: &Servers) -> bool {
    env.port.post(posting("other")).await == PostStep::Done(PostingOutcome::posted(1))
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_compared_yet_is_shown_to_take_no_postings() {
    let env = uncompared(&[(1, "std", "ion4")], &[(3, "vip", "beta")], ServerRoute::default());
    let other = ServerName::read("other").unwrap();
    let shown = || env.port.status().remove(1);
    assert!(!shown().takes_postings() && !posted(&env).await);
    let line = "trading server other (http): takes no postings: its postings are compared with the books first; not \
                compared with the books: the start has only begun";
    assert_eq!(shown().line(), line);
    env.port.0.note_comparison(&other, Ok(None));
    assert_eq!(shown().line(), "trading server other (http): takes postings");
    assert!(shown().takes_postings() && posted(&env).await);
    *env.other.is_replaced.lock().unwrap() = true;
    assert!(!shown().takes_postings() && !posted(&env).await, "it has another database");
    assert!(shown().compared_time != UnixTime::UNSET);
    assert_eq!(shown().problem.as_deref(), Some("its postings are compared with the books first"));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_the_server_answers_badly_is_a_remark_and_it_takes_postings() {
    let env = two(&[(1, "std", "ion4")], &[(3, "vip", "beta")]);
    *env.other.answers_badly.lock().unwrap() = true;
    env.server_of(3).await.unwrap_err();
    let shown = env.port.status().remove(1);
    assert!(shown.takes_postings());
    let line = "trading server other (http): takes postings; to be looked at: the account has no group";
    assert_eq!((shown.line(), shown.failing_since), (line.to_owned(), UnixTime::UNSET));
    *env.other.is_down.lock().unwrap() = true;
    let shown = env.port.status().remove(1);
    assert_eq!((shown.takes_postings(), shown.remark), (false, None), "what does not answer has one sentence");
}

#[tokio::test(start_paused = true)]
async fn what_a_pause_holds_back_is_neither_a_success_nor_a_failure() {
    let env = two(&[(1, "std", "ion4")], &[(3, "vip", "beta")]);
    let pause = |seconds| *env.other.pause.lock().unwrap() = Duration::from_secs(seconds);
    let held_back = async || {
        let fault = env.port.find(posting("other").get()).await.unwrap_err().to_string();
        assert_eq!(fault, "trading server other is not asked now, because it asked not to be called for another 21 s");
        assert_eq!(env.port.post(posting("other")).await, PostStep::NotSent);
    };
    let is_cut_off = || env.port.status()[1].is_cut_off;
    // It is no success: the failures before it count on.
    *env.other.is_down.lock().unwrap() = true;
    for _ in 0..4 {
        assert!(!posted(&env).await);
    }
    pause(20);
    for _ in 0..9 {
        held_back().await;
    }
    assert!(!is_cut_off(), "nor a failure");
    pause(0);
    assert!(!posted(&env).await);
    assert!(is_cut_off());
    // The reason stays the server's own, and the one try of a second is not spent.
    pause(20);
    env.clock.advance(Duration::from_secs(2));
    held_back().await;
    assert_eq!(env.port.status()[1].problem.as_deref(), Some("a posting got no answer"));
    *env.other.is_down.lock().unwrap() = false;
    pause(0);
    assert!(posted(&env).await && !is_cut_off());
}

#[tokio::test(start_paused = true)]
async fn a_login_whose_look_up_hangs_cuts_off_nobody_else() {
    let env = two(&[(1, "std", "ion4")], &[(3, "vip", "beta"), (4, "vip", "beta")]);
    env.other.hanging.lock().unwrap().push(4);
    for _ in 0..20 {
        env.server_of(4).await.unwrap_err();
        env.clock.advance(Duration::from_secs(5));
    }
    assert!(!env.port.status()[1].is_cut_off);
    assert!(env.server_of(3).await.is_ok() && posted(&env).await);
}

#[tokio::test(start_paused = true)]
async fn a_server_is_asked_how_it_is_once_a_second_at_most() {
    let env = two(&[(1, "std", "ion4")], &[(3, "vip", "beta"), (4, "vip", "beta")]);
    env.other.hanging.lock().unwrap().push(4);
    for _ in 0..40 {
        env.server_of(4).await.unwrap_err();
        env.clock.advance(Duration::from_millis(100));
    }
    assert_eq!(env.other.health_asked.load(Ordering::SeqCst), 4);
    assert!(!env.port.status()[1].is_cut_off);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_back_is_found_by_its_health_whatever_the_calls_are() {
    let env = two(&[(1, "std", "ion4")], &[(3, "vip", "beta"), (4, "vip", "beta")]);
    *env.other.is_down.lock().unwrap() = true;
    for _ in 0..5 {
        assert!(!posted(&env).await);
    }
    assert!(env.port.status()[1].is_cut_off);
    env.clock.advance(Duration::from_secs(1));
    let (asked, health_asked) = (&env.other.asked, &env.other.health_asked);
    let before = (asked.load(Ordering::SeqCst), health_asked.load(Ordering::SeqCst));
    env.server_of(4).await.unwrap_err();
    env.server_of(3).await.unwrap_err();
    let after = (asked.load(Ordering::SeqCst), health_asked.load(Ordering::SeqCst));
    assert_eq!(after, (before.0, before.1 + 1), "the one try is its health");
    assert_eq!(env.port.status()[1].problem.as_deref(), Some("connection refused"));
    *env.other.is_down.lock().unwrap() = false;
    env.other.hanging.lock().unwrap().push(4);
    env.clock.advance(Duration::from_secs(1));
    // The call that comes first hangs, and closes it all the same.
    env.server_of(4).await.unwrap_err();
    assert!(env.server_of(3).await.is_ok() && !env.port.status()[1].is_cut_off);
}
