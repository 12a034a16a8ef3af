//! The platform at a socket: listens, closes, and listens again at the same port, as a server that was restarted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::connection::serve;
use crate::platform::FakePlatform;

/// Another test's connection may hold the port for a moment.
const BIND_PAUSE: Duration = Duration::from_millis(20);
const BIND_TRIES: usize = 500;

/// A platform that listens on 127.0.0.1; it ends when this is dropped.
pub struct PlatformListener {
    fake: Arc<FakePlatform>,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
}

impl PlatformListener {
    /// Listens at a port of its own.
    pub async fn start(fake: Arc<FakePlatform>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let accepting = Some(accept(Arc::clone(&fake), listener));
        Self { fake, address, accepting }
    }

    pub fn fake(&self) -> &Arc<FakePlatform> {
        &self.fake
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Nobody listens and every connection is cut, until `open`.
    pub async fn close(&mut self) {
        let Some(accepting) = self.accepting.take() else { return };
        accepting.abort();
        // It was aborted.
        drop(accepting.await);
        self.fake.restart(true);
    }

    /// Listens again at the same port.
    pub async fn open(&mut self) {
        if self.accepting.is_some() {
            return;
        }
        for _ in 0..BIND_TRIES {
            if let Ok(listener) = TcpListener::bind(self.address).await {
                self.accepting = Some(accept(Arc::clone(&self.fake), listener));
                return;
            }
            tokio::time::sleep(BIND_PAUSE).await;
        }
        panic!("{} stays in use", self.address);
    }

    /// Closes and listens again, with its orders and balances or without.
    pub async fn restart(&mut self, keeps_orders: bool) {
        self.close().await;
        self.fake.restart(keeps_orders);
        self.open().await;
    }
}

impl Drop for PlatformListener {
    fn drop(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            self.fake.restart(true);
        }
    }
}

fn accept(fake: Arc<FakePlatform>, listener: TcpListener) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A message is written whole.
            let _ = stream.set_nodelay(true);
            tokio::spawn(serve(Arc::clone(&fake), stream));
        }
    })
}
