//! A trading server that is down, slow, refusing or losing its answers when a test sets that mode, and otherwise the
//! embedded one. It records every posting it received.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cashier_core::account::AccountFacts;
use cashier_core::ids::{Login, ServerName};
use cashier_core::operation::PostingOutcome;
use cashier_core::reason::ReasonCode;
use cashier_host::ports::{Durable, Fault, PostStep, Posting, TradingServer, Voiding};
use cashier_host::trading::embedded::Embedded;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

/// How the trading server behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TradingMode {
    Working,
    /// Every call fails, and postings are not made.
    Down,
    /// Account queries wait until the mode changes.
    Unresponsive,
    /// Postings wait until the mode changes, or for this long; then they are made.
    Slow(Duration),
    /// Postings are refused with this reason.
    Refusing(&'static str),
    /// Postings are made and their answers lost.
    LosingAnswers,
}

/// The faulty server; clones of its `Arc` are one server.
pub struct FaultyTradingServer {
    inner: Arc<Embedded>,
    mode: watch::Sender<TradingMode>,
    postings: Mutex<Vec<Posting>>,
    /// Account queries that met [`TradingMode::Unresponsive`].
    waiting: watch::Sender<usize>,
}

impl FaultyTradingServer {
    /// Opens the embedded server behind it, in a folder of its own.
    pub fn open(folder: &Path) -> Arc<Self> {
        std::fs::create_dir_all(folder).expect("a folder");
        let inner = Arc::new(Embedded::open(folder).expect("the embedded trading server opens"));
        Arc::new(Self {
            inner,
            mode: watch::Sender::new(TradingMode::Working),
            postings: Mutex::default(),
            waiting: watch::Sender::new(0),
        })
    }

    pub fn embedded(&self) -> &Embedded {
        &self.inner
    }

    pub fn set_mode(&self, mode: TradingMode) {
        self.mode.send_replace(mode);
    }

    /// How many account queries have met [`TradingMode::Unresponsive`].
    pub fn waiting(&self) -> usize {
        *self.waiting.borrow()
    }

    /// Every posting received, repetitions included.
    pub fn postings(&self) -> Vec<Posting> {
        self.postings.lock().unwrap().clone()
    }
}

impl TradingServer for FaultyTradingServer {
    fn account(&self, login: Login) -> BoxFuture<'static, Result<Option<AccountFacts>, Fault>> {
        match &*self.mode.borrow() {
            TradingMode::Down => Box::pin(std::future::ready(Err(Fault::new("the trading server is down")))),
            TradingMode::Unresponsive => {
                self.waiting.send_modify(|waiting| *waiting += 1);
                let (inner, mut mode) = (Arc::clone(&self.inner), self.mode.subscribe());
                Box::pin(async move {
                    // When the server is dropped the mode no longer changes; the answer is sent all the same.
                    let _ = mode.wait_for(|mode| *mode != TradingMode::Unresponsive).await;
                    inner.account(login).await
                })
            }
            TradingMode::Working | TradingMode::Slow(_) | TradingMode::Refusing(_) | TradingMode::LosingAnswers => {
                self.inner.account(login)
            }
        }
    }

    fn post(&self, posting: Durable<Posting>) -> BoxFuture<'static, PostStep> {
        self.postings.lock().unwrap().push(posting.get().clone());
        let inner = Arc::clone(&self.inner);
        let mut mode = self.mode.subscribe();
        Box::pin(async move {
            let present = mode.borrow_and_update().clone();
            match present {
                TradingMode::Working | TradingMode::Unresponsive => inner.post(posting).await,
                TradingMode::Down => PostingOutcome::Unknown.into(),
                TradingMode::Slow(length) => {
                    // A changed mode ends the wait early.
                    let _ = tokio::time::timeout(length, mode.changed()).await;
                    inner.post(posting).await
                }
                TradingMode::Refusing(reason) => PostingOutcome::Refused { reason: reason.into() }.into(),
                TradingMode::LosingAnswers => {
                    inner.post(posting).await;
                    PostingOutcome::Unknown.into()
                }
            }
        })
    }

    fn find(&self, posting: &Posting) -> BoxFuture<'static, Result<Option<PostingOutcome>, Fault>> {
        match &*self.mode.borrow() {
            TradingMode::Down => Box::pin(std::future::ready(Err(Fault::new("the trading server is down")))),
            TradingMode::Working
            | TradingMode::Unresponsive
            | TradingMode::Slow(_)
            | TradingMode::Refusing(_)
            | TradingMode::LosingAnswers => self.inner.find(posting),
        }
    }

    fn void(&self, posting: Durable<Posting>, reason: ReasonCode) -> BoxFuture<'static, Result<Voiding, Fault>> {
        match &*self.mode.borrow() {
            TradingMode::Down => Box::pin(std::future::ready(Err(Fault::new("the trading server is down")))),
            TradingMode::Working
            | TradingMode::Unresponsive
            | TradingMode::Slow(_)
            | TradingMode::Refusing(_)
            | TradingMode::LosingAnswers => self.inner.void(posting, reason),
        }
    }

    fn keyed_by_operation(&self, _: &ServerName) -> bool {
        true
    }

    fn proves_postings(&self, server: &ServerName) -> bool {
        self.inner.proves_postings(server)
    }

    fn readiness(&self) -> Result<(), Fault> {
        self.inner.readiness()
    }
}
