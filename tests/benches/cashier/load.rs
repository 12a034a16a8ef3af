//! The load: one thread, many persistent connections. Closed loop measures throughput, open loop latency at a given rate.
//! Every answer is checked; one unexpected answer fails the measurement, so that refusals never count as throughput.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::LocalSet;

use crate::BenchResult;
use crate::http::{Connection, RawReply};

/// Answers before this are not counted: connections open, caches fill.
const WARM_UP: Duration = Duration::from_millis(300);

/// Which requests are sent, and which answers are expected.
pub(crate) trait Workload: 'static {
    /// The next request; `None` when there is none left.
    fn next(&self) -> Option<Vec<u8>>;
    /// Whether the answer is the expected one.
    fn is_expected(&self, reply: &RawReply<'_>) -> bool;
}

/// Answers per second with this many connections, each sending again as soon as it was answered.
pub(crate) fn throughput(
    address: SocketAddr,
    connections: usize,
    length: Duration,
    work: Rc<impl Workload>,
) -> BenchResult<f64> {
    let begun = Instant::now() + WARM_UP;
    let until = begun + length;
    let counted = Rc::new(Cell::new(0_u64));
    let count = Rc::clone(&counted);
    each(address, connections, work, move |_| {
        let now = Instant::now();
        if now >= begun && now < until {
            count.set(count.get() + 1);
        }
        now < until
    })?;
    Ok(counted.get() as f64 / length.as_secs_f64())
}

/// Answers per second until no request is left.
pub(crate) fn exhaust(address: SocketAddr, connections: usize, work: Rc<impl Workload>) -> BenchResult<f64> {
    Ok(timed(address, connections, work)?.rate)
}

/// What a closed loop saw until no request was left.
pub(crate) struct Timed {
    /// Answers per second.
    pub rate: f64,
    /// From each request to its answer, in microseconds.
    pub seen: Vec<f64>,
}

/// The same with the time of each answer.
pub(crate) fn timed(address: SocketAddr, connections: usize, work: Rc<impl Workload>) -> BenchResult<Timed> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let noted = Rc::clone(&seen);
    let begun = Instant::now();
    each(address, connections, work, move |took| {
        noted.borrow_mut().push(took.as_micros() as f64);
        true
    })?;
    let seen = seen.take();
    Ok(Timed { rate: seen.len() as f64 / begun.elapsed().as_secs_f64(), seen })
}

/// Sends on every connection until `answered`, which gets the time of an answer, returns false or no request is left.
fn each(
    address: SocketAddr,
    connections: usize,
    work: Rc<impl Workload>,
    answered: impl Fn(Duration) -> bool + 'static,
) -> BenchResult<()> {
    let answered = Rc::new(answered);
    on_one_thread(async move {
        let mut senders = Vec::with_capacity(connections);
        for _ in 0..connections {
            let (work, answered) = (Rc::clone(&work), Rc::clone(&answered));
            let mut connection = Connection::open(address).await?;
            senders.push(tokio::task::spawn_local(async move {
                while let Some(request) = work.next() {
                    let sent = Instant::now();
                    let reply = connection.send(&request).await?;
                    let took = sent.elapsed();
                    if !work.is_expected(&reply) {
                        return Err(format!("unexpected answer: {}", reply.text()).into());
                    }
                    if !answered(took) {
                        break;
                    }
                }
                BenchResult::Ok(())
            }));
        }
        for one in senders {
            one.await??;
        }
        Ok(())
    })
}

/// Latencies of an open loop, in microseconds.
pub(crate) struct Latencies {
    /// The cashier's own share, from `x-own-latency-us`.
    pub own: Vec<f64>,
    /// From the time the request was due until its answer was read.
    pub seen: Vec<f64>,
}

/// Sends at a steady rate whether or not earlier answers came, as customers do.
pub(crate) fn open_loop(
    address: SocketAddr,
    per_second: u32,
    connections: usize,
    length: Duration,
    work: Rc<impl Workload>,
) -> BenchResult<Latencies> {
    on_one_thread(async move {
        // Used in turn: a connection that idles is closed in time.
        let idle = Rc::new(RefCell::new(VecDeque::with_capacity(connections)));
        for _ in 0..connections {
            let connection = Connection::open(address).await?;
            idle.borrow_mut().push_back(connection);
        }
        let seen = Rc::new(RefCell::new(Latencies { own: Vec::new(), seen: Vec::new() }));
        let begun = Instant::now();
        let mut under_way = Vec::new();
        for place in 0_u32.. {
            let offset = Duration::from_secs(1) * place / per_second;
            if offset >= WARM_UP + length {
                break;
            }
            tokio::time::sleep_until((begun + offset).into()).await;
            let Some(request) = work.next() else { break };
            let mut connection = match idle.borrow_mut().pop_front() {
                Some(connection) => connection,
                None => return Err("every connection is busy: the rate is not sustained".into()),
            };
            let (work, seen, idle) = (Rc::clone(&work), Rc::clone(&seen), Rc::clone(&idle));
            under_way.push(tokio::task::spawn_local(async move {
                let reply = connection.send(&request).await?;
                if !work.is_expected(&reply) {
                    return Err(format!("unexpected answer: {}", reply.text()).into());
                }
                let own: f64 = reply.header("x-own-latency-us").ok_or("no x-own-latency-us")?.parse()?;
                if offset >= WARM_UP {
                    let mut seen = seen.borrow_mut();
                    seen.own.push(own);
                    seen.seen.push(((begun.elapsed() - offset).as_micros()) as f64);
                }
                idle.borrow_mut().push_back(connection);
                BenchResult::Ok(())
            }));
        }
        for one in under_way {
            one.await??;
        }
        let latencies = seen.replace(Latencies { own: Vec::new(), seen: Vec::new() });
        Ok(latencies)
    })
}

fn on_one_thread<T>(load: impl Future<Output = BenchResult<T>>) -> BenchResult<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, load)
}
