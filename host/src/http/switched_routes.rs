//! What a listener answers: one set of routes until the cashier is whole, another from then on, on the same connections.

use std::sync::OnceLock;

use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, Reply};

type Routes = BoxedFilter<(Response,)>;

/// The routes of a listener. They are switched once.
pub struct SwitchedRoutes {
    first: Routes,
    second: OnceLock<Routes>,
}

impl SwitchedRoutes {
    /// Requests that come from now on are answered by these routes. A second call changes nothing.
    pub fn switch<R: Reply + 'static>(&self, routes: BoxedFilter<(R,)>) {
        let _ = self.second.set(routes.map(R::into_response).boxed());
    }

    pub(super) fn current(&self) -> Routes {
        self.second.get().unwrap_or(&self.first).clone()
    }
}

impl<R: Reply + 'static> From<BoxedFilter<(R,)>> for SwitchedRoutes {
    fn from(first: BoxedFilter<(R,)>) -> Self {
        Self { first: first.map(R::into_response).boxed(), second: OnceLock::new() }
    }
}
