//! How long the texts of requests may be, in bytes (API.md section 3). Endpoints check them, so that every row keeps
//! within them.

/// Codes, brands, methods, names of providers: whatever stands for something else.
pub const CODE_LENGTH_MAX: usize = 64;
pub const IDEMPOTENCY_KEY_LENGTH_MAX: usize = 128;
/// What a person writes for persons.
pub const COMMENT_LENGTH_MAX: usize = 512;
pub const URL_LENGTH_MAX: usize = 2048;
/// A JSON object that travels as a string.
pub const OBJECT_TEXT_LENGTH_MAX: usize = 16 * 1024;
