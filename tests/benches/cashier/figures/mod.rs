//! The figures of the table, one file each.

pub(crate) mod backoffice;
mod border;
mod csv;
mod deposits;
mod drain;
pub(crate) mod hold;
mod idle;
mod latency;
mod lists;
pub(crate) mod memory;
mod methods;
pub(crate) mod start;
mod stubbed;
mod trading;
mod watermarks;
mod webhooks;

use crate::table::FigureRow;
use crate::{BenchResult, Effort};

type Figure = fn(Effort) -> BenchResult<Vec<FigureRow>>;

/// Every figure under the name that `--only` takes, in the order of the table.
pub(crate) const FIGURES: [(&str, Figure); 16] = [
    ("methods", methods::measure),
    ("deposits", deposits::measure),
    ("stubbed", stubbed::measure),
    ("webhooks", webhooks::measure),
    ("trading", trading::measure),
    ("drain", drain::measure),
    ("latency", latency::measure),
    ("memory", memory::measure),
    ("hold", hold::measure),
    ("backoffice", backoffice::measure),
    ("lists", lists::measure),
    ("csv", csv::measure),
    ("start", start::measure),
    ("watermarks", watermarks::measure),
    ("border", border::measure),
    ("idle", idle::measure),
];
