//! Which kinds of accounts there are: how many of each pair of a customer's brand and a group. Kept beside the accounts, so that
//! whoever lists configs that serve none of them looks at a few kinds and not at every account. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use cashier_core::account::{Account, AccountFacts, Customer, Group};
use cashier_core::eligibility::account_of;
use cashier_core::ids::{CustomerId, Login};

type Customers = imbl::HashMap<CustomerId, Arc<Customer>>;
type Accounts = imbl::HashMap<Login, Arc<Account>>;

/// By the customer's brand and the group's name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountKinds(imbl::HashMap<(Box<str>, Box<str>), usize>);

impl AccountKinds {
    pub(super) fn of(accounts: &Accounts, customers: &Customers) -> Self {
        let mut counted: HashMap<(&str, &str), usize> = HashMap::new();
        for account in accounts.values() {
            if let Some(customer) = customers.get(&account.customer_id) {
                *counted.entry((&customer.brand, &account.group)).or_default() += 1;
            }
        }
        Self(counted.into_iter().map(|((brand, group), count)| ((brand.into(), group.into()), count)).collect())
    }

    /// After a change of these accounts and customers. Only another brand of a known customer needs a look at each account.
    pub(super) fn changed(
        &self,
        before: (&Accounts, &Customers),
        after: (&Accounts, &Customers),
        accounts: &[Arc<Account>],
        customers: &[Arc<Customer>],
    ) -> Self {
        let is_rebranded = |customer: &&Arc<Customer>| {
            before.1.get(&customer.customer_id).is_some_and(|known| known.brand != customer.brand)
        };
        if customers.iter().any(|customer| is_rebranded(&customer)) {
            return Self::of(after.0, after.1);
        }
        let mut kinds = self.clone();
        let kind = |(accounts, customers): (&Accounts, &Customers), login: &Login| {
            let account = accounts.get(login)?;
            Some((customers.get(&account.customer_id)?.brand.clone(), account.group.clone()))
        };
        for login in accounts.iter().map(|account| &account.login) {
            if let Some(count) = kind(before, login).and_then(|kind| kinds.0.get_mut(&kind)) {
                *count = count.saturating_sub(1);
            }
            if let Some(kind) = kind(after, login) {
                *kinds.0.entry(kind).or_default() += 1;
            }
        }
        kinds.0.retain(|_, count| *count > 0);
        kinds
    }

    /// One account of each kind, and one of each group for a customer of the group's brand, who may come.
    pub(super) fn facts(&self, groups: &imbl::HashMap<Box<str>, Arc<Group>>) -> Vec<AccountFacts> {
        let made = self.0.keys().filter_map(|(brand, group)| Some((&**brand, groups.get(group)?)));
        let foreign = made.filter(|(brand, group)| *group.brand != **brand);
        let all = groups.values().map(|group| (&*group.brand, group)).chain(foreign);
        all.map(|(brand, group)| account_of(brand, Group::clone(group))).collect()
    }
}

#[cfg(test)]
mod tests {
    use cashier_core::money::{Currency, Money};

    use super::*;

    fn customer(id: u64, brand: &str) -> Arc<Customer> {
        let customer = Customer {
            customer_id: CustomerId(id),
            country: Box::default(),
            brand: brand.into(),
            status: 0,
            deposit_allowed: true,
            withdrawal_allowed: true,
        };
        Arc::new(customer)
    }

    fn account(login: u64, customer: u64, group: &str) -> Arc<Account> {
        let balance = Money::new(0, Currency::from_code("USD").unwrap());
        let (login, customer_id) = (Login(login), CustomerId(customer));
        Arc::new(Account { login, customer_id, group: group.into(), enabled: true, balance })
    }

    #[test]
    fn kinds_that_follow_each_change_are_those_that_a_count_of_all_accounts_finds() {
        let (mut accounts, mut customers) = (Accounts::default(), Customers::default());
        let mut kinds = AccountKinds::default();
        let steps = [
            (vec![account(1, 1, "a"), account(2, 1, "a")], vec![customer(1, "x")]),
            (vec![account(2, 2, "a")], vec![customer(2, "y")]),
            (vec![account(1, 1, "b")], vec![]),
            (vec![], vec![customer(2, "x"), customer(3, "z")]),
            (vec![account(1, 3, "b"), account(3, 2, "a")], vec![customer(2, "z")]),
            (vec![account(3, 2, "a")], vec![]),
        ];
        for (rows, persons) in steps {
            let before = (accounts.clone(), customers.clone());
            customers.extend(persons.iter().map(|person| (person.customer_id, Arc::clone(person))));
            accounts.extend(rows.iter().map(|row| (row.login, Arc::clone(row))));
            kinds = kinds.changed((&before.0, &before.1), (&accounts, &customers), &rows, &persons);
            assert_eq!(kinds, AccountKinds::of(&accounts, &customers), "{rows:?}");
        }
        assert_eq!(kinds.0.len(), 2);
    }
}
