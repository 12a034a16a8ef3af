//! Connections that are used again: when they may be, and what is known when one dies.

use tokio::io::AsyncReadExt;

use super::super::pool::Wire;
use super::peer::{Peer, get, post, shown};
use super::*;

#[tokio::test]
async fn a_connection_is_used_again_until_it_idled_too_long() {
    let peer = Peer::plain(|mut line| Box::pin(async move { line.answer_all(FINE).await })).await;
    let egress = peer.egress();
    for _ in 0..3 {
        assert_eq!(shown(egress.send(get(peer.url("/")), PATIENCE).await.unwrap()), "200 fine");
    }
    assert_eq!((peer.accepted(), peer.heard().len()), (1, 3));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(31)).await;
    tokio::time::resume();
    assert_eq!(shown(egress.send(get(peer.url("/")), PATIENCE).await.unwrap()), "200 fine");
    assert_eq!(peer.accepted(), 2);
    let other = peer.egress();
    assert_eq!(shown(other.send(get(peer.url("/")), PATIENCE).await.unwrap()), "200 fine");
    assert_eq!(peer.accepted(), 3, "providers share no connection");
}

#[tokio::test]
async fn a_connection_closed_while_idle_costs_a_new_one_and_nothing_else() {
    let peer = Peer::plain(|mut line| {
        Box::pin(async move {
            line.hear().await;
            line.say(FINE).await;
        })
    })
    .await;
    let egress = peer.egress();
    let origin = origin(&egress, &peer);
    for count in 1..=5 {
        assert_eq!(shown(egress.send(post(peer.url("/"), "order"), PATIENCE).await.unwrap()), "200 fine");
        // Let the news arrive that the peer closed its end.
        while let Some(wire) = egress.0.pool.take(&origin) {
            egress.0.pool.put(origin.clone(), wire);
            tokio::task::yield_now().await;
        }
        assert_eq!((peer.accepted(), peer.heard().len()), (count, count));
    }
}

#[tokio::test]
async fn a_request_on_a_used_connection_that_breaks_is_unknown_and_not_sent_again() {
    let peer = Peer::plain(|mut line| {
        Box::pin(async move {
            line.hear().await;
            line.say(FINE).await;
            line.hear().await;
        })
    })
    .await;
    let egress = peer.egress();
    assert_eq!(shown(egress.send(post(peer.url("/"), "first"), PATIENCE).await.unwrap()), "200 fine");
    let error = failure(&egress, post(peer.url("/"), "second")).await;
    assert!(matches!(&error, EgressError::Unknown(Unknown::Broken(_))), "{error}");
    assert_eq!((peer.accepted(), peer.heard().len()), (1, 2), "the second went over the first connection, once");
}

#[tokio::test]
async fn a_request_is_untouched_only_if_no_byte_of_it_was_written() {
    let request = || Request::post("/").body(Full::new(Bytes::from_static(b"order"))).unwrap();
    let ends = Instant::now() + PATIENCE;

    let (near, far) = tokio::io::duplex(4096);
    let wire = Wire::over(Box::new(near)).await.unwrap();
    drop(far);
    let Err(Unanswered::Untouched(_)) = ask(wire, request(), ends).await else { panic!("closed before it was asked") };

    // The pipe takes the request whole, and nobody reads it.
    let (near, far) = tokio::io::duplex(4096);
    let wire = Wire::over(Box::new(near)).await.unwrap();
    let asked = tokio::spawn(ask(wire, request(), ends));
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    drop(far);
    let Err(Unanswered::Unknown(Unknown::Broken(_))) = asked.await.unwrap() else { panic!("it was written") };

    // The pipe breaks after the first byte.
    let (near, mut far) = tokio::io::duplex(1);
    let wire = Wire::over(Box::new(near)).await.unwrap();
    let asked = tokio::spawn(ask(wire, request(), ends));
    assert_eq!(far.read_u8().await.unwrap(), b'P');
    drop(far);
    let Err(Unanswered::Unknown(Unknown::Broken(_))) = asked.await.unwrap() else { panic!("a byte of it was written") };
}

#[tokio::test]
async fn what_an_answer_leaves_behind_is_not_the_next_answer() {
    let peer = Peer::plain(|mut line| {
        Box::pin(async move {
            line.answer_all(
                "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfineHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfake",
            )
            .await;
        })
    })
    .await;
    let egress = peer.egress();
    for _ in 0..3 {
        assert_eq!(shown(egress.send(get(peer.url("/")), PATIENCE).await.unwrap()), "200 fine");
    }
    assert_eq!(peer.accepted(), 3, "a connection with bytes left over is not used again");
}

#[tokio::test]
async fn beyond_the_connections_at_a_time_a_request_waits_and_was_never_sent() {
    let peer = Peer::plain(|mut line| {
        Box::pin(async move {
            line.hear().await;
            std::future::pending().await
        })
    })
    .await;
    let egress = peer.egress();
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS_MAX {
        let (egress, url) = (egress.clone(), peer.url("/"));
        crowd.spawn(async move { failure(&egress, get(url)).await });
    }
    peer.until_heard(CONNECTIONS_MAX).await;
    tokio::time::pause();
    let late = egress.send(get(peer.url("/")), PATIENCE / 2).await;
    assert!(late == Err(EgressError::NeverSent(NeverSent::Busy)));
    let errors = crowd.join_all().await;
    assert!(errors.iter().all(|error| *error == EgressError::Unknown(Unknown::Deadline)), "{errors:?}");
    assert_eq!(peer.heard().len(), CONNECTIONS_MAX);
}

#[tokio::test]
async fn a_request_that_met_a_closing_connection_untouched_goes_over_a_new_one() {
    let peer = Peer::plain(|mut line| Box::pin(async move { line.answer_all(FINE).await })).await;
    let egress = peer.egress();
    let (near, far) = tokio::io::duplex(4096);
    let wire = Wire::over(Box::new(near)).await.unwrap();
    while !wire.sender.is_ready() {
        tokio::task::yield_now().await;
    }
    egress.0.pool.put(origin(&egress, &peer), wire);
    // Closed between the look at the pool and the write, as a peer's patience may end at any moment.
    drop(far);
    assert_eq!(shown(egress.send(post(peer.url("/"), "order"), PATIENCE).await.unwrap()), "200 fine");
    assert_eq!((peer.accepted(), peer.heard().len()), (1, 1));
}

#[tokio::test]
async fn whoever_stops_waiting_closes_the_connection() {
    let peer = Peer::plain(|mut line| {
        Box::pin(async move {
            line.hear().await;
            assert!(!line.hear().await, "the client hangs up");
            line.note("hung up");
        })
    })
    .await;
    let (egress, url) = (peer.egress(), peer.url("/"));
    let asked = tokio::spawn(async move { egress.send(get(url), PATIENCE).await.is_ok() });
    peer.until_heard(1).await;
    asked.abort();
    peer.until_heard(2).await;
    assert_eq!(peer.heard()[1], "hung up");
}

fn origin(egress: &Egress, peer: &Peer) -> Origin {
    Origin::of(&egress.0.provider.target(&peer.url("/")).unwrap())
}
