//! Facts as bytes, and back. The tags live in memory only; each stands once in the writer and once in the reader.

use super::codec::{Reader, Writer};
use crate::facts::{Facts, PersonFact, ProviderFact, Recorded, ReviewHold};
use crate::ids::Seq;
use crate::status::TransactionStatus;
use crate::time::UnixTime;

pub(super) fn spell_facts(w: &mut Writer, facts: &Facts, created: i64) {
    w.number(facts.provider.len() as u64);
    for known in &facts.provider {
        w.number(known.seq.0);
        w.moment(known.at.0, created);
        spell_provider_fact(w, &known.fact);
    }
    w.number(facts.persons.len() as u64);
    for known in &facts.persons {
        w.number(known.seq.0);
        w.moment(known.at.0, created);
        spell_person_fact(w, &known.fact);
    }
}

pub(super) fn read_facts(r: &mut Reader<'_>, created: i64) -> Option<Facts> {
    Some(Facts {
        provider: read_heard(r, created, read_provider_fact)?,
        persons: read_heard(r, created, read_person_fact)?,
    })
}

fn read_heard<F>(
    r: &mut Reader<'_>,
    created: i64,
    read: impl Fn(&mut Reader<'_>) -> Option<F>,
) -> Option<Vec<Recorded<F>>> {
    let count = r.number()?;
    let one = |_| Some(Recorded { seq: Seq(r.number()?), at: UnixTime(r.moment(created)?), fact: read(r)? });
    (0..count).map(one).collect()
}

fn spell_provider_fact(w: &mut Writer, fact: &ProviderFact) {
    match fact {
        ProviderFact::Accepted => w.byte(0),
        ProviderFact::Unanswered => w.byte(1),
        ProviderFact::AdvanceWanted { event } => {
            w.byte(2);
            w.text(event);
        }
        ProviderFact::Confirmed { payment, minor } => spell_sum(w, 3, payment, *minor),
        ProviderFact::Declined { reason } => {
            w.byte(4);
            w.text(reason);
        }
        ProviderFact::Cancelled { reason } => {
            w.byte(5);
            w.text(reason);
        }
        ProviderFact::Refund { id, minor } => spell_sum(w, 6, id, *minor),
        ProviderFact::RefundedTotal { minor } => {
            w.byte(7);
            w.signed(*minor);
        }
        ProviderFact::Chargeback { id, minor } => spell_sum(w, 8, id, *minor),
        ProviderFact::ChargebackReversed { id } => {
            w.byte(9);
            w.text(id);
        }
        ProviderFact::ReviewHold(ReviewHold::OutcomeUnknown) => w.byte(10),
        ProviderFact::ReviewHold(ReviewHold::AmountUnstated { payment }) => {
            w.byte(11);
            w.text(payment);
        }
        ProviderFact::ReviewHold(ReviewHold::Mismatch { what, expected, stated, stated_minor }) => {
            w.byte(12);
            w.text(what);
            w.text(expected);
            w.text(stated);
            w.byte(stated_minor.is_some().into());
            w.signed(stated_minor.unwrap_or(0));
        }
        ProviderFact::ReviewHold(ReviewHold::Requested { status }) => {
            w.byte(13);
            w.text(status);
        }
    }
}

fn read_provider_fact(r: &mut Reader<'_>) -> Option<ProviderFact> {
    Some(match r.byte()? {
        0 => ProviderFact::Accepted,
        1 => ProviderFact::Unanswered,
        2 => ProviderFact::AdvanceWanted { event: r.text()?.into() },
        3 => ProviderFact::Confirmed { payment: r.text()?.into(), minor: r.signed()? },
        4 => ProviderFact::Declined { reason: r.text()?.into() },
        5 => ProviderFact::Cancelled { reason: r.text()?.into() },
        6 => ProviderFact::Refund { id: r.text()?.into(), minor: r.signed()? },
        7 => ProviderFact::RefundedTotal { minor: r.signed()? },
        8 => ProviderFact::Chargeback { id: r.text()?.into(), minor: r.signed()? },
        9 => ProviderFact::ChargebackReversed { id: r.text()?.into() },
        10 => ProviderFact::ReviewHold(ReviewHold::OutcomeUnknown),
        11 => ProviderFact::ReviewHold(ReviewHold::AmountUnstated { payment: r.text()?.into() }),
        12 => ProviderFact::ReviewHold(read_mismatch(r)?),
        13 => ProviderFact::ReviewHold(ReviewHold::Requested { status: r.text()?.into() }),
        _ => return None,
    })
}

fn read_mismatch(r: &mut Reader<'_>) -> Option<ReviewHold> {
    let (what, expected, stated) = (r.text()?.into(), r.text()?.into(), r.text()?.into());
    let is_stated = r.byte()? != 0;
    let minor = r.signed()?;
    Some(ReviewHold::Mismatch { what, expected, stated, stated_minor: is_stated.then_some(minor) })
}

fn spell_person_fact(w: &mut Writer, fact: &PersonFact) {
    match fact {
        PersonFact::Held(status) => {
            w.byte(0);
            w.byte(status.number());
        }
        PersonFact::Released => w.byte(1),
        PersonFact::Approved => w.byte(2),
        PersonFact::Rejected => w.byte(3),
        PersonFact::Resolved { minor } => {
            w.byte(4);
            w.signed(*minor);
        }
        PersonFact::Retried => w.byte(5),
        PersonFact::RefundAsked { id, minor } => spell_sum(w, 6, id, *minor),
        PersonFact::RefundRefused { id } => {
            w.byte(7);
            w.text(id);
        }
        PersonFact::RefundDone { id, refund } => {
            w.byte(8);
            w.text(id);
            w.text(refund);
        }
    }
}

fn read_person_fact(r: &mut Reader<'_>) -> Option<PersonFact> {
    Some(match r.byte()? {
        0 => PersonFact::Held(TransactionStatus::from_number(r.byte()?.into())?),
        1 => PersonFact::Released,
        2 => PersonFact::Approved,
        3 => PersonFact::Rejected,
        4 => PersonFact::Resolved { minor: r.signed()? },
        5 => PersonFact::Retried,
        6 => PersonFact::RefundAsked { id: r.text()?.into(), minor: r.signed()? },
        7 => PersonFact::RefundRefused { id: r.text()?.into() },
        8 => PersonFact::RefundDone { id: r.text()?.into(), refund: r.text()?.into() },
        _ => return None,
    })
}

fn spell_sum(w: &mut Writer, tag: u8, id: &str, minor: i64) {
    w.byte(tag);
    w.text(id);
    w.signed(minor);
}
