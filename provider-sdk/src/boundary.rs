//! Conversions between the plain types and the frozen ABI records, one file for each side and direction.
//! They hold no policy, but for codes that the host does not know (`host_decode`).

pub(crate) mod host_decode;
pub(crate) mod host_encode;
pub(crate) mod module_decode;
pub(crate) mod module_encode;
