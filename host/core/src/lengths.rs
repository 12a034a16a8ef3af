//! The maximum lengths of request texts in bytes (API.md section 3). Endpoints check them, so that every row complies.

/// Codes, brands, methods and names of providers.
pub const CODE_LENGTH_MAX: usize = 64;
pub const IDEMPOTENCY_KEY_LENGTH_MAX: usize = 128;
/// Free text of a person.
pub const COMMENT_LENGTH_MAX: usize = 512;
pub const URL_LENGTH_MAX: usize = 2048;
/// A JSON object as a string.
pub const OBJECT_TEXT_LENGTH_MAX: usize = 16 * 1024;
