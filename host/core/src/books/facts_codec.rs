//! Facts as bytes of a packed row, and back. Tags and fields come from the table of facts; the bytes live in memory only.

use super::codec::{Reader, Writer};
use crate::facts::{Facts, MismatchKind, PersonFact, ProviderFact, Recorded, ReviewHold};
use crate::ids::{ManagerId, Seq, TransactionId};
use crate::reason::ReasonCode;
use crate::status::TransactionStatus;
use crate::time::UnixTime;

/// A value in a packed row.
trait Packed: Sized {
    fn write(&self, w: &mut Writer);
    /// `None` where the bytes are something else.
    fn read(r: &mut Reader<'_>) -> Option<Self>;
}

pub(super) fn write_facts(w: &mut Writer, facts: &Facts, created: i64) {
    write_list(w, &facts.provider, created);
    write_list(w, &facts.persons, created);
}

pub(super) fn read_facts(r: &mut Reader<'_>, created: i64) -> Option<Facts> {
    Some(Facts { provider: read_list(r, created)?, persons: read_list(r, created)? })
}

fn write_list<F: Packed>(w: &mut Writer, facts: &[Recorded<F>], created: i64) {
    w.number(facts.len() as u64);
    for known in facts {
        w.number(known.seq.0);
        w.moment(known.at.0, created);
        known.fact.write(w);
    }
}

fn read_list<F: Packed>(r: &mut Reader<'_>, created: i64) -> Option<Vec<Recorded<F>>> {
    let count = r.number()?;
    let one = |_| Some(Recorded { seq: Seq(r.number()?), at: UnixTime(r.moment(created)?), fact: F::read(r)? });
    (0..count).map(one).collect()
}

impl Packed for Box<str> {
    fn write(&self, w: &mut Writer) {
        w.text(self);
    }

    fn read(r: &mut Reader<'_>) -> Option<Self> {
        r.text().map(Into::into)
    }
}

impl Packed for i64 {
    fn write(&self, w: &mut Writer) {
        w.signed(*self);
    }

    fn read(r: &mut Reader<'_>) -> Option<Self> {
        r.signed()
    }
}

impl Packed for Option<i64> {
    fn write(&self, w: &mut Writer) {
        w.byte(self.is_some().into());
        w.signed(self.unwrap_or(0));
    }

    fn read(r: &mut Reader<'_>) -> Option<Self> {
        let is_some = r.byte()? != 0;
        let number = r.signed()?;
        Some(is_some.then_some(number))
    }
}

/// An id as a number.
macro_rules! as_number {
    ($($name:ident)*) => {$(
        impl Packed for $name {
            fn write(&self, w: &mut Writer) {
                w.number(self.0);
            }

            fn read(r: &mut Reader<'_>) -> Option<Self> {
                r.number().map(Self)
            }
        }
    )*};
}

as_number!(ManagerId TransactionId);

/// An enum as one byte.
macro_rules! as_byte {
    ($($name:ty: $to:expr, $from:expr;)*) => {$(
        impl Packed for $name {
            fn write(&self, w: &mut Writer) {
                w.byte($to(*self));
            }

            fn read(r: &mut Reader<'_>) -> Option<Self> {
                $from(r.byte()?)
            }
        }
    )*};
}

as_byte! {
    ReasonCode: ReasonCode::number, ReasonCode::from_number;
    TransactionStatus: TransactionStatus::number, |byte: u8| TransactionStatus::from_number(byte.into());
    MismatchKind: |kind| kind as u8, |byte: u8| MismatchKind::ALL.get(usize::from(byte)).copied();
}

/// One table of facts: the tag as a byte, then the fields in their order.
macro_rules! packed {
    ($(#[$meta:meta])* $name:ident { $(
        $(#[$doc:meta])* $tag:literal $stored:literal $variant:ident
        $({ $($(#[$fdoc:meta])* $field:ident $(as $as:literal)? $(or $absent:literal)? : $ty:ty),* $(,)? })?
        $(( $inner:ident : $innerty:ty ))?
    );* $(;)? }) => {
        impl Packed for $name {
            fn write(&self, w: &mut Writer) {
                match self { $(
                    Self::$variant $({ $($field),* })? $(( $inner ))? => {
                        w.byte($tag);
                        $($($field.write(w);)*)?
                        $($inner.write(w);)?
                    }
                )* }
            }

            fn read(r: &mut Reader<'_>) -> Option<Self> {
                Some(match r.byte()? {
                    $($tag => Self::$variant
                        $({ $($field: Packed::read(r)?),* })?
                        $(( <$innerty as Packed>::read(r)? ))?,)*
                    _ => return None,
                })
            }
        }
    };
}

crate::provider_fact_table!(packed!);
crate::review_hold_table!(packed!);
crate::person_fact_table!(packed!);
