//! The three listeners, from the first second of a start: bound before anything is opened, they answer that the cashier is
//! starting until they are switched to its routes. The watch listener has a thread of its own, so that liveness and readiness
//! are answered while every other thread waits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::open_files::OpenFiles;
use crate::http::answering::ListenerContext;
use crate::http::connection_limits::ConnectionLimits;
use crate::http::reply::Reply;
use crate::http::serve::{Listener, serve};
use crate::http::starting;
use crate::http::switched_routes::SwitchedRoutes;
use crate::http::tls::ServedTls;
use crate::ports::{Fault, StartProgress};
use crate::process;
use crate::settings::Settings;

/// Every which connection is kept for addresses that proved who they are: a flood from many addresses leaves that much to
/// providers, customers with a session and managers.
const RESERVED_PART: usize = 4;

/// Connections that the system queues until they are accepted. The default of 128 overflows when customers reconnect all at
/// once after an outage, and a dropped connection waits a second for its retry.
const LISTEN_QUEUE: u32 = 1024;

/// The addresses of the listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listeners {
    pub customer: SocketAddr,
    pub manager: SocketAddr,
    pub watch: SocketAddr,
}

/// What the customer, the manager and the watch listener answer.
pub(super) struct RoutesOfAll {
    pub(super) customer: BoxedFilter<(Response,)>,
    pub(super) manager: BoxedFilter<(Reply,)>,
    pub(super) watch: BoxedFilter<(Reply,)>,
}

/// What bounds the connections of all listeners.
pub(super) struct Limits {
    pub(super) files: OpenFiles,
    pub(super) per_address: usize,
    pub(super) idle: Duration,
}

impl Limits {
    /// From what the settings say and the system allows this process.
    pub(super) fn of(settings: &Settings) -> Self {
        let files = OpenFiles::divide(process::raise_open_files().unwrap_or(usize::MAX));
        let OpenFiles { limit, reserved, customer, manager, watch } = files;
        tracing::info!(
            open_files = limit,
            reserved,
            customer,
            manager,
            watch,
            "open files were divided among connections"
        );
        Self { files, per_address: settings.connections_per_address, idle: settings.idle }
    }

    fn share(&self, all: usize, reserved: usize) -> ConnectionLimits {
        ConnectionLimits { all, reserved, per_address: self.per_address, idle: self.idle }
    }
}

/// The bound sockets of the listeners.
pub(super) struct Sockets {
    customer: TcpListener,
    manager: TcpListener,
    watch: TcpListener,
    pub(super) addresses: Listeners,
}

impl Sockets {
    /// Binds them, so that a port in use fails before anything is opened.
    pub(super) fn bind(wanted: Listeners) -> Result<Self, Fault> {
        let (customer, customer_address) = listen("customer_listen", wanted.customer)?;
        let (manager, manager_address) = listen("manager_listen", wanted.manager)?;
        let (watch, watch_address) = listen("watch_listen", wanted.watch)?;
        let addresses = Listeners { customer: customer_address, manager: manager_address, watch: watch_address };
        Ok(Self { customer, manager, watch, addresses })
    }

    /// Serves them until the owner ends that.
    pub(super) fn serve(
        self,
        tls: Option<Arc<ServedTls>>,
        context: ListenerContext,
        limits: Limits,
        origins: &[Box<str>],
        progress: &Arc<StartProgress>,
    ) -> Result<Serving, Fault> {
        let (end, ended) = watch::channel(None);
        let clock = || Arc::clone(&context.clock);
        let OpenFiles { customer, manager, watch, .. } = limits.files;
        let customer = Listener {
            name: "customer",
            socket: self.customer,
            tls: tls.clone(),
            limits: limits.share(customer, customer / RESERVED_PART),
            routes: Arc::new(starting::customer_routes(clock(), origins).into()),
        };
        let manager = Listener {
            name: "manager",
            socket: self.manager,
            tls,
            limits: limits.share(manager, manager / RESERVED_PART),
            routes: Arc::new(starting::manager_routes(clock()).into()),
        };
        let watch = Listener {
            name: "watch",
            socket: self.watch,
            tls: None,
            limits: limits.share(watch, 0),
            routes: Arc::new(starting::watch_routes(Arc::clone(progress)).into()),
        };
        let routes = [&customer, &manager, &watch].map(|listener| Arc::clone(&listener.routes));
        let mut tasks = JoinSet::new();
        for listener in [customer, manager] {
            tasks.spawn(serve(listener, context.clone(), ended.clone()));
        }
        let watched = serve_alone(watch, context, ended)?;
        let Listeners { customer, manager, watch } = self.addresses;
        tracing::info!(%customer, %manager, %watch, "listeners opened");
        Ok(Serving { addresses: self.addresses, routes, end, tasks, watched, beside: JoinSet::new() })
    }
}

/// The listeners while they serve. Dropping it ends them at once.
pub(super) struct Serving {
    pub(super) addresses: Listeners,
    /// Of the customer, the manager and the watch listener.
    routes: [Arc<SwitchedRoutes>; 3],
    end: watch::Sender<Option<Duration>>,
    tasks: JoinSet<usize>,
    watched: oneshot::Receiver<usize>,
    /// What runs for as long as they serve.
    beside: JoinSet<()>,
}

impl Serving {
    /// Answers with the routes of a cashier that is whole; readiness last, since it speaks for the others.
    pub(super) fn switch(&self, whole: RoutesOfAll) {
        let [customer, manager, watch] = &self.routes;
        customer.switch(whole.customer);
        manager.switch(whole.manager);
        watch.switch(whole.watch);
    }

    /// Runs this for as long as the listeners serve.
    pub(super) fn beside(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.beside.spawn(task);
    }

    /// Closes the listeners; requests in progress may finish for as long as `drain`. Returns how many connections were cut.
    pub(super) async fn end(self, drain: Duration) -> usize {
        // The send fails when every listener has ended already.
        let _ = self.end.send(Some(drain));
        let cut: usize = self.tasks.join_all().await.into_iter().sum();
        cut + self.watched.await.unwrap_or_default()
    }
}

/// Serves a listener on a thread of its own.
fn serve_alone(
    listener: Listener,
    context: ListenerContext,
    ended: watch::Receiver<Option<Duration>>,
) -> Result<oneshot::Receiver<usize>, Fault> {
    let name = listener.name;
    let failed = |error: std::io::Error| Fault::new(format!("the thread of the {name} listener: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let (done, watched) = oneshot::channel();
    let socket = listener.socket.into_std().map_err(failed)?;
    let serving = move || {
        let served = runtime.block_on(async {
            let socket = TcpListener::from_std(socket)?;
            std::io::Result::Ok(serve(Listener { socket, ..listener }, context, ended).await)
        });
        // A page that still waits for a lock is left to itself.
        runtime.shutdown_background();
        match served {
            // The owner may be gone.
            Ok(cut) => drop(done.send(cut)),
            Err(fault) => tracing::error!(%fault, listener = name, "listener ended"),
        }
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(serving).map_err(failed)?;
    Ok(watched)
}

/// Listens with a queue long enough for a burst; the address is reusable as soon as the cashier has stopped.
fn listen(field: &str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), Fault> {
    let open = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let socket = socket.listen(LISTEN_QUEUE)?;
        let bound = socket.local_addr()?;
        Ok((socket, bound))
    };
    open().map_err(|error: std::io::Error| Fault::new(format!("{field} {address}: {error}")))
}
