//! How a request is answered, whatever then happens to the answer. Finance orders are `orders`'.

use serde_json::{Value, json};

use crate::amounts::{decimal, number};
use crate::state::FakeState;

impl FakeState {
    pub(crate) fn perform(&mut self, command: &str, data: &Value) -> Result<Value, (i64, &'static str)> {
        match command {
            "GetGroups" => Ok(self.list_groups()),
            "GetAccountByLogin" if self.answers_nothing => Ok(Value::Null),
            "GetAccountByLogin" => self.account(number(data, "login")?),
            "ListCustomers" => {
                let structure = [
                    "country_of_residence",
                    "customer_id",
                    "status",
                    "enable",
                    "brand",
                    "deposit_allowed",
                    "withdrawal_allowed",
                ];
                let wanted = self.customers.get(&number(data, "customer_id")?);
                let rows: Vec<Value> = wanted.iter().map(|id| json!(["DE", id, 0, 1, "ion4", 1, 1])).collect();
                Ok(json!({"structure": structure, "count": rows.len(), "rows": rows}))
            }
            "MngCreateFinanceRequest" => self.create(data),
            "BalanceInSync" => self.move_at_once(data, 6),
            "BalanceOutSync" => self.move_at_once(data, 8),
            "MngApproveFinanceRequest" => self.decide(data, true),
            "MngDeclineFinanceRequest" => self.decide(data, false),
            "MngGetTradesByFilter" => self.trades(data),
            _ => Err((400, "UNKNOWN_COMMAND")),
        }
    }

    fn list_groups(&self) -> Value {
        let row = |(group, (currency, mode, enabled)): (&&str, &(&str, i64, bool))| {
            json!([i64::from(*enabled), group, currency, mode, "ion4"])
        };
        let rows: Vec<Value> = self.groups.iter().map(row).collect();
        let structure = ["enable", "group", "currency", "account_mode", "brand"];
        json!({"structure": structure, "count": rows.len(), "rows": rows})
    }

    fn account(&self, login: u64) -> Result<Value, (i64, &'static str)> {
        let account = self.accounts.get(&login).ok_or((404, "NO_SUCH_LOGIN"))?;
        Ok(json!({
            "login": login, "customer_id": account.customer, "group": account.group, "currency": account.currency,
            "enable": i64::from(account.enabled), "balance": decimal(account.balance), "password": "CANARY-PASSWORD",
        }))
    }
}
