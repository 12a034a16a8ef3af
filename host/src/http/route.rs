//! A route as a value: listener, method and path, so that tests and pages can list what the listeners serve. It knows no
//! endpoint.

use http::Method;

/// A path with the one method it takes. Other methods on it are answered 405.
#[derive(Debug, Clone)]
pub struct Route {
    /// `customer`, `manager` or `watch`.
    pub listener: &'static str,
    pub method: Method,
    /// A segment in braces is a parameter.
    pub path: &'static str,
}

impl Route {
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
