//! A trading server that is down, slow, refusing or forgetful when a test says so, and otherwise the embedded one. It
//! remembers every posting it was asked for.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cashier_core::account::AccountFacts;
use cashier_core::ids::{Login, OperationId};
use cashier_core::operation::PostingOutcome;
use cashier_host::ports::{Durable, Fault, Posting, TradingServer};
use cashier_host::trading::embedded::Embedded;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

/// How the trading server behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mood {
    Well,
    /// Nothing is answered, and postings are not made.
    Down,
    /// Questions about accounts wait until the mood changes.
    Deaf,
    /// Postings wait until the mood changes, or for this long; then they are made.
    Slow(Duration),
    /// Postings are refused with this reason.
    Refusing(&'static str),
    /// Postings are made and their answers lost.
    Forgetful,
}

/// The troubled server; clones of its `Arc` are one server.
pub struct Troubled {
    inner: Arc<Embedded>,
    mood: watch::Sender<Mood>,
    asked: Mutex<Vec<Posting>>,
    /// Questions that met [`Mood::Deaf`].
    waiting: watch::Sender<usize>,
}

impl Troubled {
    /// Opens the embedded server that it is when it is well, in a folder of its own.
    pub fn open(folder: &Path) -> Arc<Self> {
        std::fs::create_dir_all(folder).expect("a folder");
        let inner = Arc::new(Embedded::open(folder).expect("the embedded trading server opens"));
        Arc::new(Self {
            inner,
            mood: watch::Sender::new(Mood::Well),
            asked: Mutex::default(),
            waiting: watch::Sender::new(0),
        })
    }

    pub fn embedded(&self) -> &Embedded {
        &self.inner
    }

    pub fn mood(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// How many questions have met [`Mood::Deaf`].
    pub fn waiting(&self) -> usize {
        *self.waiting.borrow()
    }

    /// Every posting asked for, repetitions included.
    pub fn asked(&self) -> Vec<Posting> {
        self.asked.lock().unwrap().clone()
    }
}

impl TradingServer for Troubled {
    fn account(&self, login: Login) -> BoxFuture<'static, Result<Option<AccountFacts>, Fault>> {
        match &*self.mood.borrow() {
            Mood::Down => Box::pin(std::future::ready(Err(Fault::new("the trading server is down")))),
            Mood::Deaf => {
                self.waiting.send_modify(|waiting| *waiting += 1);
                let (inner, mut mood) = (Arc::clone(&self.inner), self.mood.subscribe());
                Box::pin(async move {
                    // A server that is gone has no mood any more; its answer comes all the same.
                    let _ = mood.wait_for(|mood| *mood != Mood::Deaf).await;
                    inner.account(login).await
                })
            }
            Mood::Well | Mood::Slow(_) | Mood::Refusing(_) | Mood::Forgetful => self.inner.account(login),
        }
    }

    fn post(&self, posting: Durable<Posting>) -> BoxFuture<'static, PostingOutcome> {
        self.asked.lock().unwrap().push(posting.get().clone());
        let inner = Arc::clone(&self.inner);
        let mut mood = self.mood.subscribe();
        Box::pin(async move {
            let present = mood.borrow_and_update().clone();
            match present {
                Mood::Well | Mood::Deaf => inner.post(posting).await,
                Mood::Down => PostingOutcome::Unknown,
                Mood::Slow(length) => {
                    // A changed mood ends the slowness as its end does.
                    let _ = tokio::time::timeout(length, mood.changed()).await;
                    inner.post(posting).await
                }
                Mood::Refusing(reason) => PostingOutcome::Refused { reason: reason.into() },
                Mood::Forgetful => {
                    inner.post(posting).await;
                    PostingOutcome::Unknown
                }
            }
        })
    }

    fn find(&self, id: OperationId) -> BoxFuture<'static, Result<Option<PostingOutcome>, Fault>> {
        match &*self.mood.borrow() {
            Mood::Down => Box::pin(std::future::ready(Err(Fault::new("the trading server is down")))),
            Mood::Well | Mood::Deaf | Mood::Slow(_) | Mood::Refusing(_) | Mood::Forgetful => self.inner.find(id),
        }
    }

    fn keyed_by_operation(&self) -> bool {
        true
    }
}
