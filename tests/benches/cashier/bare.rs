//! The limits for HTTP: bare warp routes that answer the same bytes as the cashier, in a separate process as the cashier is.
//! One answers at once; the other first awaits two commits on a raw strand, as a deposit must.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use cashier_core::change::{Body, Change, Commit};
use cashier_core::ids::{CustomerId, Seq};
use cashier_core::lookups::Lookups;
use cashier_core::session::Actor;
use cashier_host::ports::{DurabilityListener, Fault, Recorder};
use cashier_host::strand::seal::SealKeys;
use cashier_host::strand::{self, BatchLimits, Strand, StrandSettings};
use cashier_host::system::SystemEntropy;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use warp::http::{HeaderValue, Response};
use warp::{Filter, Reply};

use crate::full_server::{ChildProgram, SEAL_RING};
use crate::{BenchResult, print, rows};

/// A bare route in a process of its own, and its address.
pub(crate) fn start(arguments: &[&str]) -> BenchResult<(ChildProgram, SocketAddr)> {
    let mut program = ChildProgram::role(arguments)?;
    let address = program.line()?.parse()?;
    Ok((program, address))
}

/// `GET /cashier/methods` answers the bytes of this file.
pub(crate) fn serve_methods(body: &str) -> BenchResult<()> {
    let body = Bytes::from(std::fs::read(body)?);
    serve(warp::get().and(warp::path!("cashier" / "methods")).map(move || json(body.clone())))
}

/// `POST /cashier/deposit` takes its body, awaits two commits one after the other, and answers the bytes of this file.
pub(crate) fn serve_deposits(folder: &Path, body: &str) -> BenchResult<()> {
    let answer = Bytes::from(std::fs::read(body)?);
    let raw = Arc::new(RawStrand::open(folder)?);
    let route = warp::post().and(warp::path!("cashier" / "deposit")).and(warp::body::bytes()).then(move |_order| {
        let (raw, answer) = (Arc::clone(&raw), answer.clone());
        async move {
            let id = raw.commit(rows::opened).await;
            raw.commit(move |_| rows::ended(id)).await;
            json(answer)
        }
    });
    serve(route)
}

fn json(body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    response
}

/// Serves on the same runtime as the cashier, on a port that the system chooses.
fn serve(
    route: impl Filter<Extract = (impl Reply,), Error = warp::Rejection> + Clone + Send + Sync + 'static,
) -> BenchResult<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        print(&listener.local_addr()?.to_string());
        warp::serve(route).incoming(listener).run().await;
        Ok(())
    })
}

/// A strand without the rest of the cashier: commits in order, and the tasks that wait for them.
struct RawStrand {
    strand: Strand,
    last: Mutex<u64>,
    waiting: Arc<CommitWaiters>,
}

#[derive(Default)]
struct CommitWaiters(Mutex<BTreeMap<u64, oneshot::Sender<()>>>);

impl RawStrand {
    fn open(folder: &Path) -> BenchResult<Self> {
        let waiting = Arc::new(CommitWaiters::default());
        let strand = strand::open(
            StrandSettings {
                path: folder.join("cashier.db"),
                keys: SealKeys::parse(SEAL_RING)?,
                entropy: Arc::new(SystemEntropy),
                batch: BatchLimits::default(),
            },
            Arc::clone(&waiting) as _,
        )?;
        Ok(Self { strand, last: Mutex::new(0), waiting })
    }

    /// Writes the rows made for the next number and waits until they are durable.
    async fn commit(&self, rows: impl FnOnce(u64) -> (Vec<Change>, Vec<Body>)) -> u64 {
        let (seq, durable) = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            *last += 1;
            let (sender, durable) = oneshot::channel();
            self.waiting.0.lock().unwrap_or_else(PoisonError::into_inner).insert(*last, sender);
            let (changes, bodies) = rows(*last);
            self.strand.submit(Arc::new(commit(*last, changes, bodies)));
            (*last, durable)
        };
        // A failed strand releases no waiter; the load then fails by its own deadline.
        let _ = durable.await;
        seq
    }
}

/// A commit as the ledger stamps it.
pub(crate) fn commit(seq: u64, changes: Vec<Change>, bodies: Vec<Body>) -> Commit {
    Commit {
        seq: Seq(seq),
        at: rows::NOW,
        actor: Actor::Customer(CustomerId(5)),
        request_id: "0198c0f3-5f0e-7d4b-9b0f-1f2e3d4c5b6a".into(),
        changes,
        bodies,
        counters: rows::counters(seq),
        lookups: Lookups::default(),
    }
}

impl DurabilityListener for CommitWaiters {
    fn synced(&self, up_to: Seq) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let later = waiting.split_off(&(up_to.0 + 1));
        let due = std::mem::replace(&mut *waiting, later);
        drop(waiting);
        for sender in due.into_values() {
            // The receiver is gone when the connection of its request was closed.
            let _ = sender.send(());
        }
    }

    fn failed(&self, fault: &Fault) {
        crate::report(&format!("the raw strand failed: {fault}"));
    }
}
