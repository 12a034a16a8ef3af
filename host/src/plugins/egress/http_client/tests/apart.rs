//! Requests that hang: they take the connections and lookups of their own config and host, and nobody else's.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::AsyncReadExt;

use super::super::types::CONNECTIONS_MAX;
use super::peer::{Peer, get, status_and_body};
use super::*;

/// Answers everything but `/hang`.
const HANGS_WHERE_ASKED: Behaviour = |mut connection| {
    Box::pin(async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(connection.stream.read_u8().await.unwrap());
        }
        connection.note(&String::from_utf8(head.clone()).unwrap());
        if head.starts_with(b"GET /hang") {
            std::future::pending().await
        }
        connection.send(FINE).await;
    })
};

/// Takes every connection of this network to the peer.
async fn hang(egress: &Egress, peer: &Peer) -> tokio::task::JoinSet<()> {
    let mut hanging = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS_MAX + 4 {
        let (egress, url) = (egress.clone(), peer.url("/hang"));
        hanging.spawn(async move { drop(egress.send(get(url), TEST_TIMEOUT).await) });
    }
    peer.until_received(CONNECTIONS_MAX).await;
    hanging
}

#[tokio::test]
async fn s12_hanging_requests_of_one_config_leave_the_other_configs_their_connections() {
    let peer = Peer::plain(HANGS_WHERE_ASKED).await;
    let module = peer.egress();
    let (first, second) = (module.apart(), module.apart());
    let _hanging = hang(&first, &peer).await;
    for _ in 0..3 {
        assert_eq!(status_and_body(second.send(get(peer.url("/")), TEST_TIMEOUT).await.unwrap()), "200 fine");
    }
    assert_eq!(peer.received().len(), CONNECTIONS_MAX + 3, "those beyond the limit still wait");
}

#[tokio::test]
async fn s12_hanging_requests_to_one_host_leave_the_other_hosts_of_the_config_theirs() {
    let (slow, well) = (Peer::plain(HANGS_WHERE_ASKED).await, Peer::plain(REPLIES_FINE).await);
    let exceptions = [&slow, &well].map(|peer| format!("127.0.0.1:{}", peer.port));
    let egress = egress(&EgressSettings::default(), &[], &exceptions.each_ref().map(String::as_str));
    let _hanging = hang(&egress, &slow).await;
    assert_eq!(status_and_body(egress.send(get(well.url("/")), TEST_TIMEOUT).await.unwrap()), "200 fine");
}

/// Knows no name; finds that out about `dead.test` never.
#[derive(Default)]
struct Unresolving(AtomicUsize);

impl Resolve for Unresolving {
    fn resolve(&self, host: &str, _port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        match host {
            "dead.test" => std::future::pending().boxed(),
            _ => std::future::ready(Err(io::Error::other("no such name"))).boxed(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s12_lookups_that_hang_are_few_and_leave_the_other_configs_theirs() {
    let resolver = Arc::new(Unresolving::default());
    let settings = EgressSettings { resolver: Arc::clone(&resolver) as _, ..EgressSettings::default() };
    let module = egress(&settings, &["dead.test", "unknown.test"], &[]);
    let (first, second) = (module.apart(), module.apart());
    let sends = (0..100).map(|_| first.send(get("https://dead.test/"), TEST_TIMEOUT));
    let outcomes = futures_util::future::join_all(sends).await;
    let given_up = |outcome: &Result<_, _>| matches!(outcome, Err(EgressError::NeverSent(NeverSent::Dns(_))));
    assert!(outcomes.iter().all(given_up));
    assert_eq!(resolver.0.load(Ordering::SeqCst), LOOKUPS_MAX, "a lookup nobody waits for is still one");
    assert!(given_up(&second.send(get("https://unknown.test/"), TEST_TIMEOUT).await));
    assert_eq!(resolver.0.load(Ordering::SeqCst), LOOKUPS_MAX + 1);
}
