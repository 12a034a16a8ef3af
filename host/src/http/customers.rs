//! The customer listener: every path under `/cashier` with the one method it takes. What each does is in its own file.

use std::sync::Arc;

use cashier_core::refusal::Refusal;
use cashier_core::session::CustomerSession;
use futures_util::future::BoxFuture;
use http::Method;
use warp::Filter;
use warp::filters::BoxedFilter;

use crate::flows::Cashier;
use crate::http::reply::Answer;
use crate::http::request::{Request, request};
use crate::http::session::SessionKeys;
use crate::http::{deposit, methods, transactions, webhook, withdrawal};

/// Bytes of a JSON body: 16 KiB of metadata with every letter escaped take 96 KiB, the other fields less than 8 KiB.
pub(super) const JSON_LENGTH_MAX: usize = 128 * 1024;

/// What the endpoints of this listener need.
pub(super) struct Customers {
    pub(super) cashier: Arc<Cashier>,
    pub(super) keys: Arc<SessionKeys>,
}

impl Customers {
    /// Who asks; the refusal is the published 403.
    pub(super) fn session(&self, asked: &Request) -> Result<CustomerSession, Refusal> {
        self.keys.customer(asked.authorization(), self.cashier.clock.now())
    }
}

/// The routes of the customer listener.
pub(super) fn routes(customers: Arc<Customers>) -> BoxedFilter<(Answer,)> {
    warp::path("cashier")
        .and(request())
        .then(move |asked| {
            let customers = Arc::clone(&customers);
            async move { answer(&customers, asked).await }
        })
        .or(warp::any().map(Answer::not_found))
        .unify()
        .boxed()
}

async fn answer(customers: &Customers, asked: Request) -> Answer {
    let method = asked.method.clone();
    let path = asked.path.clone();
    // The path begins with a slash, so the first segment is empty.
    let segments: Vec<&str> = path.split('/').skip(2).collect();
    let (takes, answering): (Method, BoxFuture<'_, Result<Answer, Refusal>>) = match segments.as_slice() {
        ["methods"] => (Method::GET, Box::pin(methods::answer(customers, asked))),
        ["deposit"] => (Method::POST, Box::pin(deposit::answer(customers, asked))),
        ["withdrawal"] => (Method::POST, Box::pin(withdrawal::answer(customers, asked))),
        ["transactions"] => (Method::GET, Box::pin(transactions::answer(customers, asked))),
        ["webhook", provider] => (Method::POST, Box::pin(webhook::answer(customers, asked, provider, None))),
        ["webhook", provider, config] => {
            (Method::POST, Box::pin(webhook::answer(customers, asked, provider, Some(config))))
        }
        _ => return Answer::not_found(),
    };
    if method == takes { answering.await.into() } else { Answer::method_not_allowed(&takes) }
}

#[cfg(test)]
mod tests;
