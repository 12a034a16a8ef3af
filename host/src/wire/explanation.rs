//! What happened to a payment, on the wire (API.md section 4).

use cashier_core::explanation::{DetailValue, ExplainedEntry, Explanation, NextStep, PaymentName};
use cashier_core::ids::TransactionId;
use cashier_core::money::Money;
use cashier_core::refs::ProviderRef;
use cashier_core::refusal::Refusal;
use cashier_core::texts::Texts;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::json_object::schema::{kind, schemas};
use crate::json_object::{answer, request};
use crate::wire::answer_values::ExactAmount;
use crate::wire::ground::GroundText;
use crate::wire::operation::OperationRecord;
use crate::wire::read::read as read_request;
use crate::wire::transaction::{Audience, TransactionRecord};
use crate::wire::values::{Code, Flag, Id, RowId, Time};

/// Longest name: that of a provider's id.
const NAME_LENGTH_MAX: usize = ProviderRef::VALUE_LENGTH_MAX;

request! {
    /// Names one payment by exactly one of its fields.
    pub struct PaymentNameBody {
        id: Option<RowId>, "our id of the transaction";
        reference: Option<Code<NAME_LENGTH_MAX>>, "our reference, as the provider knows it";
        provider_payment_id: Option<Code<NAME_LENGTH_MAX>>, "the provider's id of the payment";
        payment_ref as "ref": Option<Code<NAME_LENGTH_MAX>>, "any id that the provider gave to the payment";
    }
}

/// The details of an entry: an object whose fields depend on the entry's kind.
pub struct DetailsObject<'a>(&'a [(&'static str, DetailValue)]);

/// One value of it.
struct DetailText<'a>(&'a DetailValue);

schemas! {
    DetailsObject<'_> => kind("object");
}

impl Serialize for DetailsObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            object.serialize_entry(name, &DetailText(value))?;
        }
        object.end()
    }
}

impl Serialize for DetailText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            DetailValue::Text(text) => serializer.serialize_str(text),
            DetailValue::Number(number) => serializer.serialize_i64(*number),
            DetailValue::Amount(money) => ExactAmount(*money).serialize(serializer),
            DetailValue::Changes(changes) => serializer.collect_seq(changes.iter().map(ChangedField::new)),
        }
    }
}

answer! {
    /// A field that an entry's cause changed.
    pub struct ChangedField<'a>(change: &'a [String; 3]) {
        field: &'a str = change.first().map_or("", String::as_str), "name of the field";
        before: &'a str = change.get(1).map_or("", String::as_str), "its value before";
        after: &'a str = change.get(2).map_or("", String::as_str), "its value after";
    }

    /// One thing that happened, was sent, was received or was decided.
    pub struct ExplanationEntry<'a>(entry: &'a ExplainedEntry) {
        time: Time = Time(entry.time), "when";
        kind: &'static str = entry.kind.name(), "request, provider_call, event, fact, decision, operation, record or approval";
        title: &'a str = &entry.title, "one line that says what it was";
        details: DetailsObject<'a> = DetailsObject(&entry.details), "its values, by kind";
    }

    /// What is due.
    pub struct NextStepRecord<'a>(step: &'a NextStep) {
        what: &'a str = step.what, "what the cashier does, or waits for";
        not_before: Time = Time(step.not_before), "not before this time; 0 for what waits for a person";
        tries: u32 = step.tries, "how often it was tried in a row";
    }

    /// What the explanation comes to.
    pub struct ExplanationSummary<'a>(found: &'a Explanation) {
        customer: &'a str = &found.for_customer, "a sentence for the customer";
        manager: &'a str = &found.for_manager, "a sentence for the manager: what it is, and what to do";
        command: &'a str = found.command, "the command that comes next; empty where there is nothing to do";
    }

    /// What happened to one payment.
    pub struct PaymentExplained<'a>(found: &'a Explanation, texts: &'a Texts) {
        transaction: TransactionRecord<'a> = TransactionRecord::new(&found.aggregate.transaction, texts, Audience::Manager), "the transaction as it is";
        balance_operations: Vec<OperationRecord<'a>> = found.aggregate.operations.iter().map(OperationRecord::new).collect(), "its balance operations";
        owed: ExactAmount = ExactAmount(owed(found)), "what its facts say the account should have received in all, with sign";
        posted: ExactAmount = ExactAmount(posted(found)), "what was posted in all, with sign";
        ground: GroundText = GroundText(Some(found.aggregate.ground())), "stands for what is known of its money, reviews and decisions; commands take it back";
        summary: ExplanationSummary<'a> = ExplanationSummary::new(found), "what to say, and what to do";
        next: Vec<NextStepRecord<'a>> = found.next.iter().map(NextStepRecord::new).collect(), "what is due next";
        entries: Vec<ExplanationEntry<'a>> = found.entries.iter().map(ExplanationEntry::new).collect(), "everything known, in the order of time";
        more_events: Flag = Flag(found.more_events), "1 where older events are not among the entries";
        unverified_events: u64 = found.unverified_count, "stored webhooks that name the payment and were not verified; the newest are among the entries";
    }

    /// The name is that of several payments.
    pub struct PaymentsNamed<>(ids: &[TransactionId]) {
        transaction_ids: Vec<Id> = ids.iter().map(|id| Id(id.0)).collect(), "the transactions, newest first; ask about one by its id";
        count: u64 = ids.len() as u64, "how many are listed";
    }
}

fn owed(found: &Explanation) -> Money {
    Money::new(found.aggregate.standing().owed_minor, found.aggregate.transaction.account_currency)
}

fn posted(found: &Explanation) -> Money {
    let posted = cashier_core::operation::posted(&found.aggregate.transaction, &found.aggregate.operations);
    Money::new(posted.minor, found.aggregate.transaction.account_currency)
}

/// Reads the request.
///
/// # Errors
/// 400 INVALID_DATA unless exactly one name is given.
pub fn read(json: &[u8]) -> Result<PaymentName, Refusal> {
    let PaymentNameBody { id, reference, provider_payment_id, payment_ref } = read_request(json, "data")?;
    let text = |code: Code<NAME_LENGTH_MAX>| Some(code.0).filter(|text| !text.is_empty());
    let names = [
        id.map(|id| PaymentName::Id(TransactionId(id.0))),
        reference.and_then(text).map(PaymentName::Reference),
        provider_payment_id.and_then(text).map(PaymentName::PaymentId),
        payment_ref.and_then(text).map(PaymentName::AnyId),
    ];
    let mut given = names.into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(name), None) => Ok(name),
        (None | Some(_), _) => {
            Err(Refusal::invalid("exactly one of id, reference, provider_payment_id and ref is required"))
        }
    }
}
