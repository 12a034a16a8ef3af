//! Facts, refs and normalized updates as the JSON of a column: private serde mirrors of the domain types, which stay free
//! of serialization. Every variant and field is named here, so that the compiler reports a mirror that falls behind.

use cashier_core::facts::{MismatchKind, PersonFact, ProviderFact, Recorded, ReviewHold};
use cashier_core::ids::{ConfigId, ManagerId, Reference, Seq, TransactionId};
use cashier_core::money::{Currency, Money};
use cashier_core::notice::{DisputeStatement, Reach, RefundStatement, StatedAmount, Update};
use cashier_core::provider_call::{CallOutcome, CallPurpose, ProviderCall};
use cashier_core::provider_config::{ReplacedSecret, Secret};
use cashier_core::reason::ReasonCode;
use cashier_core::refs::{ProviderRef, Refs};
use cashier_core::status::{ProviderStatus, TransactionStatus};
use cashier_core::time::UnixTime;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// Appends `[[seq, at, fact], …]`; nothing when there are none.
pub(super) fn write_provider_facts(facts: &[Recorded<ProviderFact>], out: &mut Vec<u8>) -> serde_json::Result<()> {
    write_lines(facts, out, |known| ProviderLineOut(known.seq.0, known.at.0, &known.fact))
}

pub(super) fn read_provider_facts(text: &str) -> serde_json::Result<Vec<Recorded<ProviderFact>>> {
    let lines: Vec<ProviderLine> = serde_json::from_str(text)?;
    Ok(lines
        .into_iter()
        .map(|ProviderLine(seq, at, fact)| Recorded { seq: Seq(seq), at: UnixTime(at), fact })
        .collect())
}

pub(super) fn write_person_facts(facts: &[Recorded<PersonFact>], out: &mut Vec<u8>) -> serde_json::Result<()> {
    write_lines(facts, out, |known| PersonLineOut(known.seq.0, known.at.0, &known.fact))
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

/// Appends `[id, …]`; nothing when there are none.
pub(super) fn write_configs(configs: &[ConfigId], out: &mut Vec<u8>) -> serde_json::Result<()> {
    if configs.is_empty() {
        return Ok(());
    }
    serde_json::Serializer::new(out).collect_seq(configs.iter().map(|config| config.0))
}

pub(super) fn read_configs(text: &str) -> serde_json::Result<Box<[ConfigId]>> {
    let ids: Vec<u64> = serde_json::from_str(text)?;
    Ok(ids.into_iter().map(ConfigId).collect())
}

/// Appends `[[at, purpose, method, host, status, ms, outcome], …]`.
pub(super) fn write_calls(calls: &[ProviderCall], out: &mut Vec<u8>) -> serde_json::Result<()> {
    serde_json::Serializer::new(out).collect_seq(calls.iter().map(|call| {
        let ProviderCall { at, purpose, method, host, status, duration_ms, outcome } = call;
        (at.0, purpose.number(), &**method, &**host, status, duration_ms, outcome.number())
    }))
}

/// One call as it is stored: `[at, purpose, method, host, status, ms, outcome]`.
type StoredCall = (i64, i64, Box<str>, Box<str>, u16, u32, i64);

pub(super) fn read_calls(text: &str) -> serde_json::Result<Vec<ProviderCall>> {
    let lines: Vec<StoredCall> = serde_json::from_str(text)?;
    let call = |(at, purpose, method, host, status, duration_ms, outcome)| {
        let unknown = || serde_json::Error::custom("an unknown number");
        Ok(ProviderCall {
            at: UnixTime(at),
            purpose: CallPurpose::from_number(purpose).ok_or_else(unknown)?,
            method,
            host,
            status,
            duration_ms,
            outcome: CallOutcome::from_number(outcome).ok_or_else(unknown)?,
        })
    };
    lines.into_iter().map(call).collect()
}

/// Appends `[name, …]`; nothing when there are none.
pub(super) fn write_names(names: &[Box<str>], out: &mut Vec<u8>) -> serde_json::Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    serde_json::Serializer::new(out).collect_seq(names)
}

pub(super) fn read_names(text: &str) -> serde_json::Result<Vec<Box<str>>> {
    serde_json::from_str(text)
}

/// Appends the update; nothing when there is none.
pub(super) fn write_update(update: Option<&Update>, out: &mut Vec<u8>) -> serde_json::Result<()> {
    match update {
        Some(update) => StoredUpdate::serialize(update, &mut serde_json::Serializer::new(out)),
        None => Ok(()),
    }
}

pub(super) fn read_update(text: &str) -> serde_json::Result<Option<Update>> {
    StoredUpdate::deserialize(&mut serde_json::Deserializer::from_str(text)).map(Some)
}

/// The text to seal: `[[until, secret], …]`.
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
struct ProviderLineOut<'a>(u64, i64, #[serde(with = "ProviderFactRow")] &'a ProviderFact);

#[derive(Deserialize)]
struct ProviderLine(u64, i64, #[serde(with = "ProviderFactRow")] ProviderFact);

#[derive(Serialize)]
struct PersonLineOut<'a>(u64, i64, #[serde(with = "PersonFactRow")] &'a PersonFact);

#[derive(Deserialize)]
struct PersonLine(u64, i64, #[serde(with = "PersonFactRow")] PersonFact);

/// One table of facts as stored JSON: each fact under its stored name, with its fields.
macro_rules! stored {
    ($row:ident $remote:literal
    $(#[$meta:meta])* $name:ident { $(
        $(#[$doc:meta])* $tag:literal $stored:literal $variant:ident
        $({ $($(#[$fdoc:meta])* $field:ident $(as $as:literal)? $(or $absent:literal)? : $ty:ty),* $(,)? })?
        $(( $inner:ident : $innerty:ty ))?
    );* $(;)? }) => {
        #[derive(Serialize, Deserialize)]
        #[serde(remote = $remote)]
        enum $row { $(
            #[serde(rename = $stored)]
            $variant
            $({ $(
                $(#[serde(rename = $as)])?
                $(#[doc = $absent] #[serde(default, skip_serializing_if = "str::is_empty")])?
                #[serde(with = "field")]
                $field: $ty
            ),* })?
            $((#[serde(with = "field")] $innerty))?
        ),* }
    };
}

cashier_core::provider_fact_table!(stored! ProviderFactRow "ProviderFact");
cashier_core::review_hold_table!(stored! ReviewHoldRow "ReviewHold");
cashier_core::person_fact_table!(stored! PersonFactRow "PersonFact");

/// How a field is stored.
trait StoredField: Sized {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error>;
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error>;
}

mod field {
    use super::*;

    pub(super) fn serialize<T: StoredField, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        value.write(to)
    }

    pub(super) fn deserialize<'de, T: StoredField, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        T::read(from)
    }
}

macro_rules! stored_field {
    ($($type:ty: |$value:ident| $write:expr, $raw:ty => $read:expr, $what:literal;)*) => {$(
        impl StoredField for $type {
            fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                let $value = self;
                $write.serialize(to)
            }

            fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let read: fn($raw) -> Option<Self> = $read;
                read(<$raw>::deserialize(from)?).ok_or_else(|| D::Error::custom($what))
            }
        }
    )*};
}

stored_field! {
    Box<str>: |text| text, Box<str> => Some, "not a text";
    i64: |number| number, i64 => Some, "not a number";
    ManagerId: |id| id.0, u64 => |id| Some(ManagerId(id)), "not an id";
    TransactionId: |id| id.0, u64 => |id| Some(TransactionId(id)), "not an id";
    TransactionStatus: |status| status.number(), i64 => TransactionStatus::from_number, "unknown transaction status";
    ProviderStatus: |status| status.number(), i64 => ProviderStatus::from_number, "unknown provider status";
    ReasonCode: |code| code.name(), Box<str> => |name| ReasonCode::from_name(&name), "unknown reason code";
    MismatchKind: |kind| kind.name(), Box<str> => |name| MismatchKind::from_name(&name), "unknown kind of mismatch";
    Reference: |reference| reference.as_str(), Box<str> => |text| Reference::read(&text), "not a reference of ours";
    Money: |money| (money.minor, money.currency.code()), (i64, Box<str>) => |(minor, code)| {
        Some(Money::new(minor, Currency::from_code(&code)?))
    }, "unknown currency";
}

/// Types that have a mirror for serde.
macro_rules! mirrored {
    ($($type:ty: $mirror:ident;)*) => {$(
        impl StoredField for $type {
            fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                $mirror::serialize(self, to)
            }

            fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $mirror::deserialize(from)
            }
        }
    )*};
}

mirrored! {
    ReviewHold: ReviewHoldRow;
    StatedAmount: StoredAmount;
    RefundStatement: StoredRefund;
    Reach: StoredReach;
    DisputeStatement: StoredDispute;
}

impl<T: StoredField> StoredField for Option<T> {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        struct Out<'a, T>(&'a T);
        impl<T: StoredField> Serialize for Out<'_, T> {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                self.0.write(to)
            }
        }
        self.as_ref().map(Out).serialize(to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct In<T>(T);
        impl<'de, T: StoredField> Deserialize<'de> for In<T> {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                T::read(from).map(In)
            }
        }
        Ok(Option::<In<T>>::deserialize(from)?.map(|In(value)| value))
    }
}

/// `[[kind, value], …]` as an update lists them: in the given order, repetitions included.
impl StoredField for Vec<ProviderRef> {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.iter().map(|known| (&*known.kind, &*known.value)))
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let pairs = Vec::<(Box<str>, Box<str>)>::deserialize(from)?;
        Ok(pairs.into_iter().map(|(kind, value)| ProviderRef { kind, value }).collect())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Update")]
struct StoredUpdate {
    event_id: Box<str>,
    #[serde(with = "field")]
    reference: Option<Reference>,
    #[serde(with = "field")]
    refs: Vec<ProviderRef>,
    #[serde(with = "field")]
    status: ProviderStatus,
    payment_id: Box<str>,
    #[serde(with = "field")]
    amount: Option<StatedAmount>,
    #[serde(with = "field")]
    refund: Option<RefundStatement>,
    #[serde(with = "field")]
    dispute: Option<DisputeStatement>,
    raw_status: Box<str>,
    reason: Box<str>,
    sandbox: Option<bool>,
    #[serde(default, skip_serializing_if = "is_false")]
    mode_conflict: bool,
    advance: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "StatedAmount", rename_all = "snake_case")]
enum StoredAmount {
    Exact(#[serde(with = "field")] Money),
    Unreadable(Box<str>),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "RefundStatement")]
struct StoredRefund {
    id: Box<str>,
    #[serde(with = "field")]
    amount: StatedAmount,
    #[serde(with = "field")]
    reach: Reach,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    requested: Box<str>,
}

/// What is false is left out, as in rows of builds that did not know the field.
fn is_false(value: &bool) -> bool {
    !value
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Reach", rename_all = "snake_case")]
enum StoredReach {
    Delta,
    TotalSoFar,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "DisputeStatement")]
struct StoredDispute {
    id: Box<str>,
    #[serde(with = "field")]
    amount: Option<StatedAmount>,
}
