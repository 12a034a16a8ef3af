//! What a command is: its published name, who may use it, and what it does. A further one is a constant in the file of
//! its noun and a line in the table.

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
    /// Gives the answer's `data` as JSON.
    pub run: fn(Call) -> BoxFuture<'static, Result<Vec<u8>, Refusal>>,
}

/// One use of a command.
pub struct Call {
    pub cashier: Arc<Cashier>,
    pub session: ManagerSession,
    /// The request's `data`, JSON as it was sent.
    pub data: Box<str>,
    pub context: RequestContext,
}

impl Call {
    /// The id that is the whole request of a `Get…` command.
    pub fn id(&self) -> Result<u64, Refusal> {
        let mut fields = Fields::parse(self.data.as_bytes(), "data")?;
        let id = fields.id("id").ok().flatten().filter(|id| (1..=ID_MAX).contains(id));
        let id = id.ok_or_else(|| Refusal::invalid("id is missing or invalid"))?;
        fields.finish()?;
        Ok(id)
    }
}
