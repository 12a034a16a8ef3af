//! What answers while the books are held: a decision or a list that takes long delays nothing that needs no books.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::CustomerApi;
use crate::http::testing::TestListener;
use crate::http::watch_routes;

/// Far longer than any answer takes: it ends the test where one waits for the books.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s1_methods_health_and_readiness_answer_while_the_books_are_held() {
    let api = CustomerApi::open().await;
    let routes = watch_routes(&api.env.cashier, &api.keys, &Arc::default());
    let watch = TestListener::open(routes, api.env.clock.clone()).await;
    let cashier = api.env.cashier.clone();
    let ((held, is_held), (release, released)) = (channel(), channel::<()>());
    let holder = std::thread::spawn(move || {
        cashier.ledger.peek(|_| {
            held.send(()).unwrap();
            // Ends too when the test has failed and the sender is gone.
            let _ = released.recv();
        })
    });
    is_held.recv().unwrap();
    let answers = async {
        let methods = api.send("GET /cashier/methods?login=2000009", "").await;
        let unknown = api.listener.send("GET /cashier/methods?login=2000009", "", "").await;
        let health = watch.send("GET /healthz", "", "").await;
        let ready = watch.send("GET /readyz?verbose", "", "").await;
        [methods, unknown, health, ready].map(|response| response.status)
    };
    assert_eq!(tokio::time::timeout(PATIENCE, answers).await, Ok([200, 403, 200, 200]), "an answer waited");
    release.send(()).unwrap();
    holder.join().unwrap().unwrap();
}
