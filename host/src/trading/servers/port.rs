//! The port as the flows use it, over all servers of the settings.

use std::sync::Arc;

use cashier_core::account::AccountFacts;
use cashier_core::conversion::StatedRate;
use cashier_core::ids::{CustomerId, Login, ServerName};
use cashier_core::money::Currency;
use cashier_core::operation::PostingOutcome;
use cashier_core::reason::ReasonCode;
use cashier_core::roster::{ImportReport, RosterPlan};
use futures_util::future::BoxFuture;

use super::TradingServers;
use super::link::ServerLink;
use crate::ports::{
    Durable, Fault, PostStep, Posting, RosterRefusal, ServerDifferences, TradingServer, TradingStatus, Voiding,
};

/// What the flows hold: clones of it are the same servers.
#[derive(Clone)]
pub struct TradingPorts(pub Arc<TradingServers>);

impl TradingServer for TradingPorts {
    fn account(&self, login: Login) -> BoxFuture<'static, Result<Option<AccountFacts>, Fault>> {
        Box::pin(Arc::clone(&self.0).find_account(login))
    }

    fn account_of(&self, posting: &Posting) -> BoxFuture<'static, Result<Option<AccountFacts>, Fault>> {
        let (servers, name, login) = (Arc::clone(&self.0), posting.server.clone(), posting.operation.login);
        Box::pin(async move {
            let link = servers.link(&name)?;
            let facts = link.account(login).await?;
            Ok(facts.map(|facts| AccountFacts { server: name, age_seconds: 0, ..facts }))
        })
    }

    fn post(&self, posting: Durable<Posting>) -> BoxFuture<'static, PostStep> {
        let servers = Arc::clone(&self.0);
        Box::pin(async move {
            match servers.link(&posting.get().server) {
                Ok(link) => link.post(posting).await,
                Err(fault) => {
                    tracing::error!(%fault, key = %posting.get().key(), "posting waits");
                    PostStep::NotSent
                }
            }
        })
    }

    fn find(&self, posting: &Posting) -> BoxFuture<'static, Result<Option<PostingOutcome>, Fault>> {
        let (servers, posting) = (Arc::clone(&self.0), posting.clone());
        Box::pin(async move { servers.link(&posting.server)?.find(&posting).await })
    }

    fn void(&self, posting: Durable<Posting>, reason: ReasonCode) -> BoxFuture<'static, Result<Voiding, Fault>> {
        let servers = Arc::clone(&self.0);
        Box::pin(async move {
            let name = posting.get().server.clone();
            servers.link(&name)?.void(posting, reason).await
        })
    }

    fn keyed_by_operation(&self, server: &ServerName) -> bool {
        self.0.link(server).is_ok_and(|link| link.keyed_by_operation())
    }

    fn proves_postings(&self, server: &ServerName) -> bool {
        self.0.link(server).is_ok_and(|link| link.proves_postings())
    }

    fn account_kinds(&self) -> Result<Vec<AccountFacts>, Fault> {
        let kinds = self.0.links.iter().map(|link| link.account_kinds()).collect::<Result<Vec<_>, _>>()?;
        Ok(kinds.into_iter().flatten().collect())
    }

    fn customer_brand(&self, customer: CustomerId) -> Result<Option<Box<str>>, Fault> {
        self.0.brand_of(customer)
    }

    fn judge_roster(&self, text: Arc<str>) -> BoxFuture<'static, Result<RosterPlan, RosterRefusal>> {
        match self.0.embedded() {
            Some(embedded) => embedded.judge_roster(text),
            None => Box::pin(std::future::ready(Err(RosterRefusal::Unsupported))),
        }
    }

    fn import_roster(
        &self,
        text: Arc<str>,
        judged: RosterPlan,
    ) -> BoxFuture<'static, Result<ImportReport, RosterRefusal>> {
        match self.0.embedded() {
            Some(embedded) => embedded.import_roster(text, judged),
            None => Box::pin(std::future::ready(Err(RosterRefusal::Unsupported))),
        }
    }

    fn reaches(&self, server: &ServerName) -> Result<(), Fault> {
        self.0.link(server)?.reaches()
    }

    fn states_ready(&self, server: &ServerName) -> Result<(), Fault> {
        self.0.link(server)?.states_ready()
    }

    fn rate(
        &self,
        server: &ServerName,
        from: Currency,
        to: Currency,
    ) -> BoxFuture<'static, Result<Option<StatedRate>, Fault>> {
        let (servers, name) = (Arc::clone(&self.0), server.clone());
        Box::pin(async move { servers.link(&name)?.rate(from, to).await })
    }

    fn may_convert(&self, server: &ServerName, from: Currency, to: Currency) -> bool {
        self.0.link(server).is_ok_and(|link| link.may_convert(from, to))
    }

    /// What stands in the way of the embedded server stands in the way of everything, as its disk is the cashier's own.
    fn readiness(&self) -> Result<(), Fault> {
        self.0.embedded().map_or(Ok(()), |embedded| embedded.readiness())
    }

    fn status(&self) -> Vec<TradingStatus> {
        self.0.links.iter().map(|link| link.status()).collect()
    }

    fn differences(&self) -> Vec<(ServerName, Arc<ServerDifferences>)> {
        let of = |link: &ServerLink| Some((link.name.clone(), link.differences()?));
        self.0.links.iter().filter_map(of).collect()
    }
}
