//! The trading servers of the settings behind one port. An account belongs to the server that states it and that its group or brand
//! is routed to; everything of a transaction goes to the server that had its account when it was made. A server that does not answer
//! stops its own accounts alone.

mod account_cache;
mod answering;
mod contested_logins;
mod customer_brands;
mod left_look_ups;
mod link;
mod link_status;
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
use self::customer_brands::CustomerBrands;
use self::left_look_ups::LeftLookUps;
pub use self::link::Server;
use self::link::ServerLink;
pub use self::routing::{Routing, ServerRoute};
use super::embedded::Embedded;
use super::remote::{AccountChange, RemoteServer};
use crate::ports::{Clock, Fault, ServerDifferences, TradingServer};

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
    contested: Arc<ContestedLogins>,
    brands: CustomerBrands,
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
            contested: Arc::default(),
            brands: CustomerBrands::new(age_max),
            clock,
            left: LeftLookUps::default(),
        })
    }

    /// What runs beside it until the cashier stops: groups are read again, and what changed at a server is forgotten.
    pub fn background(self: &Arc<Self>) -> Vec<BoxFuture<'static, ()>> {
        let mut tasks: Vec<BoxFuture<'static, ()>> = Vec::new();
        tasks.extend(self.left.ending());
        let servers = Arc::clone(self);
        tasks.push(Box::pin(async move {
            loop {
                for customer in servers.brands.wanted().await {
                    let asked = servers.clock.monotonic();
                    match servers.ask_brand(customer).await {
                        Ok(brand) => servers.brands.put(customer, brand, asked),
                        Err(fault) => tracing::warn!(%customer, %fault, "brand of a customer was not found out"),
                    }
                }
            }
        }));
        for place in 0..self.links.len() {
            let Some(Server::Remote { server, .. }) = self.links.get(place).map(|link| &link.server) else { continue };
            if let Some(mut changes) = server.changes() {
                let (cache, links) = (Arc::clone(&self.cache), Arc::clone(&self.links));
                tasks.push(Box::pin(async move {
                    loop {
                        let change = match changes.recv().await {
                            Ok(change) => change,
                            Err(RecvError::Lagged(_)) => AccountChange::Everything,
                            Err(RecvError::Closed) => return,
                        };
                        // So begins a connection, too.
                        if change == AccountChange::Everything {
                            links.get(place).into_iter().for_each(ServerLink::note_return);
                        }
                        cache.forget(&change);
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
    pub fn note_comparison(&self, name: &ServerName, found: Result<Option<Arc<ServerDifferences>>, &Fault>) {
        if let Ok(link) = self.link(name) {
            link.note_comparison(found);
        }
    }

    /// Resolves once a server elsewhere answers after it did not, or has a new connection: it may have been restored.
    pub async fn returned(&self, name: &ServerName) {
        match self.link(name) {
            Ok(link) => link.returned().await,
            Err(_) => std::future::pending().await,
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
            let (routing, cache, contested) =
                (Arc::clone(&self.routing), Arc::clone(&self.cache), Arc::clone(&self.contested));
            let (mut having, mut all_answered) = (found.len(), fault.is_none());
            // Another one that has it says so too late for this answer, and in time for the next.
            self.left.push(Box::pin(async move {
                while let Some(next) = asking.next().await {
                    match next {
                        Some((place, _, Ok(Some(facts)))) if routing.of(&facts) == Some(place) => having += 1,
                        None | Some((_, _, Ok(_))) => {}
                        Some((_, _, Err(_))) => all_answered = false,
                    }
                }
                if having > 1 {
                    contested.note(login);
                    cache.forget(&AccountChange::Login(login));
                } else if all_answered {
                    contested.forget(login);
                }
            }));
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

    /// Said at once by the embedded server alone; else as it was stated when somebody wanted to know before.
    fn brand_of(&self, customer: CustomerId) -> Result<Option<Box<str>>, Fault> {
        if let [ServerLink { server: Server::Embedded(server), .. }] = &*self.links {
            return server.customer_brand(customer);
        }
        let not_asked = || Fault::new(format!("the trading servers were not asked for customer {customer} yet"));
        self.brands.get(customer, self.clock.monotonic()).ok_or_else(not_asked)
    }

    /// Asks every server: a customer has one brand, whichever server knows it.
    async fn ask_brand(&self, customer: CustomerId) -> Result<Option<Box<str>>, Fault> {
        let mut brand = None;
        for link in self.links.iter() {
            let stated = link.customer_brand(customer).await?;
            if stated.is_some() && brand.is_some() && stated != brand {
                return Err(Fault::new(format!("two trading servers state another brand of customer {customer}")));
            }
            brand = stated.or(brand);
        }
        Ok(brand)
    }
}
