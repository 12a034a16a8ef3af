//! Reuse of connections: when it is allowed, and what is known when a reused connection breaks.

use tokio::io::AsyncReadExt;

use super::super::pool::PooledConnection;
use super::super::types::CONNECTIONS_MAX;
use super::peer::{Peer, get, post, status_and_body};
use super::*;

#[tokio::test]
async fn a_connection_is_reused_until_it_was_idle_too_long() {
    let peer = Peer::plain(REPLIES_FINE).await;
    let egress = peer.egress();
    for _ in 0..3 {
        assert_eq!(status_and_body(egress.send(get(peer.url("/")), TEST_TIMEOUT).await.unwrap()), "200 fine");
    }
    assert_eq!((peer.accepted(), peer.received().len()), (1, 3));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(31)).await;
    tokio::time::resume();
    assert_eq!(status_and_body(egress.send(get(peer.url("/")), TEST_TIMEOUT).await.unwrap()), "200 fine");
    assert_eq!(peer.accepted(), 2);
    let other = peer.egress();
    assert_eq!(status_and_body(other.send(get(peer.url("/")), TEST_TIMEOUT).await.unwrap()), "200 fine");
    assert_eq!(peer.accepted(), 3, "providers share no connection");
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_replaced_and_the_request_sent_once() {
    let peer = Peer::plain(|mut connection| {
        Box::pin(async move {
            connection.receive().await;
            connection.send(FINE).await;
        })
    })
    .await;
    let egress = peer.egress();
    let origin = origin(&egress, &peer);
    for count in 1..=5 {
        assert_eq!(status_and_body(egress.send(post(peer.url("/"), "order"), TEST_TIMEOUT).await.unwrap()), "200 fine");
        // Wait until the client knows that the peer closed its end.
        while let Some(connection) = egress.0.pool.take(&origin) {
            egress.0.pool.put(origin.clone(), connection);
            tokio::task::yield_now().await;
        }
        assert_eq!((peer.accepted(), peer.received().len()), (count, count));
    }
}

#[tokio::test]
async fn a_request_on_a_reused_connection_that_breaks_is_unknown_and_not_sent_again() {
    let peer = Peer::plain(|mut connection| {
        Box::pin(async move {
            connection.receive().await;
            connection.send(FINE).await;
            connection.receive().await;
        })
    })
    .await;
    let egress = peer.egress();
    assert_eq!(status_and_body(egress.send(post(peer.url("/"), "first"), TEST_TIMEOUT).await.unwrap()), "200 fine");
    let error = failure(&egress, post(peer.url("/"), "second")).await;
    assert!(matches!(&error, EgressError::Unknown(UnknownOutcome::Broken(_))), "{error}");
    assert_eq!((peer.accepted(), peer.received().len()), (1, 2), "the second went over the first connection, once");
}

#[tokio::test]
async fn a_request_counts_as_not_written_only_if_no_byte_of_it_was_written() {
    let request = || Request::post("/").body(Full::new(Bytes::from_static(b"order"))).unwrap();
    let ends = Instant::now() + TEST_TIMEOUT;

    let (near, far) = tokio::io::duplex(4096);
    let connection = PooledConnection::over(Box::new(near)).await.unwrap();
    drop(far);
    let Err(FailedAttempt::NotWritten(_)) = attempt(connection, request(), ends).await else {
        panic!("closed before anything was written")
    };

    // The pipe takes the whole request, and no peer reads it.
    let (near, far) = tokio::io::duplex(4096);
    let connection = PooledConnection::over(Box::new(near)).await.unwrap();
    let sending = tokio::spawn(attempt(connection, request(), ends));
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    drop(far);
    let Err(FailedAttempt::Unknown(UnknownOutcome::Broken(_))) = sending.await.unwrap() else {
        panic!("it was written")
    };

    // The pipe breaks after the first byte.
    let (near, mut far) = tokio::io::duplex(1);
    let connection = PooledConnection::over(Box::new(near)).await.unwrap();
    let sending = tokio::spawn(attempt(connection, request(), ends));
    assert_eq!(far.read_u8().await.unwrap(), b'P');
    drop(far);
    let Err(FailedAttempt::Unknown(UnknownOutcome::Broken(_))) = sending.await.unwrap() else {
        panic!("a byte of it was written")
    };
}

#[tokio::test]
async fn bytes_after_a_reply_are_not_read_as_the_next_reply() {
    let peer = Peer::plain(|mut connection| {
        Box::pin(async move {
            connection
                .reply_to_all(
                    "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfineHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfake",
                )
                .await;
        })
    })
    .await;
    let egress = peer.egress();
    for _ in 0..3 {
        assert_eq!(status_and_body(egress.send(get(peer.url("/")), TEST_TIMEOUT).await.unwrap()), "200 fine");
    }
    assert_eq!(peer.accepted(), 3, "a connection with bytes left over is not used again");
}

#[tokio::test]
async fn a_request_beyond_the_connection_limit_waits_and_was_never_sent() {
    let peer = Peer::plain(|mut connection| {
        Box::pin(async move {
            connection.receive().await;
            std::future::pending().await
        })
    })
    .await;
    let egress = peer.egress();
    let mut busy = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS_MAX {
        let (egress, url) = (egress.clone(), peer.url("/"));
        busy.spawn(async move { failure(&egress, get(url)).await });
    }
    peer.until_received(CONNECTIONS_MAX).await;
    tokio::time::pause();
    let late = egress.send(get(peer.url("/")), TEST_TIMEOUT / 2).await;
    assert!(late == Err(EgressError::NeverSent(NeverSent::Busy)));
    let errors = busy.join_all().await;
    assert!(errors.iter().all(|error| *error == EgressError::Unknown(UnknownOutcome::Deadline)), "{errors:?}");
    assert_eq!(peer.received().len(), CONNECTIONS_MAX);
}

#[tokio::test]
async fn a_request_not_written_to_a_closing_connection_is_sent_over_a_new_one() {
    let peer = Peer::plain(REPLIES_FINE).await;
    let egress = peer.egress();
    let (near, far) = tokio::io::duplex(4096);
    let connection = PooledConnection::over(Box::new(near)).await.unwrap();
    while !connection.sender.is_ready() {
        tokio::task::yield_now().await;
    }
    egress.0.pool.put(origin(&egress, &peer), connection);
    // Closed between the check of the pool and the write, as a peer may do at any moment.
    drop(far);
    assert_eq!(status_and_body(egress.send(post(peer.url("/"), "order"), TEST_TIMEOUT).await.unwrap()), "200 fine");
    assert_eq!((peer.accepted(), peer.received().len()), (1, 1));
}

#[tokio::test]
async fn a_dropped_send_closes_the_connection() {
    let peer = Peer::plain(|mut connection| {
        Box::pin(async move {
            connection.receive().await;
            assert!(!connection.receive().await, "the client closes the connection");
            connection.note("closed");
        })
    })
    .await;
    let (egress, url) = (peer.egress(), peer.url("/"));
    let sending = tokio::spawn(async move { egress.send(get(url), TEST_TIMEOUT).await.is_ok() });
    peer.until_received(1).await;
    sending.abort();
    peer.until_received(2).await;
    assert_eq!(peer.received()[1], "closed");
}

fn origin(egress: &Egress, peer: &Peer) -> ConnectionOrigin {
    ConnectionOrigin::of(&egress.0.rules.target(&peer.url("/")).unwrap())
}
