//! Which configs may own the payments that a verified notice is about: their gateways are shown the same bytes, since the
//! signature of one config does not authorise another's payment. It verifies nothing.

use std::collections::BTreeSet;

use cashier_core::books::Books;
use cashier_core::ids::{ConfigId, TransactionId};
use cashier_core::notice::Update;

use crate::flows::Cashier;

/// The configs that may own what a notice is about.
#[derive(Debug, Default)]
pub(super) struct Ownership {
    /// The config of the transaction that is named, by our reference or else by an id; where it is another than the
    /// receiver.
    pub(super) owner: Option<ConfigId>,
    /// The configs besides the receiver that are to verify the notice too.
    pub(super) others: BTreeSet<ConfigId>,
    /// An update names no transaction yet: the create call of any of the configs may still bring its ids.
    early: bool,
}

impl Ownership {
    /// Of these updates, which the gateway of `receiver` verified; `configs` are those of the provider that may verify.
    pub(super) fn of(cashier: &Cashier, configs: &[ConfigId], receiver: ConfigId, updates: &[Update]) -> Self {
        let found = cashier.ledger.peek(|books| Self::find(books, configs, receiver, updates));
        found.unwrap_or_default()
    }

    fn find(books: &Books, configs: &[ConfigId], receiver: ConfigId, updates: &[Update]) -> Self {
        let config = |id: TransactionId| books.transaction(id).map(|transaction| transaction.config_id);
        let mut found = Self::default();
        let (mut named, mut known) = (None, None);
        for update in updates {
            // Configs that verify one notice share their payments: a payment belongs to one transaction among them.
            if update.states_money() {
                found.others.extend(books.configs_with_payment(&update.payment_id));
            }
            let paid_for = || books.owner_of_payment(configs, &update.payment_id, |_| true).and_then(config);
            match &update.reference {
                Some(_) if update.is_reversal() && paid_for().is_some() => named = named.or(paid_for()),
                Some(reference) => {
                    let owner = books.by_reference(reference).and_then(config);
                    found.others.extend(owner);
                    named = named.or(owner);
                }
                None => {
                    let owner = by_id(books, configs, receiver, update).and_then(config);
                    found.early |= owner.is_none() && !update.refs.is_empty();
                    found.others.extend(owner);
                    known = known.or(owner);
                }
            }
        }
        if found.early {
            found.others.extend(configs.iter().filter(|config| books.config_activity(**config).is_some()));
        }
        found.others.retain(|config| *config != receiver && configs.contains(config));
        found.owner = named.or(known).filter(|owner| *owner != receiver);
        found
    }

    /// Whether the payment may be this config's although its gateway could not verify the notice: then it must come again.
    pub(super) fn awaits(&self, cashier: &Cashier, unavailable: ConfigId, account: &[ConfigId]) -> bool {
        let open = |books: &Books| books.config_activity(unavailable).is_some_and(|activity| activity.open > 0);
        let early = || self.early && account.contains(&unavailable) && cashier.ledger.peek(open).unwrap_or(true);
        self.owner == Some(unavailable) || early()
    }
}

/// By an id under the receiver's config, else under another.
fn by_id(books: &Books, configs: &[ConfigId], receiver: ConfigId, update: &Update) -> Option<TransactionId> {
    let order = || std::iter::once(receiver).chain(configs.iter().copied());
    let by_ref = order().find_map(|config| update.refs.iter().find_map(|id| books.by_provider_ref(config, id)));
    by_ref.or_else(|| books.owner_of_payment(configs, &update.payment_id, |_| true))
}
