//! The fake platform as the trading server of a deployment: at a socket, with the accounts of the standard roster and money on each,
//! and the settings that lead to it.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use cashier_fake_platform::{EXECUTED, FakeAccount, FakeOrder, FakePlatform, FakeState, PlatformListener};

use crate::clock::DeploymentClock;
use crate::roster::{CUSTOMER, LOGIN, REAL_LOGIN, SECOND_CUSTOMER, SECOND_LOGIN};

/// What each account has at first.
pub const OPENING_MINOR: i64 = 10_025;

const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.CANARY-TOKEN-CANARY-TOKEN.x";

/// A listening platform.
pub struct PlatformPeer {
    pub listener: PlatformListener,
    folder: tempfile::TempDir,
}

impl PlatformPeer {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let token = folder.path().join("token");
        std::fs::write(&token, TOKEN).expect("a folder of its own");
        std::fs::set_permissions(&token, Permissions::from_mode(0o600)).expect("its own file");
        let fake = FakePlatform::new();
        give_accounts(&mut fake.state());
        Self { listener: PlatformListener::start(fake).await, folder }
    }

    /// Its time is that of a deployment from now on.
    pub fn follow(&self, clock: DeploymentClock) {
        self.fake().state().time = Some(Arc::new(move || clock.unix().unsigned_abs()));
    }

    pub fn fake(&self) -> &Arc<FakePlatform> {
        self.listener.fake()
    }

    /// Lines of a settings file; `phases` is 1 or 2.
    pub fn settings(&self, phases: u8) -> String {
        format!(
            "[trading]\nserver = \"tcp://{}\"\nsecret_file = {:?}\n\
             [trading.platform]\nphases = {phases}\nexecuted_states = [{EXECUTED}]\ncustomers_command = \"ListCustomers\"\n\
             missing_account = [\"NO_SUCH_LOGIN\"]\nrefusals = [\"NO_MONEY\"]\n\
             [trading.platform.search]\nfield = \"where\"\nequals = \"{{column}} = '{{value}}'\"\n\
             at_least = \"{{column}} >= {{value}}\"\norder_by = \"update_time\"\n",
            self.listener.address(),
            self.folder.path().join("token"),
        )
    }

    /// As they are now.
    pub fn orders(&self) -> Vec<FakeOrder> {
        self.fake().state().orders.clone()
    }

    /// How many executed orders each transaction has, and what they come to.
    pub fn posted(&self) -> BTreeMap<u64, (u64, i64)> {
        let mut posted: BTreeMap<u64, (u64, i64)> = BTreeMap::new();
        for order in self.orders().iter().filter(|order| order.state == EXECUTED) {
            // `KEY cashier TRANSACTION rREASON`
            let transaction = order.comment.split(' ').nth(2).and_then(|word| word.parse().ok());
            let of = posted.entry(transaction.expect("an order of the cashier")).or_default();
            *of = (of.0 + 1, of.1 + order.amount);
        }
        posted
    }
}

fn give_accounts(state: &mut FakeState) {
    let account =
        |customer, group| FakeAccount { customer, group, currency: "USD", enabled: true, balance: OPENING_MINOR };
    state.accounts = [
        (LOGIN, account(CUSTOMER, "demo")),
        (REAL_LOGIN, account(CUSTOMER, "real")),
        (SECOND_LOGIN, account(SECOND_CUSTOMER, "demo")),
    ]
    .into();
}
