//! What of the facts is still open, whichever reason is shown: the review holds that nothing has ended, and a status that a
//! person wrote. It derives no status; `standing` does.

use super::{Facts, PersonFact, ProviderFact, Recording, ReviewHold};
use crate::ids::Seq;
use crate::time::UnixTime;

impl Facts {
    /// The review holds that neither other facts nor a person have ended. Several may be open; one of them is shown.
    pub fn open_holds(&self) -> impl Iterator<Item = &ReviewHold> {
        let (resolved_at, resolved) = self.newest_resolution().unwrap_or((Seq(0), 0));
        let went_back = self.went_back_since(resolved_at);
        let credit = self.resolved_credit();
        // Where a person credited none of it, what goes back of this one leaves the credit of the order's other payment.
        let beside = resolved > 0 && self.any(ProviderFact::is_confirmation);
        let of_it = move |payment: &str| {
            let is_of = |fact: &ProviderFact| fact.is_reversal() && fact.reversed_payment() == payment;
            self.provider.iter().any(|known| known.seq > resolved_at && is_of(&known.fact))
        };
        self.provider.iter().filter_map(move |known| match &known.fact {
            ProviderFact::ReviewHold(hold) => {
                let payment = hold.payment();
                let is_credited = credit.held.contains_key(payment);
                let is_unclear = credit.is_unclear && is_credited && went_back;
                let is_misplaced = matches!(hold, ReviewHold::Misplaced { payment, .. } if of_it(payment));
                let again = is_unclear
                    || is_misplaced
                    || (matches!(hold, ReviewHold::Beside { .. }) && resolved == 0 && went_back)
                    || matches!(hold, ReviewHold::PaymentReused { .. })
                        && ((resolved == 0 && went_back)
                            || (beside && !is_credited && !payment.is_empty() && of_it(payment)));
                ((known.seq > resolved_at || again) && !self.end(hold)).then_some(hold)
            }
            _ => None,
        })
    }

    /// Records a review, anew where a person has ended it: then it is open again.
    pub(crate) fn hold_anew(&mut self, seq: Seq, at: UnixTime, hold: ReviewHold) -> Recording {
        let is_same = |fact: &ProviderFact| matches!(fact, ProviderFact::ReviewHold(known) if *known == hold);
        if self.any(is_same) && !self.open_holds().any(|open| *open == hold) {
            self.provider.retain(|known| !is_same(&known.fact));
        }
        self.record(seq, at, ProviderFact::ReviewHold(hold))
    }

    /// The payment is stated as paid and not credited, and a person has not ended the review of that.
    pub fn holds_payment(&self, payment: &str) -> bool {
        let is_of = |hold: &ReviewHold| hold.states_payment() && hold.payment() == payment;
        !payment.is_empty() && self.stated_as_paid().any(|(own, _)| own == payment) && self.open_holds().any(is_of)
    }

    /// Money went back after this commit. Of a payment that is credited as another transaction, a person looks at that one.
    fn went_back_since(&self, seq: Seq) -> bool {
        self.provider.iter().any(|known| known.seq > seq && known.fact.is_reversal())
    }

    /// A person wrote the status, and did not release it.
    pub fn is_held(&self) -> bool {
        let holds = self.persons.iter().filter_map(|known| match &known.fact {
            PersonFact::Held(_) => Some((known.seq, true)),
            PersonFact::Released => Some((known.seq, false)),
            _ => None,
        });
        holds.max_by_key(|(seq, _)| *seq).is_some_and(|(_, held)| held)
    }

    /// What a manager wrote last about the status, if it was not taken back.
    pub fn written_reason(&self) -> Option<&str> {
        let written = self.persons.iter().filter_map(|known| match &known.fact {
            PersonFact::Explained { words } => Some((known.seq, &**words)),
            _ => None,
        });
        written.max_by_key(|(seq, _)| *seq).map(|(_, words)| words).filter(|words| !words.is_empty())
    }

    /// A person wrote a status, released or not, and none has permitted postings since.
    pub fn money_is_stopped(&self) -> bool {
        let permits = self.persons.iter().filter_map(|known| match &known.fact {
            PersonFact::Held(_) => Some((known.seq, true)),
            PersonFact::Approved | PersonFact::Resolved { .. } | PersonFact::Retried => Some((known.seq, false)),
            _ => None,
        });
        permits.max_by_key(|(seq, _)| *seq).is_some_and(|(_, stopped)| stopped)
    }

    /// Whether other provider facts end a hold.
    fn end(&self, hold: &ReviewHold) -> bool {
        match hold {
            ReviewHold::OutcomeUnknown => self.any(ProviderFact::is_definite),
            ReviewHold::AmountUnstated { payment } => {
                let same = |known: &str| *known == **payment || known.is_empty() || payment.is_empty();
                self.any(|fact| match fact {
                    ProviderFact::Confirmed { payment, .. }
                    | ProviderFact::ReviewHold(ReviewHold::PaymentReused { payment, .. }) => same(payment),
                    _ => false,
                })
            }
            ReviewHold::InReview { .. } => self.any(ProviderFact::is_decision),
            ReviewHold::Mismatch { .. }
            | ReviewHold::Requested { .. }
            | ReviewHold::PaymentReused { .. }
            | ReviewHold::Misplaced { .. }
            | ReviewHold::CountedElsewhere { .. }
            | ReviewHold::ReturnBeside { .. }
            | ReviewHold::Beside { .. }
            | ReviewHold::NotStored => false,
        }
    }
}
