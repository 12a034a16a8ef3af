//! What a listener answers: one set of routes until the cashier is whole, another from then on, on the same connections.

use std::sync::OnceLock;

use warp::filters::BoxedFilter;

use crate::http::reply::Reply;

type Routes = BoxedFilter<(Reply,)>;

/// The routes of a listener. They are switched once.
pub struct SwitchedRoutes {
    first: Routes,
    second: OnceLock<Routes>,
}

impl SwitchedRoutes {
    /// Requests that come from now on are answered by these routes. A second call changes nothing.
    pub fn switch(&self, routes: Routes) {
        let _ = self.second.set(routes);
    }

    pub(super) fn current(&self) -> Routes {
        self.second.get().unwrap_or(&self.first).clone()
    }
}

impl From<Routes> for SwitchedRoutes {
    fn from(first: Routes) -> Self {
        Self { first, second: OnceLock::new() }
    }
}
