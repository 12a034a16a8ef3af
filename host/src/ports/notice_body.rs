//! The body of a webhook, held once: every gateway that verifies it reads the same bytes, and what is derived from all of
//! them is derived once. It knows no format.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

/// A shared body; cloning it copies no byte.
#[derive(Clone, Default)]
pub struct NoticeBody {
    bytes: Bytes,
    /// A digest, with the query that it covers.
    digest: Arc<OnceLock<(Box<str>, Arc<str>)>>,
    /// Capacity that it takes; released with the last clone.
    #[expect(dead_code, reason = "it is held, not read")]
    held: Option<Arc<dyn Send + Sync>>,
}

impl NoticeBody {
    /// A body that takes some capacity of whoever received it.
    pub fn holding(bytes: Bytes, capacity: Option<impl Send + Sync + 'static>) -> Self {
        Self { held: capacity.map(|capacity| Arc::new(capacity) as _), ..bytes.into() }
    }

    /// The digest of query and body that `make` gives: made once, however many configs verify the notice.
    pub fn digest_with(&self, query: &str, make: impl Fn(&str, &[u8]) -> String) -> Arc<str> {
        let (covered, digest) = self.digest.get_or_init(|| (query.into(), make(query, &self.bytes).into()));
        if **covered == *query { Arc::clone(digest) } else { make(query, &self.bytes).into() }
    }
}

impl Deref for NoticeBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

macro_rules! from {
    ($($type:ty)*) => {$(
        impl From<$type> for NoticeBody {
            fn from(bytes: $type) -> Self {
                Self { bytes: bytes.into(), digest: Arc::default(), held: None }
            }
        }
    )*};
}

from! { Bytes Vec<u8> String &'static str }

impl PartialEq for NoticeBody {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for NoticeBody {}

/// It may contain customer data: its size alone.
impl fmt::Debug for NoticeBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn b4_clones_of_a_body_share_its_bytes_and_one_digest_of_each_query() {
        let body = NoticeBody::from(vec![b'x'; 1024]);
        let made = Cell::new(0);
        let digest = |body: &NoticeBody, query: &str| {
            body.digest_with(query, |query, bytes| {
                made.set(made.get() + 1);
                format!("{query} {}", bytes.len())
            })
        };
        let clones: Vec<NoticeBody> = (0..40).map(|_| body.clone()).collect();
        assert!(clones.iter().all(|clone| clone.as_ptr() == body.as_ptr()), "one body in memory");
        assert!(clones.iter().all(|clone| &*digest(clone, "a=1") == "a=1 1024"));
        assert_eq!(made.get(), 1);
        assert_eq!(&*digest(&body, "a=2"), "a=2 1024", "never that of another query");
        assert_eq!((body.clone() == NoticeBody::from(vec![b'x'; 1024]), body == NoticeBody::default()), (true, false));
        assert_eq!(format!("{body:?}"), "1024 bytes");
    }

    #[test]
    fn b4_a_body_holds_its_capacity_until_the_last_clone_is_gone() {
        let capacity = Arc::new(());
        let body = NoticeBody::holding(Bytes::from_static(b"x"), Some(Arc::clone(&capacity)));
        let clone = body.clone();
        drop(body);
        assert_eq!((Arc::strong_count(&capacity), &*clone), (2, &b"x"[..]));
        drop(clone);
        assert_eq!(Arc::strong_count(&capacity), 1);
    }
}
