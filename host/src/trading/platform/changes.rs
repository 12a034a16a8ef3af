//! What the platform pushes about accounts, as changes: whoever remembers them looks again. What cannot be read, or may have been
//! missed, is a change of everything.

use cashier_core::ids::{CustomerId, Login};
use serde_json::Value;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::client::{CONNECTED, PlatformClient};
use super::messages::PlatformPush;
use crate::ports::Spawn;
use crate::trading::remote::AccountChange;

/// Changes that a slow reader may leave behind; then it is sent to forget everything.
const CHANGES_KEPT_MAX: usize = 1024;

/// Passes on what is pushed, as long as anybody holds the client.
pub(super) fn follow(client: &PlatformClient, spawn: &dyn Spawn) -> broadcast::Sender<AccountChange> {
    let (changes, mut pushes) = (broadcast::Sender::new(CHANGES_KEPT_MAX), client.state.pushes.subscribe());
    let sender = changes.clone();
    spawn.background(Box::pin(async move {
        loop {
            let change = match pushes.recv().await {
                Ok(push) => change_of(&push),
                Err(RecvError::Lagged(_)) => Some(AccountChange::Everything),
                Err(RecvError::Closed) => return,
            };
            // Nobody may be listening.
            change.into_iter().for_each(|change| drop(sender.send(change)));
        }
    }));
    changes
}

fn change_of(push: &PlatformPush) -> Option<AccountChange> {
    let number = |name: &str| push.data.get(name).and_then(Value::as_u64);
    let login = || number("login").map(|login| AccountChange::Login(Login(login)));
    let change = match &*push.event {
        "trade:event" | "balance:event" => login(),
        "user:event" => login().or_else(|| Some(AccountChange::Customer(CustomerId(number("customer_id")?)))),
        "group:event" => push.data.get("group").and_then(Value::as_str).map(|group| AccountChange::Group(group.into())),
        CONNECTED => None,
        _ => return None,
    };
    Some(change.unwrap_or(AccountChange::Everything))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_say_whose_account_changed_or_that_any_may_have() {
        use AccountChange::*;
        let table = [
            ("trade:event", json!({"login": 7, "order": 1}), Some(Login(cashier_core::ids::Login(7)))),
            ("balance:event", json!({"login": 7}), Some(Login(cashier_core::ids::Login(7)))),
            ("user:event", json!({"login": 7, "customer_id": 5}), Some(Login(cashier_core::ids::Login(7)))),
            ("user:event", json!({"customer_id": 5}), Some(Customer(CustomerId(5)))),
            ("user:event", json!({"id": 5}), Some(Everything)),
            ("group:event", json!({"group": "real"}), Some(Group("real".into()))),
            ("group:event", json!([]), Some(Everything)),
            (CONNECTED, json!(null), Some(Everything)),
            ("symbol:event", json!({"login": 7}), None),
        ];
        for (event, data, expected) in table {
            assert_eq!(change_of(&PlatformPush { event: event.into(), data }), expected, "{event}");
        }
    }
}
