//! The disputes of a paid payment, for a status query: the same dispute under the same id as its notices state, so that a
//! query recovers those that were lost. They are asked for only where the charge says that it was disputed.

use cashier_provider_sdk::serde_json::Value;
use cashier_provider_sdk::{
    Amount, CallTarget, Dispute, FailureKind, Form, HttpReply, HttpRequest, JsonRead, NormalizedStatus,
    ProviderFailure, StatusUpdate,
};

use crate::config::{API_VERSION, Stripe};
use crate::events::disputed_money;
use crate::failure::failure;
use crate::objects::{dispute_update, own_id};

/// A payment has one dispute, rarely two. Stripe's longest page.
const PAGE: &str = "100";

/// The request that lists the disputes of an intent.
pub(crate) fn request(stripe: &Stripe, intent: &str) -> HttpRequest {
    let query = Form::new().field("payment_intent", intent).field("limit", PAGE).encode();
    HttpRequest::get(stripe.api.at(&format!("/v1/disputes?{query}")))
        .bearer(stripe.secret_key.expose())
        .header("stripe-version", API_VERSION)
}

/// The confirmation `paid` with what the list states. An update states one dispute: several that moved money, and
/// one that needs a person, are a review that names them all and takes the largest open one back.
///
/// # Errors
/// The list was not answered or cannot be read. Then the payment is not stated either: it would be credited while the
/// bank has the money. The list is no payment, so it is never "not found".
pub(crate) fn added(paid: StatusUpdate, ordered: &Amount, listed: &HttpReply) -> Result<StatusUpdate, ProviderFailure> {
    if !listed.is_success() {
        let failure = failure(listed, CallTarget::Payment);
        let unreadable = failure.kind == FailureKind::NotFound;
        return Err(if unreadable { failure.with_kind(FailureKind::UnreadableAnswer) } else { failure });
    }
    let list = listed.json()?;
    let page = list.readable_at("/data")?.as_array();
    let page = page.ok_or_else(|| ProviderFailure::unreadable("the answer has no list of disputes"))?;
    let stated = |object| ListedDispute::of(object, paid.payment_id.as_deref()).transpose();
    let mut moved = page.iter().filter_map(stated).collect::<Result<Vec<_>, _>>()?;
    let more = list.flag_at("/has_more")?.unwrap_or(false);
    moved.sort_by(|one, other| one.dispute.id.cmp(&other.dispute.id));
    Ok(match (moved.as_slice(), more) {
        ([], false) => paid,
        ([ListedDispute { status: NormalizedStatus::Chargeback, dispute, .. }], false) => {
            StatusUpdate { dispute: Some(dispute.clone()), ..paid }
        }
        ([ListedDispute { status: NormalizedStatus::ChargebackReversed, dispute, .. }], false) => {
            // Beside a reversed dispute only the ordered amount counts as paid: another one must be seen as a mismatch.
            if paid.amount.as_ref().is_some_and(|amount| is_same(amount, ordered)) {
                let status = NormalizedStatus::ChargebackReversed;
                StatusUpdate { status, dispute: Some(dispute.clone()), ..paid }
            } else {
                paid
            }
        }
        (several, more) => review(paid, several, more),
    })
}

/// A dispute that moved money, or may have.
struct ListedDispute {
    status: NormalizedStatus,
    own_status: String,
    dispute: Dispute,
}

impl ListedDispute {
    fn of(object: &Value, intent: Option<&str>) -> Result<Option<Self>, ProviderFailure> {
        let own_status = object.required_text_at("/status")?.to_owned();
        let Some(status) = disputed_money(&own_status) else { return Ok(None) };
        let update = dispute_update(object, status, &own_status)?;
        if update.payment_id.as_deref() != intent {
            return Err(ProviderFailure::unreadable("the list has a dispute of another payment"));
        }
        let id = own_id(object, "dispute")?.to_owned();
        let dispute = update.dispute.unwrap_or(Dispute { id, amount: None });
        Ok(Some(Self { status, own_status, dispute }))
    }

    fn shown(&self) -> String {
        format!("{} {}", self.dispute.id, self.own_status)
    }
}

/// The same text for the same disputes, so that repeated queries are one review.
fn review(paid: StatusUpdate, disputes: &[ListedDispute], more: bool) -> StatusUpdate {
    let open = disputes.iter().filter(|known| known.status == NormalizedStatus::Chargeback);
    let largest = open.max_by_key(|known| known.dispute.amount.as_ref().map_or(i64::MAX, |amount| amount.minor));
    let mut named: Vec<String> = disputes.iter().map(ListedDispute::shown).collect();
    named.extend(more.then(|| "and more".to_owned()));
    StatusUpdate {
        status: NormalizedStatus::ManualReview,
        reason: Some(format!("disputes to be settled by a person: {}", named.join(", "))),
        dispute: largest.map(|known| known.dispute.clone()),
        ..paid
    }
}

fn is_same(one: &Amount, other: &Amount) -> bool {
    let exponent = one.exponent.max(other.exponent);
    one.currency.eq_ignore_ascii_case(&other.currency)
        && matches!((one.rescaled(exponent), other.rescaled(exponent)), (Ok(one), Ok(other)) if one.minor == other.minor)
}
