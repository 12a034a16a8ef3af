//! Facts by name and values, made from the tables of `facts`, so that a new fact needs nothing here; `titles` says what they mean.

use super::parts::DetailValue;
use crate::facts::{MismatchKind, PersonFact, ProviderFact, ReviewHold};
use crate::ids::{ManagerId, TransactionId};
use crate::money::{Currency, Money};
use crate::reason::ReasonCode;
use crate::status::TransactionStatus;

pub(super) type Details = Vec<(&'static str, DetailValue)>;

/// A fact as an entry shows it.
pub(super) trait FactText {
    fn name(&self) -> &'static str;
    /// Amounts are in this currency.
    fn details(&self, currency: Currency) -> Details;
}

/// The value of a field; empty ones are left out.
trait FactField {
    fn shown(&self, name: &'static str, currency: Currency) -> Details;
}

impl FactField for Box<str> {
    fn shown(&self, name: &'static str, _: Currency) -> Details {
        if self.is_empty() { Vec::new() } else { vec![(name, DetailValue::Text(self.to_string()))] }
    }
}

impl FactField for i64 {
    fn shown(&self, name: &'static str, currency: Currency) -> Details {
        vec![match name {
            "minor" => ("amount", DetailValue::Amount(Money::new(*self, currency))),
            "before" => ("refunded_before", DetailValue::Amount(Money::new(*self, currency))),
            "stated_minor" => ("stated_amount", DetailValue::Amount(Money::new(*self, currency))),
            _ => (name, DetailValue::Number(*self)),
        }]
    }
}

impl<T: FactField> FactField for Option<T> {
    fn shown(&self, name: &'static str, currency: Currency) -> Details {
        self.as_ref().map(|value| value.shown(name, currency)).unwrap_or_default()
    }
}

macro_rules! by_text {
    ($($type:ty: |$value:ident| $text:expr;)*) => {$(
        impl FactField for $type {
            fn shown(&self, name: &'static str, _: Currency) -> Details {
                let $value = self;
                vec![(name, DetailValue::Text($text.to_string()))]
            }
        }
    )*};
}

by_text! {
    ReasonCode: |code| code.name();
    MismatchKind: |kind| kind.name();
    TransactionStatus: |status| status.name();
    ManagerId: |id| id;
    TransactionId: |id| id;
}

impl FactField for ReviewHold {
    fn shown(&self, name: &'static str, currency: Currency) -> Details {
        let mut details = vec![(name, DetailValue::Text(FactText::name(self).to_owned()))];
        details.extend(FactText::details(self, currency));
        details
    }
}

macro_rules! texts {
    ($(#[$meta:meta])* $name:ident { $(
        $(#[$doc:meta])* $tag:literal $stored:literal $variant:ident
        $({ $($(#[$fdoc:meta])* $field:ident $(as $as:literal)? $(or $absent:literal)? : $ty:ty),* $(,)? })?
        $(( $inner:ident : $innerty:ty ))?
    );* $(;)? }) => {
        impl FactText for $name {
            fn name(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $stored,)* }
            }

            fn details(&self, currency: Currency) -> Details {
                match self { $(
                    Self::$variant $({ $($field),* })? $(( $inner ))? => {
                        let none: Details = Vec::new();
                        none.into_iter()
                            $($(.chain($field.shown(stringify!($field), currency)))*)?
                            $(.chain($inner.shown(stringify!($inner), currency)))?
                            .collect()
                    }
                )* }
            }
        }
    };
}

crate::provider_fact_table!(texts!);
crate::review_hold_table!(texts!);
crate::person_fact_table!(texts!);
