//! The trading servers of the settings behind one port. An account belongs to the server that states it and that its group or brand
//! is routed to; everything of a transaction goes to the server that had its account when it was made. A server that does not answer
//! stops its own accounts alone.

mod account_cache;
mod contested_logins;
mod left_look_ups;
mod link;
pub mod port;
mod routing;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use cashier_core::account::AccountFacts;
use cashier_core::ids::{CustomerId, Login, ServerName};
use futures_util::future::{BoxFuture, Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::broadcast::error::RecvError;

use self::account_cache::AccountCache;
use self::contested_logins::ContestedLogins;
use self::left_look_ups::LeftLookUps;
pub use self::link::Server;
use self::link::ServerLink;
pub use self::routing::{Routing, ServerRoute};
use super::embedded::Embedded;
use super::remote::{AccountChange, RemoteServer};
use crate::ports::{Clock, Fault, TradingServer};

/// How often the groups of a server elsewhere are read again: they change by hand, and a config that serves no account is shown
/// for so long.
const GROUPS_EVERY: Duration = Duration::from_secs(60);

/// How long the other servers are waited for once one has the account: they answer in milliseconds, and one that is slow must not
/// slow down customers of another.
const OTHERS_WAIT: Duration = Duration::from_millis(300);

/// A trading server, its name and what is routed to it.
pub struct NamedServer {
    pub name: ServerName,
    pub server: Server,
    pub route: ServerRoute,
}

/// Several trading servers as one.
pub struct TradingServers {
    links: Arc<[ServerLink]>,
    routing: Arc<Routing>,
    cache: Arc<AccountCache>,
    contested: ContestedLogins,
    clock: Arc<dyn Clock>,
    left: LeftLookUps,
}

impl TradingServers {
    /// The first server has every account that is routed to no other one. `age_max`: how old facts of an account may be that a
    /// customer is served by; a posting reads them anew.
    pub fn new(servers: Vec<NamedServer>, age_max: Duration, clock: Arc<dyn Clock>) -> Arc<Self> {
        let routes = servers.iter().map(|server| server.route.clone()).collect();
        let link = |NamedServer { name, server, .. }| ServerLink::new(name, server, Arc::clone(&clock));
        Arc::new(Self {
            links: servers.into_iter().map(link).collect(),
            routing: Arc::new(Routing::new(routes)),
            cache: Arc::new(AccountCache::new(age_max)),
            contested: ContestedLogins::default(),
            clock,
            left: LeftLookUps::default(),
        })
    }

    /// What runs beside it until the cashier stops: groups are read again, and what changed at a server is forgotten.
    pub fn background(self: &Arc<Self>) -> Vec<BoxFuture<'static, ()>> {
        let mut tasks: Vec<BoxFuture<'static, ()>> = Vec::new();
        tasks.extend(self.left.ending());
        for place in 0..self.links.len() {
            let Some(Server::Remote { server, .. }) = self.links.get(place).map(|link| &link.server) else { continue };
            if let Some(mut changes) = server.changes() {
                let cache = Arc::clone(&self.cache);
                tasks.push(Box::pin(async move {
                    loop {
                        match changes.recv().await {
                            Ok(change) => cache.forget(&change),
                            Err(RecvError::Lagged(_)) => cache.forget(&AccountChange::Everything),
                            Err(RecvError::Closed) => return,
                        }
                    }
                }));
            }
            let (links, clock) = (Arc::clone(&self.links), Arc::clone(&self.clock));
            tasks.push(Box::pin(async move {
                while let Some(link) = links.get(place) {
                    link.read_groups().await;
                    clock.sleep(GROUPS_EVERY).await;
                }
            }));
        }
        tasks
    }

    /// The servers elsewhere, with their names.
    pub fn elsewhere(&self) -> Vec<(ServerName, Arc<dyn RemoteServer>)> {
        let remote = |link: &ServerLink| match &link.server {
            Server::Embedded(_) => None,
            Server::Remote { server, .. } => Some((link.name.clone(), Arc::clone(server))),
        };
        self.links.iter().filter_map(remote).collect()
    }

    /// Whether the books agree with what a server elsewhere posted: what differs, if anything. Or that could not be found out yet.
    /// Nothing is posted there before it was.
    pub fn note_comparison(&self, name: &ServerName, found: Result<Option<String>, &Fault>) {
        if let Ok(link) = self.link(name) {
            link.note_comparison(found);
        }
    }

    /// The embedded server, where it is one of them.
    pub fn embedded(&self) -> Option<&Arc<Embedded>> {
        self.links.iter().find_map(|link| match &link.server {
            Server::Embedded(server) => Some(server),
            Server::Remote { .. } => None,
        })
    }

    fn link(&self, name: &ServerName) -> Result<&ServerLink, Fault> {
        let not_named =
            || Fault::new(format!("the settings name no trading server {name}, which transactions were made at"));
        self.links.iter().find(|link| link.name == *name).ok_or_else(not_named)
    }

    /// Asks every server that may have the account. One that does not answer matters only where no other one has it: an account
    /// is routed to one server.
    async fn find_account(self: Arc<Self>, login: Login) -> Result<Option<AccountFacts>, Fault> {
        let asked = self.clock.monotonic();
        if let Some(known) = self.cache.get(login, asked)
            && self.link(&known.server).is_ok_and(|link| link.is_answering())
        {
            return Ok(Some(known));
        }
        let epoch = self.cache.epoch();
        let mut found: Vec<AccountFacts> = Vec::new();
        let (mut fault, mut deadline) = (None, None::<BoxFuture<'static, ()>>);
        let mut asking: FuturesUnordered<_> = self
            .routing
            .with_accounts()
            .map(|place| {
                let links = Arc::clone(&self.links);
                async move {
                    let link = links.get(place)?;
                    Some((place, link.name.clone(), link.account(login).await))
                }
            })
            .collect();
        loop {
            let next = match &mut deadline {
                None => asking.next().await,
                Some(deadline) => match select(asking.next(), deadline).await {
                    Either::Left((next, _)) => next,
                    Either::Right(((), _)) => break,
                },
            };
            match next {
                None => break,
                Some(Some((place, server, Ok(Some(facts))))) if self.routing.of(&facts) == Some(place) => {
                    found.push(AccountFacts { server, age_seconds: 0, ..facts });
                    deadline.get_or_insert_with(|| self.clock.sleep(OTHERS_WAIT));
                }
                Some(None | Some((_, _, Ok(_)))) => {}
                Some(Some((_, _, Err(error)))) => drop(fault.get_or_insert(error)),
            }
        }
        let all_answered = asking.is_empty() && fault.is_none();
        if !asking.is_empty() {
            self.left.push(Box::pin(async move { while asking.next().await.is_some() {} }));
        }
        let is_contested = match found.len() {
            0 | 1 if all_answered => self.contested.forget(login),
            0 | 1 => self.contested.contains(login),
            _ => self.contested.note(login),
        };
        match (found.pop(), fault) {
            (Some(facts), _) if is_contested => {
                let other = found.first().map_or(&facts.server, |other| &other.server);
                let names = if found.is_empty() {
                    "several trading servers".to_owned()
                } else {
                    format!("the trading servers {other} and {}", facts.server)
                };
                Err(Fault::new(format!("login {login} is an account of {names}, and more than one is routed to")))
            }
            (Some(facts), _) => {
                self.cache.put(&facts, asked, epoch);
                Ok(Some(facts))
            }
            (None, Some(fault)) => Err(fault),
            (None, None) => Ok(None),
        }
    }

    fn brand_of(&self, customer: CustomerId) -> Result<Option<Box<str>>, Fault> {
        match &*self.links {
            [only] => match &only.server {
                Server::Embedded(server) => server.customer_brand(customer),
                Server::Remote { .. } => {
                    Err(Fault::new(format!("trading server {} is asked for no customer here", only.name)))
                }
            },
            _ => Err(Fault::new("with several trading servers no customer is looked up by id alone")),
        }
    }
}
