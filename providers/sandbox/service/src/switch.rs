//! Switches: the table of every failure that can be simulated, and the text form of a switch.
//! `behavior` turns switches into decisions; `payments`, `state` and `webhook_sender` act on them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::decimal_amount::DecimalAmount;
use crate::event_kind::EventKind;

/// Longest delay of a switch: twice the timeout of a slow client, and a held connection is released.
pub const DELAY_MS_MAX: u64 = 120_000;
/// Events in one switch: enough for every kind once, and one repetition.
pub const EVENTS_MAX: usize = 8;
/// Switches in one list: every row of the table may be on at once.
pub const SWITCHES_MAX: usize = 32;
/// The metadata key that is read as a comma-separated list of switches.
pub const METADATA_KEY: &str = "sandbox_switches";

/// One simulated failure. Written `name` or `name:argument`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Switch {
    Auto(EventKind),
    CreateDecline,
    Create500(Times),
    CreateBusy(Times),
    CreateSlow(u64),
    CreateHang,
    CreateDrop,
    CreateLost(Times),
    CreateGarbage,
    PayDecline,
    Query500,
    CancelRefuse,
    RefundDecline,
    RefundSlow(u64),
    RefundDrop(Times),
    RefundFails(u64),
    WebhookBeforeAnswer(EventKind),
    WebhookEvents(Vec<EventKind>),
    WebhookTwice,
    WebhookLate(u64),
    WebhookNever,
    WebhookAmount(Option<DecimalAmount>),
    WebhookCurrency(Option<String>),
    WebhookReference(String),
    WebhookLivemode,
    WebhookBadSignature,
    WebhookNoSignature,
    WebhookOld(u64),
    WebhookGarbage,
}

/// How often under one idempotency key; `None` is always.
pub type Times = Option<u32>;

/// A line of the published table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SwitchRow {
    pub name: &'static str,
    /// What may follow the colon; empty when nothing may.
    pub argument: &'static str,
    pub meaning: &'static str,
}

const fn row(name: &'static str, argument: &'static str, meaning: &'static str) -> SwitchRow {
    SwitchRow { name, argument, meaning }
}

/// Every switch, in the order of a payment's lifecycle. The README contains this table; a test compares them.
pub const SWITCHES: [SwitchRow; 29] = [
    row(
        "auto",
        "[event], default confirmed",
        "no browser needed: right after the create answer is made, this event happens",
    ),
    row("create_decline", "", "create answers 402 `declined`; the payment is recorded as failed, no webhook"),
    row("create_500", "[times], default always", "create answers 500 `internal`, nothing is recorded"),
    row("create_busy", "[times], default always", "create answers 429 `busy` with Retry-After: 1, nothing is recorded"),
    row("create_slow", "ms", "create is recorded at once and answered after this delay"),
    row("create_hang", "", "create is recorded, then never answered; the connection is closed after 120 s"),
    row("create_drop", "", "create is recorded, then the connection is closed without an answer"),
    row("create_lost", "[times], default always", "the connection is closed without an answer and nothing is recorded"),
    row("create_garbage", "", "create is recorded, then answered 200 with a body that is not JSON"),
    row("pay_decline", "", "pressing Pay declines the payment"),
    row("query_500", "", "GET of this payment, and lists that contain it, answer 500 `internal`"),
    row("cancel_refuse", "", "cancel answers 409 `not_allowed`"),
    row("refund_decline", "", "refunds answer 402 `declined`"),
    row("refund_slow", "ms", "a refund is made at once and answered after this delay"),
    row("refund_drop", "[times], default always", "a refund is made, then the connection is closed without an answer"),
    row("refund_fails", "ms", "a refund is made, and this long after it fails: `payment.refund_failed`"),
    row(
        "webhook_before_answer",
        "[event], default pending",
        "this event happens, and its webhook is sent, before create answers",
    ),
    row("webhook_events", "event+event+…", "pressing Pay makes all these events happen and sends them in this order"),
    row("webhook_twice", "", "every event is delivered twice, under the same event id"),
    row("webhook_late", "ms", "every webhook is sent after this delay"),
    row("webhook_never", "", "no webhook is sent; the delivery log states `withheld`, redeliver sends it"),
    row("webhook_amount", "[amount], default one unit more", "webhooks state this amount, with a valid signature"),
    row(
        "webhook_currency",
        "[currency], default EUR, or USD for EUR",
        "webhooks state this currency, with a valid signature",
    ),
    row("webhook_reference", "reference", "webhooks state this reference, with a valid signature"),
    row("webhook_livemode", "", "webhooks state livemode true, with a valid signature"),
    row("webhook_bad_signature", "", "webhooks are signed with another secret"),
    row("webhook_no_signature", "", "webhooks carry no signature header"),
    row("webhook_old", "[seconds], default 3600", "the signed timestamp is that old"),
    row("webhook_garbage", "", "the webhook body is not JSON, with a valid signature"),
];

impl Switch {
    /// The name in the table.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Auto(_) => "auto",
            Self::CreateDecline => "create_decline",
            Self::Create500(_) => "create_500",
            Self::CreateBusy(_) => "create_busy",
            Self::CreateSlow(_) => "create_slow",
            Self::CreateHang => "create_hang",
            Self::CreateDrop => "create_drop",
            Self::CreateLost(_) => "create_lost",
            Self::CreateGarbage => "create_garbage",
            Self::PayDecline => "pay_decline",
            Self::Query500 => "query_500",
            Self::CancelRefuse => "cancel_refuse",
            Self::RefundDecline => "refund_decline",
            Self::RefundSlow(_) => "refund_slow",
            Self::RefundDrop(_) => "refund_drop",
            Self::RefundFails(_) => "refund_fails",
            Self::WebhookBeforeAnswer(_) => "webhook_before_answer",
            Self::WebhookEvents(_) => "webhook_events",
            Self::WebhookTwice => "webhook_twice",
            Self::WebhookLate(_) => "webhook_late",
            Self::WebhookNever => "webhook_never",
            Self::WebhookAmount(_) => "webhook_amount",
            Self::WebhookCurrency(_) => "webhook_currency",
            Self::WebhookReference(_) => "webhook_reference",
            Self::WebhookLivemode => "webhook_livemode",
            Self::WebhookBadSignature => "webhook_bad_signature",
            Self::WebhookNoSignature => "webhook_no_signature",
            Self::WebhookOld(_) => "webhook_old",
            Self::WebhookGarbage => "webhook_garbage",
        }
    }

    fn argument(&self) -> Option<String> {
        match self {
            Self::Auto(kind) | Self::WebhookBeforeAnswer(kind) => Some(kind.to_string()),
            Self::Create500(times) | Self::CreateBusy(times) | Self::CreateLost(times) | Self::RefundDrop(times) => {
                times.map(|n| n.to_string())
            }
            Self::CreateSlow(n)
            | Self::WebhookLate(n)
            | Self::WebhookOld(n)
            | Self::RefundSlow(n)
            | Self::RefundFails(n) => Some(n.to_string()),
            Self::WebhookEvents(kinds) => Some(kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join("+")),
            Self::WebhookAmount(amount) => amount.map(|amount| amount.to_string()),
            Self::WebhookCurrency(currency) => currency.clone(),
            Self::WebhookReference(reference) => Some(reference.clone()),
            Self::CreateDecline
            | Self::CreateHang
            | Self::CreateDrop
            | Self::CreateGarbage
            | Self::PayDecline
            | Self::Query500
            | Self::CancelRefuse
            | Self::RefundDecline
            | Self::WebhookTwice
            | Self::WebhookNever
            | Self::WebhookLivemode
            | Self::WebhookBadSignature
            | Self::WebhookNoSignature
            | Self::WebhookGarbage => None,
        }
    }
}

impl FromStr for Switch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, argument) = match text.trim().split_once(':') {
            Some((name, argument)) => (name, Some(argument)),
            None => (text.trim(), None),
        };
        let bare = |switch: Self| match argument {
            None => Ok(switch),
            Some(_) => Err(format!("switch `{name}` takes no argument")),
        };
        let named = |what: &str| {
            argument.filter(|a| !a.is_empty()).ok_or(format!("switch `{name}` needs {what}: `{name}:{what}`"))
        };
        let event = |default| argument.map_or(Ok(default), |event| first_event(name, event));
        let times =
            || argument.map(|a| number(name, a, 1_000).map(|n| u32::try_from(n).unwrap_or(u32::MAX))).transpose();

        match name {
            "auto" => Ok(Self::Auto(event(EventKind::Confirmed)?)),
            "create_decline" => bare(Self::CreateDecline),
            "create_500" => Ok(Self::Create500(times()?)),
            "create_busy" => Ok(Self::CreateBusy(times()?)),
            "create_slow" => Ok(Self::CreateSlow(number(name, named("ms")?, DELAY_MS_MAX)?)),
            "create_hang" => bare(Self::CreateHang),
            "create_drop" => bare(Self::CreateDrop),
            "create_lost" => Ok(Self::CreateLost(times()?)),
            "create_garbage" => bare(Self::CreateGarbage),
            "pay_decline" => bare(Self::PayDecline),
            "query_500" => bare(Self::Query500),
            "cancel_refuse" => bare(Self::CancelRefuse),
            "refund_decline" => bare(Self::RefundDecline),
            "refund_slow" => Ok(Self::RefundSlow(number(name, named("ms")?, DELAY_MS_MAX)?)),
            "refund_drop" => Ok(Self::RefundDrop(times()?)),
            "refund_fails" => Ok(Self::RefundFails(number(name, named("ms")?, DELAY_MS_MAX)?)),
            "webhook_before_answer" => Ok(Self::WebhookBeforeAnswer(event(EventKind::Pending)?)),
            "webhook_events" => Ok(Self::WebhookEvents(events(name, named("event+event+…")?)?)),
            "webhook_twice" => bare(Self::WebhookTwice),
            "webhook_late" => Ok(Self::WebhookLate(number(name, named("ms")?, DELAY_MS_MAX)?)),
            "webhook_never" => bare(Self::WebhookNever),
            "webhook_amount" => Ok(Self::WebhookAmount(argument.map(str::parse).transpose()?)),
            "webhook_currency" => match argument {
                Some(currency) if !is_currency(currency) => {
                    Err(format!("switch `{name}` needs a currency such as EUR"))
                }
                currency => Ok(Self::WebhookCurrency(currency.map(str::to_owned))),
            },
            "webhook_reference" => {
                let reference = named("reference")?;
                if !is_reference(reference) {
                    return Err(format!("switch `{name}` needs 1..=64 visible ASCII characters"));
                }
                Ok(Self::WebhookReference(reference.to_owned()))
            }
            "webhook_livemode" => bare(Self::WebhookLivemode),
            "webhook_bad_signature" => bare(Self::WebhookBadSignature),
            "webhook_no_signature" => bare(Self::WebhookNoSignature),
            // Ten years back is older than any tolerance.
            "webhook_old" => Ok(Self::WebhookOld(argument.map_or(Ok(3_600), |a| number(name, a, 315_360_000))?)),
            "webhook_garbage" => bare(Self::WebhookGarbage),
            unknown => Err(format!("unknown switch `{}`", unknown.escape_default())),
        }
    }
}

/// An event that is allowed as the first of a payment.
fn first_event(name: &str, event: &str) -> Result<EventKind, String> {
    match event.parse()? {
        kind @ (EventKind::Pending | EventKind::Confirmed | EventKind::Failed | EventKind::Cancelled) => Ok(kind),
        EventKind::Refunded | EventKind::RefundFailed | EventKind::Chargeback | EventKind::ChargebackReversed => {
            Err(format!("switch `{name}` takes pending, confirmed, failed or cancelled"))
        }
    }
}

/// A list that a payment can go through in lifecycle order, independently of the order of sending.
fn events(name: &str, list: &str) -> Result<Vec<EventKind>, String> {
    let kinds = list.split('+').map(str::parse).collect::<Result<Vec<EventKind>, _>>()?;
    if kinds.len() > EVENTS_MAX {
        return Err(format!("switch `{name}` takes at most {EVENTS_MAX} events"));
    }
    for kind in &kinds {
        let required = match kind {
            EventKind::Pending | EventKind::Confirmed | EventKind::Failed | EventKind::Cancelled => continue,
            EventKind::Refunded | EventKind::Chargeback => EventKind::Confirmed,
            EventKind::RefundFailed => EventKind::Refunded,
            EventKind::ChargebackReversed => EventKind::Chargeback,
        };
        if !kinds.contains(&required) {
            return Err(format!("switch `{name}`: {kind} needs {required} in the same list"));
        }
    }
    Ok(kinds)
}

fn number(name: &str, text: &str, max: u64) -> Result<u64, String> {
    let digits = !text.is_empty() && text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(n) if digits && n <= max => Ok(n),
        _ => Err(format!("switch `{name}` needs a whole number up to {max}")),
    }
}

/// 3..=10 characters `A-Z0-9`: ISO codes and the tickers of crypto currencies.
pub(crate) fn is_currency(text: &str) -> bool {
    (3..=10).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

/// 1..=64 visible ASCII characters: enough for a UUID with a prefix, and safe in a query string after encoding.
pub(crate) fn is_reference(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.argument() {
            Some(argument) => write!(f, "{}:{argument}", self.name()),
            None => f.write_str(self.name()),
        }
    }
}

impl Serialize for Switch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Reads the metadata form, such as `webhook_twice, create_slow:500`.
pub(crate) fn read_list(text: &str) -> Result<Vec<Switch>, String> {
    text.split(',').filter(|part| !part.trim().is_empty()).map(str::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_switch_parses_and_prints_the_same_text() {
        for row in SWITCHES {
            let sample = match row.argument {
                "" => row.name.to_owned(),
                "ms" => format!("{}:250", row.name),
                "event+event+…" => format!("{}:failed+confirmed", row.name),
                "reference" => format!("{}:R-2", row.name),
                _ => row.name.to_owned(),
            };
            let switch: Switch = sample.parse().unwrap();
            assert_eq!(switch.name(), row.name);
            assert_eq!(switch.to_string().parse::<Switch>().unwrap(), switch, "{sample}");
        }
    }

    #[test]
    fn the_readme_contains_every_switch() {
        let readme = include_str!("../README.md");
        for row in SWITCHES {
            let line = format!("| `{}` | {} | {} |", row.name, row.argument, row.meaning);
            assert!(readme.contains(&line), "README lacks: {line}");
        }
    }

    #[test]
    fn an_unknown_or_malformed_switch_is_refused() {
        for text in [
            "",
            "webhook_thrice",
            "webhook_twice:2",
            "create_slow",
            "create_slow:",
            "create_slow:-1",
            "create_slow:120001",
            "webhook_events",
            "webhook_events:paid",
            "webhook_events:refunded",
            "auto:refunded",
            "webhook_amount:x",
            "webhook_currency:eur",
            "webhook_reference:a b",
            "auto:",
        ] {
            assert!(text.parse::<Switch>().is_err(), "{text}");
        }
        assert_eq!(read_list(" webhook_twice ,create_slow:5,").unwrap(), [Switch::WebhookTwice, Switch::CreateSlow(5)]);
    }
}
