//! A login that two servers have, one of which answers later than it is waited for.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_login_that_a_slow_server_has_too_is_nobodys_once_it_said_so() {
    let env = two(&[(1, "std", "ion4"), (2, "std", "ion4")], &[(1, "vip", "ion4")]);
    let mut tasks = tokio::task::JoinSet::new();
    env.port.0.background().into_iter().for_each(|task| drop(tasks.spawn(task)));
    *env.other.delay.lock().unwrap() = Duration::from_secs(1);
    let later = || tokio::time::sleep(Duration::from_secs(2));
    let main = || Ok(Some(("main".to_owned(), 0)));
    assert_eq!((env.server_of(1).await, env.server_of(2).await), (main(), main()), "nothing is known of the other one");
    later().await;
    assert!(env.server_of(1).await.unwrap_err().contains("several trading servers"), "though it was remembered");
    assert_eq!(env.server_of(2).await, main());
    env.other.accounts.lock().unwrap().clear();
    later().await;
    env.server_of(1).await.unwrap_err();
    later().await;
    assert_eq!(env.server_of(1).await, main(), "every server answered, and one has it");
    // One that does not answer does not say that it has none.
    env.other.accounts.lock().unwrap().push((1, "vip", "ion4"));
    env.clock.advance(Duration::from_secs(31));
    env.server_of(1).await.unwrap();
    later().await;
    *env.other.is_down.lock().unwrap() = true;
    env.server_of(1).await.unwrap_err();
    later().await;
    env.server_of(1).await.unwrap_err();
}
