//! Facts, refs and normalized updates as the JSON kept in a column: private twins of the domain types, which stay free
//! of serialization. Every variant and field is named here, so that the compiler tells when a twin falls behind.

use cashier_core::facts::{PersonFact, ProviderFact, Recorded, ReviewHold};
use cashier_core::ids::{Reference, Seq};
use cashier_core::money::{Currency, Money};
use cashier_core::notice::{DisputeStatement, Reach, RefundStatement, StatedAmount, Update};
use cashier_core::provider_config::{ReplacedSecret, Secret};
use cashier_core::refs::{ProviderRef, Refs};
use cashier_core::status::{ProviderStatus, TransactionStatus};
use cashier_core::time::UnixTime;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// Appends `[[seq, at, fact], …]`; nothing when there are none.
pub(super) fn write_provider_facts(facts: &[Recorded<ProviderFact>], out: &mut Vec<u8>) -> serde_json::Result<()> {
    write_lines(facts, out, |heard| ProviderLineOut(heard.seq.0, heard.at.0, &heard.fact))
}

pub(super) fn read_provider_facts(text: &str) -> serde_json::Result<Vec<Recorded<ProviderFact>>> {
    let lines: Vec<ProviderLine> = serde_json::from_str(text)?;
    Ok(lines
        .into_iter()
        .map(|ProviderLine(seq, at, fact)| Recorded { seq: Seq(seq), at: UnixTime(at), fact })
        .collect())
}

pub(super) fn write_person_facts(facts: &[Recorded<PersonFact>], out: &mut Vec<u8>) -> serde_json::Result<()> {
    write_lines(facts, out, |heard| PersonLineOut(heard.seq.0, heard.at.0, &heard.fact))
}

pub(super) fn read_person_facts(text: &str) -> serde_json::Result<Vec<Recorded<PersonFact>>> {
    let lines: Vec<PersonLine> = serde_json::from_str(text)?;
    Ok(lines.into_iter().map(|PersonLine(seq, at, fact)| Recorded { seq: Seq(seq), at: UnixTime(at), fact }).collect())
}

/// Appends `[[kind, value], …]`; nothing when there are none.
pub(super) fn write_refs(refs: &Refs, out: &mut Vec<u8>) -> serde_json::Result<()> {
    if refs.is_empty() {
        return Ok(());
    }
    serde_json::Serializer::new(out).collect_seq(refs.iter().map(|known| (&*known.kind, &*known.value)))
}

pub(super) fn read_refs(text: &str) -> serde_json::Result<Refs> {
    let pairs: Vec<(Box<str>, Box<str>)> = serde_json::from_str(text)?;
    Ok(pairs.into_iter().map(|(kind, value)| ProviderRef { kind, value }).collect())
}

/// Appends the update; nothing when there is none.
pub(super) fn write_update(update: Option<&Update>, out: &mut Vec<u8>) -> serde_json::Result<()> {
    match update {
        Some(update) => UpdateTwin::serialize(update, &mut serde_json::Serializer::new(out)),
        None => Ok(()),
    }
}

pub(super) fn read_update(text: &str) -> serde_json::Result<Option<Update>> {
    UpdateTwin::deserialize(&mut serde_json::Deserializer::from_str(text)).map(Some)
}

/// The text that is sealed: `[[until, secret], …]`.
pub(super) fn write_replaced(replaced: &[ReplacedSecret]) -> serde_json::Result<Zeroizing<String>> {
    let pairs: Vec<(i64, &str)> = replaced.iter().map(|old| (old.until.0, old.secret.expose())).collect();
    serde_json::to_string(&pairs).map(Zeroizing::new)
}

pub(super) fn read_replaced(text: &str) -> serde_json::Result<Vec<ReplacedSecret>> {
    let pairs: Vec<(i64, String)> = serde_json::from_str(text)?;
    let restored = |(until, secret): (i64, String)| {
        let secret = Zeroizing::new(secret);
        ReplacedSecret { secret: Secret::new(&secret), until: UnixTime(until) }
    };
    Ok(pairs.into_iter().map(restored).collect())
}

fn write_lines<'a, F, L: Serialize>(
    facts: &'a [Recorded<F>],
    out: &mut Vec<u8>,
    line: impl Fn(&'a Recorded<F>) -> L,
) -> serde_json::Result<()> {
    if facts.is_empty() {
        return Ok(());
    }
    serde_json::Serializer::new(out).collect_seq(facts.iter().map(line))
}

#[derive(Serialize)]
struct ProviderLineOut<'a>(u64, i64, #[serde(with = "ProviderFactTwin")] &'a ProviderFact);

#[derive(Deserialize)]
struct ProviderLine(u64, i64, #[serde(with = "ProviderFactTwin")] ProviderFact);

#[derive(Serialize)]
struct PersonLineOut<'a>(u64, i64, #[serde(with = "PersonFactTwin")] &'a PersonFact);

#[derive(Deserialize)]
struct PersonLine(u64, i64, #[serde(with = "PersonFactTwin")] PersonFact);

#[derive(Serialize, Deserialize)]
#[serde(remote = "ProviderFact", rename_all = "snake_case")]
enum ProviderFactTwin {
    Accepted,
    Unanswered,
    AdvanceWanted {
        event: Box<str>,
    },
    Confirmed {
        payment: Box<str>,
        minor: i64,
    },
    Declined {
        reason: Box<str>,
    },
    Cancelled {
        reason: Box<str>,
    },
    Refund {
        id: Box<str>,
        minor: i64,
    },
    RefundedTotal {
        minor: i64,
    },
    Chargeback {
        id: Box<str>,
        minor: i64,
    },
    ChargebackReversed {
        id: Box<str>,
    },
    #[serde(rename = "doubt")]
    ReviewHold(#[serde(with = "ReviewHoldRow")] ReviewHold),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ReviewHold", rename_all = "snake_case")]
enum ReviewHoldRow {
    OutcomeUnknown,
    AmountUnstated {
        payment: Box<str>,
    },
    Mismatch {
        what: Box<str>,
        expected: Box<str>,
        stated: Box<str>,
        stated_minor: Option<i64>,
    },
    #[serde(rename = "look")]
    Requested {
        #[serde(rename = "word")]
        status: Box<str>,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "PersonFact", rename_all = "snake_case")]
enum PersonFactTwin {
    Held(#[serde(with = "transaction_status")] TransactionStatus),
    Released,
    Approved,
    Rejected,
    Resolved { minor: i64 },
    Retried,
    RefundAsked { id: Box<str>, minor: i64 },
    RefundRefused { id: Box<str> },
    RefundDone { id: Box<str>, refund: Box<str> },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Update")]
struct UpdateTwin {
    event_id: Box<str>,
    #[serde(with = "reference")]
    reference: Option<Reference>,
    #[serde(with = "refs")]
    refs: Vec<ProviderRef>,
    #[serde(with = "provider_status")]
    status: ProviderStatus,
    payment_id: Box<str>,
    #[serde(with = "maybe_stated")]
    amount: Option<StatedAmount>,
    #[serde(with = "maybe_refund")]
    refund: Option<RefundStatement>,
    #[serde(with = "maybe_dispute")]
    dispute: Option<DisputeStatement>,
    raw_status: Box<str>,
    reason: Box<str>,
    sandbox: Option<bool>,
    advance: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "StatedAmount", rename_all = "snake_case")]
enum StatedTwin {
    Exact(#[serde(with = "money")] Money),
    Unreadable(Box<str>),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "RefundStatement")]
struct RefundTwin {
    id: Box<str>,
    #[serde(with = "StatedTwin")]
    amount: StatedAmount,
    #[serde(with = "ReachTwin")]
    reach: Reach,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Reach", rename_all = "snake_case")]
enum ReachTwin {
    Delta,
    TotalSoFar,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "DisputeStatement")]
struct DisputeTwin {
    id: Box<str>,
    #[serde(with = "maybe_stated")]
    amount: Option<StatedAmount>,
}

/// A twin of `Option<T>` where `T` has a twin.
macro_rules! maybe {
    ($name:ident, $domain:ty, $twin:literal) => {
        mod $name {
            use super::*;

            #[derive(Serialize)]
            struct Out<'a>(#[serde(with = $twin)] &'a $domain);

            #[derive(Deserialize)]
            struct In(#[serde(with = $twin)] $domain);

            pub(super) fn serialize<S: Serializer>(value: &Option<$domain>, to: S) -> Result<S::Ok, S::Error> {
                value.as_ref().map(Out).serialize(to)
            }

            pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<$domain>, D::Error> {
                Ok(Option::<In>::deserialize(from)?.map(|In(value)| value))
            }
        }
    };
}

maybe!(maybe_stated, StatedAmount, "StatedTwin");
maybe!(maybe_refund, RefundStatement, "RefundTwin");
maybe!(maybe_dispute, DisputeStatement, "DisputeTwin");

/// A twin of an enum that has published numbers.
macro_rules! by_number {
    ($name:ident, $domain:ty) => {
        mod $name {
            use super::*;

            pub(super) fn serialize<S: Serializer>(value: &$domain, to: S) -> Result<S::Ok, S::Error> {
                value.number().serialize(to)
            }

            pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<$domain, D::Error> {
                let number = i64::deserialize(from)?;
                <$domain>::from_number(number).ok_or_else(|| D::Error::custom(format!("unknown number {number}")))
            }
        }
    };
}

by_number!(transaction_status, TransactionStatus);
by_number!(provider_status, ProviderStatus);

/// `[minor, "USD"]`.
mod money {
    use super::*;

    pub(super) fn serialize<S: Serializer>(value: &Money, to: S) -> Result<S::Ok, S::Error> {
        (value.minor, value.currency.code()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Money, D::Error> {
        let (minor, code) = <(i64, Box<str>)>::deserialize(from)?;
        let currency = Currency::from_code(&code).ok_or_else(|| D::Error::custom("unknown currency"))?;
        Ok(Money::new(minor, currency))
    }
}

mod reference {
    use super::*;

    pub(super) fn serialize<S: Serializer>(value: &Option<Reference>, to: S) -> Result<S::Ok, S::Error> {
        value.as_ref().map(Reference::as_str).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Reference>, D::Error> {
        let read = |text: Box<str>| Reference::read(&text).ok_or_else(|| D::Error::custom("no reference of ours"));
        Option::<Box<str>>::deserialize(from)?.map(read).transpose()
    }
}

/// `[[kind, value], …]` as an update lists them: in its own order, repetitions included.
mod refs {
    use super::*;

    pub(super) fn serialize<S: Serializer>(value: &[ProviderRef], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(value.iter().map(|known| (&*known.kind, &*known.value)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<ProviderRef>, D::Error> {
        let pairs = Vec::<(Box<str>, Box<str>)>::deserialize(from)?;
        Ok(pairs.into_iter().map(|(kind, value)| ProviderRef { kind, value }).collect())
    }
}
