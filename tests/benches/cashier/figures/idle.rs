//! Resident memory of a house that has nothing to do, with two modules loaded and configured.

use std::time::Duration;

use serde_json::json;

use crate::full_server::House;
use crate::table::Line;
use crate::{Effort, Outcome};

const AIM_BYTES: u64 = 60_000_000;
/// Until what a start left behind is given back.
const SETTLE: Duration = Duration::from_secs(2);

pub(crate) fn measure(_effort: Effort) -> Outcome<Vec<Line>> {
    let house = House::open(&["stripe", "sandbox"], None)?;
    house.configure("stripe", &json!({"method": "card", "secret_key": "sk_test_bench"}))?;
    house.configure("sandbox", &json!({"method": "card", "secret_key": "sk_bench", "merchant_id": "ion4"}))?;
    std::thread::sleep(SETTLE);
    let resident = house.program.resident_bytes()?;
    Ok(vec![Line {
        figure: "resident memory, idle, two modules",
        measured: format!("{:.1} MB", resident as f64 / 1e6),
        limit: String::new(),
        ratio: None,
        aim: "≤ 60 MB",
        met: Some(resident <= AIM_BYTES),
    }])
}
