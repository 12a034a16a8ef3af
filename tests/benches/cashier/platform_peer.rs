//! The fake platform as a trading server of the figures: the accounts of the measured customers, orders that are executed as soon as
//! they are approved, nothing on its way and nothing synced. It counts what it is asked for.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cashier_fake_platform::{EXECUTED, FakeAccount, FakePlatform, PlatformListener};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::full_server::{CUSTOMERS, LOGIN_BASE};
use crate::{BenchResult, print};

/// What the cashier sends with every message.
pub(crate) const TOKEN: &str = "bench-token";

/// The settings of a cashier that uses it, in this many phases.
pub(crate) fn settings(phases: u8) -> String {
    format!(
        "[trading.platform]\nphases = {phases}\nexecuted_states = [{EXECUTED}]\ncustomers_command = \"ListCustomers\"\n\
         missing_account = [\"NO_SUCH_LOGIN\"]\n\
         [trading.platform.search]\nfield = \"where\"\nequals = \"{{column}} = '{{value}}'\"\n\
         at_least = \"{{column}} >= {{value}}\"\norder_by = \"update_time\"\n"
    )
}

/// Serves until killed; prints its address, and that of what it was asked for.
pub(crate) fn serve() -> BenchResult<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let fake = FakePlatform::new();
        {
            let mut state = fake.state();
            let account =
                |customer| FakeAccount { customer, group: "demo", currency: "USD", enabled: true, balance: 0 };
            state.accounts = (1..=CUSTOMERS).map(|customer| (LOGIN_BASE + customer, account(customer))).collect();
            state.customers = (1..=CUSTOMERS).collect();
            (state.way_ms, state.execution, state.pushes_trades) = (0, Duration::ZERO, true);
            let unix = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            state.time = Some(Arc::new(unix));
        }
        let listener = PlatformListener::start(fake).await;
        let counts = TcpListener::bind("127.0.0.1:0").await?;
        print(&listener.address().to_string());
        print(&counts.local_addr()?.to_string());
        loop {
            let (mut stream, _) = counts.accept().await?;
            let answer = asked(listener.fake());
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", answer.len());
            // Whoever asks notices a broken connection.
            let _ = stream.write_all(format!("{head}{answer}").as_bytes()).await;
        }
    })
}

fn asked(fake: &FakePlatform) -> String {
    let calls = fake.round_trips();
    let state = fake.state();
    let posted = state.orders.iter().filter(|order| order.state == EXECUTED).count();
    let moved: i64 = state.accounts.values().map(|account| account.balance).sum();
    json!({"calls": calls, "rows": 0, "checked_us": 0, "posted": posted, "moved": moved}).to_string()
}
