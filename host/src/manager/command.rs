//! A manager command: its published name, the roles that may use it, and its function. A new one is a constant in the file
//! of its noun and a line in `COMMANDS`.

use std::sync::Arc;

use cashier_core::ids::ID_MAX;
use cashier_core::refusal::Refusal;
use cashier_core::session::{ManagerSession, Role};
use futures_util::future::BoxFuture;

use crate::flows::{Cashier, RequestContext};
use crate::wire::read::Fields;

/// One command of the table.
pub struct Command {
    /// The published name.
    pub name: &'static str,
    pub may: fn(Role) -> bool,
    /// Returns the answer's `data` as JSON.
    pub run: fn(CommandCall) -> BoxFuture<'static, Result<Vec<u8>, Refusal>>,
}

/// One call of a command.
pub struct CommandCall {
    pub cashier: Arc<Cashier>,
    pub session: ManagerSession,
    /// The request's `data`: JSON as received.
    pub data: Box<str>,
    pub context: RequestContext,
}

impl CommandCall {
    /// The id, which is the only field of a `Get…` request.
    pub fn id(&self) -> Result<u64, Refusal> {
        let mut fields = Fields::parse(self.data.as_bytes(), "data")?;
        let id = fields.id("id").ok().flatten().filter(|id| (1..=ID_MAX).contains(id));
        let id = id.ok_or_else(|| Refusal::invalid("id is missing or invalid"))?;
        fields.finish()?;
        Ok(id)
    }
}
