//! Resident memory of an idle cashier with two modules loaded and configured.

use std::time::Duration;

use serde_json::json;

use crate::full_server::BenchServer;
use crate::table::FigureRow;
use crate::{BenchResult, Effort};

const AIM_BYTES: u64 = 60_000_000;
/// Until the memory used by the start is returned.
const SETTLE: Duration = Duration::from_secs(2);

pub(crate) fn measure(_effort: Effort) -> BenchResult<Vec<FigureRow>> {
    let server = BenchServer::open(&["stripe", "sandbox"], None)?;
    server.configure("stripe", &json!({"method": "card", "secret_key": "sk_test_bench"}))?;
    server.configure("sandbox", &json!({"method": "card", "secret_key": "sk_bench", "merchant_id": "ion4"}))?;
    std::thread::sleep(SETTLE);
    let resident = server.program.resident_bytes()?;
    Ok(vec![FigureRow {
        figure: "resident memory, idle, two modules",
        measured: format!("{:.1} MB", resident as f64 / 1e6),
        limit: String::new(),
        ratio: None,
        aim: "≤ 60 MB",
        met: Some(resident <= AIM_BYTES),
    }])
}
