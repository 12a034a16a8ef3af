//! A manager command: its published name, the roles that may use it, and its function. A new one is a constant in the file
//! of its noun and a line in `COMMANDS`.

use std::sync::Arc;

use cashier_core::approval::Approval;
use cashier_core::filter::{Field, Filter, FilterBuilder};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::{ManagerSession, Role};
use futures_util::future::BoxFuture;

use crate::flows::{Cashier, EXPORT_ROWS_MIN, ListReader, ManagerAct, ManagerReader, RequestContext};
use crate::json_object::{RequestBody, Schema, answer, request};
use crate::wire::envelope::CommandResult;
use crate::wire::filter::Parameters;
use crate::wire::read::read;
use crate::wire::values::{AnyJson, RecordId};

/// Whether a command may change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Reads,
    Changes,
}

/// One command of the table.
pub struct Command {
    /// The published name.
    pub name: &'static str,
    pub may: fn(Role) -> bool,
    pub effect: Effect,
    /// What it may be answered beside what every command may: see [`COMMON_ERRORS`].
    pub errors: &'static [RefusalCode],
    /// The schema of the request's `data`.
    pub request: fn() -> Schema,
    /// The schema of the answer's `data`.
    pub answer: fn() -> Schema,
    pub run: fn(CommandCall) -> BoxFuture<'static, CommandResult>,
}

/// How much of a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListPart {
    /// A page, and how many rows match in all.
    Page,
    /// A page alone: CSV shows no count, and counting for each page of an export would take longer with every page.
    UncountedPage,
    /// So many rows of an export in the order of ids, from the first one or behind the one with this id.
    ExportPage { rows: usize, behind: Option<u64> },
    /// An export of up to so many rows in the order in which they are found, of a list whose rows have no id to go on behind.
    Rows(u64),
}

impl ListPart {
    /// The filter of the request for it, on top of conditions that the command itself sets.
    pub(super) fn filter<F: Field>(self, data: &[u8], own: FilterBuilder<F>) -> Result<Filter<F>, Refusal> {
        let (parameters, own) = (Parameters::from_json(data)?, own.of_request());
        match self {
            Self::Page => parameters.into_filter_on(own),
            Self::UncountedPage => Ok(parameters.into_filter_on(own)?.uncounted()),
            Self::ExportPage { rows, behind } => parameters.into_export_on(own)?.export_page(rows, behind),
            Self::Rows(_) => parameters.into_export_on(own)?.export_as_found(),
        }
    }

    /// Who reads a list of up to so many rows: every page of an export counts as one of the manager's exports.
    pub(super) fn reader(self, session: &ManagerSession, limit: usize) -> ListReader {
        let manager = ManagerReader::of(session);
        match self {
            Self::Page | Self::UncountedPage if limit < EXPORT_ROWS_MIN => ListReader::Manager(manager),
            Self::Page | Self::UncountedPage | Self::ExportPage { .. } | Self::Rows(_) => ListReader::Export(manager),
        }
    }
}

/// What every command may be answered, whatever it does.
pub const COMMON_ERRORS: &[RefusalCode] = &[
    RefusalCode::InvalidData,
    RefusalCode::Unauthorized,
    RefusalCode::PermissionDenied,
    RefusalCode::RequestTimeout,
    RefusalCode::BodyTooLarge,
    RefusalCode::Frequent,
    RefusalCode::Internal,
    RefusalCode::StorageUnavailable,
];

request! {
    /// A request about one record.
    pub struct ById {
        id: RecordId, "id of the record";
    }

    /// A request without fields.
    pub struct NoFields {}
}

answer! {
    /// The answer of a command that has no record to show.
    pub struct Done<>() {
        data: &'static str = "OK", "OK";
    }
}

/// One call of a command.
pub struct CommandCall {
    pub cashier: Arc<Cashier>,
    /// The name of the command.
    pub command: &'static str,
    pub session: ManagerSession,
    /// The request's `data` as received; `None` is the empty object.
    pub data: Option<AnyJson>,
    pub part: ListPart,
    pub context: RequestContext,
    /// Where a second person decides: what another one asked for with this request.
    pub approval: Option<Arc<Approval>>,
}

impl CommandCall {
    /// The id, which is the only field of a `Get…` request.
    pub fn id(&self) -> Result<u64, Refusal> {
        Ok(self.read::<ById>()?.id.0)
    }

    /// The filter of a list.
    pub fn filter<F: Field>(&self) -> Result<Filter<F>, Refusal> {
        self.filter_on(FilterBuilder::new())
    }

    /// The same on top of conditions that the command itself sets.
    pub fn filter_on<F: Field>(&self, own: FilterBuilder<F>) -> Result<Filter<F>, Refusal> {
        self.part.filter(self.data(), own)
    }

    /// Who reads a list of up to so many rows.
    pub fn list_reader(&self, limit: usize) -> ListReader {
        self.part.reader(&self.session, limit)
    }

    /// Who calls which command, for what it changes.
    pub fn act(&self) -> ManagerAct {
        ManagerAct {
            session: self.session.clone(),
            command: self.command,
            context: self.context.clone(),
            approval: self.approval.clone(),
            ground: None,
        }
    }

    pub fn read<T: RequestBody>(&self) -> Result<T, Refusal> {
        read(self.data(), "data")
    }

    /// The request's `data` as JSON text.
    pub fn data(&self) -> &[u8] {
        self.data.as_ref().map_or(b"{}", |data| data.0.get().as_bytes())
    }
}
