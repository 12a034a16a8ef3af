//! An export of five million transactions as CSV, through the listener: how long a row takes beside a row of a tenth of them, and
//! how much memory the program takes for it. What takes longer or more memory with the rows shows here.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use cashier_core::change::Change;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;

use crate::full_server::{BenchServer, ChildProgram};
use crate::stored;
use crate::table::FigureRow;
use crate::token::{ADMIN, token};
use crate::{BenchResult, Effort, report, rows};

/// Rows for each of those of the other figures.
const TIMES: u64 = 5;
/// How much longer a row of all may take than one of a tenth.
const TIME_AIM: f64 = 1.5;
/// Bytes.
const MEMORY_AIM: f64 = 64e6;
/// Between two looks at the program's memory.
const BYTES_BETWEEN_LOOKS: usize = 4 * 1024 * 1024;

pub(crate) fn measure(effort: Effort) -> BenchResult<Vec<FigureRow>> {
    let count = effort.rows * TIMES;
    let folder = tempfile::tempdir()?;
    stored::write(folder.path(), count, stored::PER_COMMIT, |id| {
        let rows = [Change::Transaction(Box::new(rows::deposit(id))), Change::Operation(Box::new(rows::credit(id)))];
        (rows.into(), Vec::new())
    })?;
    let bases = folder.path().join("bases");
    stored::post(&bases, count)?;
    let server = BenchServer::open_in(folder, &["echo"], None)?;
    let tenth = export(&server, count / 10)?;
    let before = server.program.resident_bytes()? as f64;
    let all = export(&server, count)?;
    let ratio = all.seconds / tenth.seconds / 10.0;
    let growth = (all.peak_bytes - before).max(0.0);
    Ok(vec![
        FigureRow {
            figure: "CSV of 5,000,000 transactions",
            measured: format!("{count} rows in {:.1} s, {:.0} MB", all.seconds, all.length / 1e6),
            limit: format!("a tenth of them: {:.1} s", tenth.seconds),
            ratio: Some(ratio),
            aim: "≤ 1.5 times for a row",
            met: Some(ratio <= TIME_AIM),
        },
        FigureRow {
            figure: "memory that this export adds at its peak",
            measured: format!("{:.1} MB", growth / 1e6),
            limit: format!("before it: {:.0} MB", before / 1e6),
            ratio: None,
            aim: "≤ 64 MB",
            met: Some(growth <= MEMORY_AIM),
        },
    ])
}

/// What an export took.
struct Export {
    seconds: f64,
    /// Of the answer.
    length: f64,
    /// Resident memory of the program, at most.
    peak_bytes: f64,
}

/// Exports the newest so many transactions, and checks that there is a line for each.
fn export(server: &BenchServer, count: u64) -> BenchResult<Export> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let begun = Instant::now();
    let (lines, length, peak_bytes) = runtime.block_on(receive(server.manager, &server.program, count))?;
    let seconds = begun.elapsed().as_secs_f64();
    report(&format!("  {lines} lines in {seconds:.1} s"));
    if lines != count + 1 {
        return Err(format!("{lines} lines for {count} rows").into());
    }
    Ok(Export { seconds, length, peak_bytes })
}

/// The lines and bytes of the answer, and the most memory that the program had meanwhile.
async fn receive(address: SocketAddr, program: &ChildProgram, count: u64) -> BenchResult<(u64, f64, f64)> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(TcpStream::connect(address).await?)).await?;
    // It ends with the sender.
    drop(tokio::spawn(connection));
    let message =
        json!({"command": "MngGetCashierTransactionsByFilter", "data": {"limit": count}, "__token": token(ADMIN, 1)});
    let request = Request::post("/manager")
        .header(HOST, "cashier.test")
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "text/csv")
        .body(Full::<Bytes>::from(message.to_string()))?;
    let mut answer = sender.send_request(request).await?;
    if answer.status() != StatusCode::OK {
        return Err(format!("the export was answered {}", answer.status()).into());
    }
    let (mut lines, mut length, mut looked_at, mut peak) = (0_u64, 0_usize, 0_usize, 0_u64);
    while let Some(frame) = answer.frame().await {
        let frame = frame?;
        let data = frame.data_ref().ok_or("no data")?;
        lines += data.iter().filter(|byte| **byte == b'\n').count() as u64;
        length += data.len();
        if length - looked_at >= BYTES_BETWEEN_LOOKS {
            looked_at = length;
            peak = peak.max(program.resident_bytes()?);
        }
    }
    Ok((lines, length as f64, peak.max(program.resident_bytes()?) as f64))
}
