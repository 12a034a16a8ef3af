//! The calls that make, approve and decline a finance order, and those that move a balance at once. Which of them is called for is
//! decided in `next_step`.

use cashier_core::status::OperationCmd;
use serde_json::{Map, Value, json};

use super::client::{CallTrace, PlatformFailure};
use super::finance_order::OrderState;
use super::next_step::WantedOrder;
use super::order_rows::number_of;
use super::orders::FinanceOrders;
use super::tables;
use crate::ports::{Fault, Posting};

/// Stands before the number of the operation's reason in a comment.
pub(super) const REASON_MARK: char = 'r';

/// A request as the platform answered it.
pub(super) struct MadeRequest {
    pub(super) order: u64,
    /// The answer states login, amount and `gw_uuid`, and they are those that were sent.
    pub(super) is_whole: bool,
}

impl FinanceOrders {
    /// Makes an order that moves nothing.
    pub(super) async fn create(
        &self,
        posting: &Posting,
        wanted: &WantedOrder,
        trace: CallTrace,
    ) -> Result<MadeRequest, PlatformFailure> {
        let mut data = self.movement(posting, wanted);
        let cmd = number_of(wanted.cmd);
        let more = [
            ("cmd", json!(cmd)),
            ("gw_source", json!(wanted.of.source)),
            ("gw_uuid", json!(wanted.of.uuid)),
            ("gw_order", json!(posting.operation.id.0)),
        ];
        data.extend(more.map(|(name, value)| (name.to_owned(), value)));
        let answer = self.client.call_traced("MngCreateFinanceRequest", Value::Object(data), trace).await?;
        let unreadable = |fault: Fault| PlatformFailure::Unknown(fault.what);
        let row = tables::object(&answer).map_err(unreadable)?;
        let order = row.number("order").map_err(unreadable)?;
        if order == 0 {
            return Err(PlatformFailure::Unknown("an order without number".to_owned()));
        }
        let is_whole = self.rows().order(&row).is_ok_and(|made| wanted.is_made_as(&made));
        Ok(MadeRequest { order, is_whole })
    }

    /// Moves the balance in one call; the answer is the order that did, where it states one that is this posting.
    pub(super) async fn move_at_once(
        &self,
        posting: &Posting,
        wanted: &WantedOrder,
        trace: CallTrace,
    ) -> Result<(u64, OrderState), PlatformFailure> {
        let command = match wanted.cmd {
            OperationCmd::BalanceIn => "BalanceInSync",
            OperationCmd::BalanceOut => "BalanceOutSync",
        };
        let data = Value::Object(self.movement(posting, wanted));
        let answer = self.client.call_traced(command, data, trace).await?;
        let unreadable = |fault: Fault| PlatformFailure::Unknown(fault.what);
        let row = tables::object(&answer).map_err(unreadable)?;
        let order = self.rows().order(&row).map_err(unreadable)?;
        if !wanted.is_answered_by(&order) {
            return Err(PlatformFailure::Unknown(format!(
                "the answer is about another operation: order {}",
                order.order
            )));
        }
        Ok((order.order, order.state))
    }

    fn movement(&self, posting: &Posting, wanted: &WantedOrder) -> Map<String, Value> {
        let amount = serde_json::from_str(&wanted.amount.to_wire()).unwrap_or(Value::Null);
        // The key first, should the platform cut it.
        let reason = posting.operation.reason.number();
        let comment = format!("{} {} {REASON_MARK}{reason}", wanted.of.key, posting.comment);
        let members = [("login", json!(wanted.login.0)), ("amount", amount), ("comment", json!(comment))];
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    pub(super) async fn approve(&self, order: u64, trace: CallTrace) -> Result<(), PlatformFailure> {
        self.client.call_traced("MngApproveFinanceRequest", json!({ "order": order }), trace).await.map(drop)
    }

    /// Declines a pending order; its comment keeps the key.
    pub(super) async fn decline(&self, order: u64, comment: &str) -> Result<(), PlatformFailure> {
        let data = json!({ "order": order, "comment": comment });
        self.client.call("MngDeclineFinanceRequest", data).await.map(drop)
    }
}
