//! Look-ups that nobody waits for any more, because another server had the account. They end all the same: how a server answers them
//! says whether it is down, and one that a circuit breaker let through closes it.

use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc::{self, Receiver, Sender};

/// Look-ups that are left and not begun to be ended; further ones are dropped. Each ends within the waiting time of its server.
const LEFT_MAX: usize = 256;

type LeftLookUp = BoxFuture<'static, ()>;

/// What is left until it has ended.
pub(super) struct LeftLookUps {
    sender: Sender<LeftLookUp>,
    /// Taken by the task that ends them.
    receiver: Mutex<Option<Receiver<LeftLookUp>>>,
}

impl Default for LeftLookUps {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(LEFT_MAX);
        Self { sender, receiver: Mutex::new(Some(receiver)) }
    }
}

impl LeftLookUps {
    pub(super) fn push(&self, look_up: LeftLookUp) {
        // Where so many are left, enough is known of how their servers answer.
        drop(self.sender.try_send(look_up));
    }

    /// The task that ends them, once.
    pub(super) fn ending(&self) -> Option<BoxFuture<'static, ()>> {
        let mut receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(Box::pin(async move {
            let mut ending = FuturesUnordered::new();
            loop {
                tokio::select! {
                    left = receiver.recv(), if ending.len() < LEFT_MAX => match left {
                        Some(look_up) => ending.push(look_up),
                        None => return,
                    },
                    Some(()) = ending.next() => {}
                }
            }
        }))
    }
}
