//! A route as a value: listener, method and path, so that tests and pages can list what the listeners serve. It knows no
//! endpoint.

use http::Method;

/// A path with the method it takes. Methods that it does not answer are 405.
#[derive(Debug, Clone)]
pub struct Route {
    /// `customer`, `manager` or `watch`.
    pub listener: &'static str,
    pub method: Method,
    /// A segment in braces is a parameter.
    pub path: &'static str,
}

impl Route {
    /// Whether the route answers this method. Where it takes GET it takes HEAD: the same head, without the body.
    pub(super) fn takes(&self, method: &Method) -> bool {
        self.method == method || (self.method == Method::GET && method == Method::HEAD)
    }

    /// The methods that the route answers, as `Allow` lists them.
    pub(super) fn allowed(&self) -> &'static str {
        if self.method == Method::GET { "GET, HEAD" } else { "POST" }
    }

    /// The values of the path parameters, if `path` matches this route.
    pub(super) fn parameters<'p>(&self, path: &'p str) -> Option<Vec<&'p str>> {
        let (mut parameters, mut segments) = (Vec::new(), path.split('/'));
        for expected in self.path.split('/') {
            let segment = segments.next()?;
            if expected.starts_with('{') {
                parameters.push(segment);
            } else if expected != segment {
                return None;
            }
        }
        segments.next().is_none().then_some(parameters)
    }
}
