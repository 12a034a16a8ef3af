//! Which trading server an account belongs to: by its group, else by its brand, else the first one (case 177). It asks nobody.

use cashier_core::account::AccountFacts;
use cashier_core::ids::ServerName;

/// What is routed to a server; nothing is routed to the first one, which has the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerRoute {
    /// Names of groups. A group is routed before a brand.
    pub groups: Vec<Box<str>>,
    pub brands: Vec<Box<str>>,
}

/// The routes of all servers.
#[derive(Debug)]
pub struct Routing(Vec<(ServerName, ServerRoute)>);

impl Routing {
    pub(super) fn new(routes: Vec<(ServerName, ServerRoute)>) -> Self {
        Self(routes)
    }

    /// The server of an account with these facts.
    pub(super) fn of(&self, facts: &AccountFacts) -> Option<&ServerName> {
        let named =
            |is_in: fn(&ServerRoute, &AccountFacts) -> bool| self.0.iter().find(|(_, route)| is_in(route, facts));
        let by_group = named(|route, facts| route.groups.contains(&facts.group.group));
        let by_brand = || named(|route, facts| route.brands.contains(&facts.group.brand));
        by_group.or_else(by_brand).or(self.0.first()).map(|(name, _)| name)
    }
}
