//! What a command is: its published name, who may use it, and what it does. A further one is a constant in the file of
//! its noun and a line in the table.

use std::sync::Arc;

use cashier_core::refusal::Refusal;
use cashier_core::session::{ManagerSession, Role};
use futures_util::future::BoxFuture;

use crate::flows::{Cashier, RequestContext};
use crate::json_object::{RequestBody, Schema, answer, request};
use crate::wire::answer_values::Str;
use crate::wire::envelope::CommandResult;
use crate::wire::read::read;
use crate::wire::values::{AnyJson, RecordId};

/// One command of the table.
pub struct Command {
    /// The published name.
    pub name: &'static str,
    pub may: fn(Role) -> bool,
    /// The schema of the request's `data`.
    pub request: fn() -> Schema,
    /// The schema of the answer's `data`.
    pub answer: fn() -> Schema,
    pub run: fn(Call) -> BoxFuture<'static, CommandResult>,
}

request! {
    /// A request about one record.
    pub struct ById {
        id: RecordId, "id of the record";
    }

    /// A request that says nothing more than its command.
    pub struct NoFields {}
}

answer! {
    /// The answer of a command that has nothing to show.
    pub struct Done<'a>() {
        data: Str<'a> = "OK", "OK";
    }
}

/// One use of a command.
pub struct Call {
    pub cashier: Arc<Cashier>,
    pub session: ManagerSession,
    /// The request's `data`, as it was sent; `None` is the empty object.
    pub data: Option<AnyJson>,
    pub context: RequestContext,
}

impl Call {
    /// The request's `data` as JSON text.
    pub fn data(&self) -> &[u8] {
        self.data.as_ref().map_or(b"{}", |data| data.0.get().as_bytes())
    }

    /// The id that is the whole request of a `Get…` command.
    pub fn id(&self) -> Result<u64, Refusal> {
        Ok(self.read::<ById>()?.id.0)
    }

    pub fn read<T: RequestBody>(&self) -> Result<T, Refusal> {
        read(self.data(), "data")
    }
}
