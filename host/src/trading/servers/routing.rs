//! Which trading server an account belongs to: by its group, else by its brand, else the first one (case 177). It asks nobody.

use cashier_core::account::AccountFacts;

/// What is routed to a server; nothing is routed to the first one, which has the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerRoute {
    /// Names of groups. A group is routed before a brand.
    pub groups: Vec<Box<str>>,
    pub brands: Vec<Box<str>>,
}

/// The routes of all servers.
#[derive(Debug)]
pub struct Routing(Vec<ServerRoute>);

impl Routing {
    pub(super) fn new(routes: Vec<ServerRoute>) -> Self {
        Self(routes)
    }

    /// The places of the servers that may have accounts. One that nothing is routed to has its earlier transactions alone.
    pub(super) fn with_accounts(&self) -> impl Iterator<Item = usize> {
        let is_routed = |route: &ServerRoute| !route.groups.is_empty() || !route.brands.is_empty();
        self.0.iter().enumerate().filter(move |(place, route)| *place == 0 || is_routed(route)).map(|(place, _)| place)
    }

    /// The place of the server of an account with these facts.
    pub(super) fn of(&self, facts: &AccountFacts) -> Option<usize> {
        let named =
            |is_in: fn(&ServerRoute, &AccountFacts) -> bool| self.0.iter().position(|route| is_in(route, facts));
        let by_group = named(|route, facts| route.groups.contains(&facts.group.group));
        let by_brand = || named(|route, facts| route.brands.contains(&facts.group.brand));
        by_group.or_else(by_brand).or((!self.0.is_empty()).then_some(0))
    }
}
