//! What configs and overrides name that is not there.

use std::collections::BTreeMap;

use cashier_core::account::{AccountFacts, AccountMode, Group};
use cashier_core::customer_override::CustomerOverride;
use cashier_core::eligibility::{
    EligibilityContext, Known, KnownCustomer, ModuleFitness, account_of, config_mismatches, config_unmatched,
    limits_without_currency, override_mismatches, override_unmatched,
};
use cashier_core::ids::{ConfigId, CustomerId};
use cashier_core::money::Currency;
use cashier_core::provider_config::ProviderConfig;

use crate::samples::{NOW, account, allow, config, currency, deny, limit};

/// A server with the loaded module `stripe`, the refused one `paypal`, brands ion4 and nova, customer 5 of ion4 and config 1.
struct World {
    configs: BTreeMap<ConfigId, ProviderConfig>,
    methods: Vec<Box<str>>,
    currencies: Vec<Box<str>>,
    brands: Option<Vec<Box<str>>>,
    /// One of each kind.
    accounts: Vec<AccountFacts>,
    allows: Vec<CustomerOverride>,
    /// In `allow_sandbox_credit` and in `allow_live_on_demo`.
    allowed_brands: Vec<Box<str>>,
    /// The trading server answers.
    is_answered: bool,
    /// From and to which currency it states a rate.
    rates: Vec<(Currency, Currency)>,
}

fn of(brand: &str, code: &str, account_mode: AccountMode) -> AccountFacts {
    account_of(brand, Group { brand: brand.into(), currency: currency(code), account_mode, ..account().group })
}

fn world() -> World {
    World {
        configs: [(ConfigId(1), config(1))].into(),
        methods: vec!["card".into(), "sepa".into()],
        currencies: Vec::new(),
        brands: None,
        accounts: vec![of("ion4", "USD", AccountMode::Real), of("nova", "USD", AccountMode::Real)],
        allows: Vec::new(),
        allowed_brands: Vec::new(),
        is_answered: true,
        rates: Vec::new(),
    }
}

impl Known for World {
    fn module(&self, provider: &str) -> Option<ModuleFitness<'_>> {
        match provider {
            "stripe" => Some(ModuleFitness::Loaded {
                brands: self.brands.as_deref(),
                methods: &self.methods,
                currencies: &self.currencies,
            }),
            "paypal" => Some(ModuleFitness::NotLoaded { reason: "the file is missing" }),
            _ => None,
        }
    }

    fn providers(&self) -> Vec<&str> {
        vec!["stripe", "paypal"]
    }

    fn accounts(&self) -> Option<&[AccountFacts]> {
        self.is_answered.then_some(&self.accounts)
    }

    fn context<'a>(&self, account: &'a AccountFacts) -> EligibilityContext<'a> {
        let named = self.allowed_brands.contains(&account.customer.brand);
        EligibilityContext { account, sandbox_credit_allowed: named, live_on_demo_allowed: named, now: NOW }
    }

    fn allows(&self, provider: &str) -> Vec<&CustomerOverride> {
        self.allows.iter().filter(|row| &*row.provider == provider).collect()
    }

    fn converts(&self, from: Currency, account: &AccountFacts) -> bool {
        self.rates.contains(&(from, account.group.currency))
    }

    fn customer(&self, id: CustomerId) -> Option<KnownCustomer> {
        let known = if id == CustomerId(5) { KnownCustomer::OfBrand("ion4".into()) } else { KnownCustomer::Missing };
        self.is_answered.then_some(known)
    }

    fn config(&self, id: ConfigId) -> Option<&ProviderConfig> {
        self.configs.get(&id)
    }

    fn configs_of(&self, provider: &str) -> Vec<&ProviderConfig> {
        self.configs.values().filter(|config| &*config.provider == provider).collect()
    }
}

#[test]
fn i8_a_config_is_warned_about_each_thing_that_it_names_and_that_is_not_there() {
    type Row = (&'static [&'static str], fn(&mut ProviderConfig), fn(&mut World));
    let same = |_: &mut World| {};
    let table: Vec<Row> = vec![
        (&[], |_| {}, same),
        (&[], |c| (c.brand, c.method, c.country) = ("".into(), "sepa".into(), "DE".into()), same),
        (&["provider zzz: no module offers it"], |c| c.provider = "zzz".into(), same),
        (&["provider strpe: no module offers it: did you mean stripe?"], |c| c.provider = "strpe".into(), same),
        (&["provider paypal: its module is not loaded: the file is missing"], |c| c.provider = "paypal".into(), same),
        (
            &["brand nobrand: no group and no customer of the trading server has it"],
            |c| c.brand = "nobrand".into(),
            same,
        ),
        (&[], |c| c.brand = "nobrand".into(), |w| w.is_answered = false),
        (
            &["brand ion4: plugins.toml does not list it for module stripe"],
            |_| {},
            |w| w.brands = Some(vec!["nova".into()]),
        ),
        (&[], |c| c.brand = "".into(), |w| w.brands = Some(vec!["nova".into()])),
        (&["provider stripe: plugins.toml lets its module serve no brand"], |_| {}, |w| w.brands = Some(vec![])),
        (&["method crd: the module has card, sepa"], |c| c.method = "crd".into(), same),
        (&[], |c| c.method = "anything".into(), |w| w.methods = vec![]),
        (
            &["currency EUR: the module cannot be paid in it"],
            |c| c.currency = "EUR".into(),
            |w| w.currencies = vec!["USD".into()],
        ),
        (&["country UK: no such country in ISO 3166: GB is meant"], |c| c.country = "UK".into(), same),
        (&["country ZZ: no such country in ISO 3166"], |c| c.country = "ZZ".into(), same),
        (
            &["max_amount 5.0: it is below min_amount 10.0"],
            |c| (c.min_amount, c.max_amount) = (limit("10"), limit("5")),
            same,
        ),
        (
            &[
                "provider zzz: no module offers it",
                "brand nobrand: no group and no customer of the trading server has it",
            ],
            |c| (c.provider, c.brand, c.method) = ("zzz".into(), "nobrand".into(), "crd".into()),
            same,
        ),
    ];
    for (expected, change, arrange) in table {
        let (mut row, mut known) = (config(1), world());
        change(&mut row);
        arrange(&mut known);
        assert_eq!(config_mismatches(&row, &known), expected);
    }
}

#[test]
fn i7_an_override_is_warned_about_each_thing_that_it_names_and_that_is_not_there() {
    type Row = (&'static [&'static str], fn(&mut CustomerOverride), fn(&mut World));
    let same = |_: &mut World| {};
    let table: Vec<Row> = vec![
        (&[], |_| {}, same),
        (&[], |o| o.provider_config_id = ConfigId(1), same),
        (&["provider_config_id 999: there is no such config"], |o| o.provider_config_id = ConfigId(999), same),
        (
            &[
                "customer_id 777: the trading server has no such customer",
                "brand nobrand: no group and no customer of the trading server has it",
                "provider zzz: no module offers it",
                "provider zzz: no config of it serves brand nobrand and this method",
            ],
            |o| (o.customer_id, o.brand, o.provider) = (CustomerId(777), "nobrand".into(), "zzz".into()),
            same,
        ),
        (&[], |o| o.customer_id = CustomerId(777), |w| w.is_answered = false),
        (
            &[
                "brand nova: the customer is of another brand",
                "provider stripe: no config of it serves brand nova and this method",
            ],
            |o| o.brand = "nova".into(),
            same,
        ),
        (
            &["brand nova: the customer is of another brand"],
            |o| o.brand = "nova".into(),
            |w| w.configs.get_mut(&ConfigId(1)).unwrap().brand = "".into(),
        ),
        (&["expires_time 1779270000: it is over"], |o| o.expires_time = NOW, same),
        (&[], |o| o.expires_time = NOW.plus(1), same),
        (
            &["provider stripe: no config of it serves brand ion4 and this method"],
            |o| o.method = "sepa".into(),
            |w| w.configs.get_mut(&ConfigId(1)).unwrap().method = "card".into(),
        ),
        (
            &["method sepa: config 1 is for another method"],
            |o| (o.provider_config_id, o.method) = (ConfigId(1), "sepa".into()),
            |w| w.configs.get_mut(&ConfigId(1)).unwrap().method = "card".into(),
        ),
        (
            &["provider stripe: config 1 is of another provider"],
            |o| o.provider_config_id = ConfigId(1),
            |w| w.configs.get_mut(&ConfigId(1)).unwrap().provider = "paypal".into(),
        ),
        (
            &["brand ion4: config 1 is of another brand"],
            |o| o.provider_config_id = ConfigId(1),
            |w| w.configs.get_mut(&ConfigId(1)).unwrap().brand = "nova".into(),
        ),
        (
            &["max_amount 100.0: it is below min_amount 500.0 with those of config 1"],
            |o| (o.provider_config_id, o.min_amount) = (ConfigId(1), limit("500")),
            |w| w.configs.get_mut(&ConfigId(1)).unwrap().max_amount = limit("100"),
        ),
    ];
    for (expected, change, arrange) in table {
        let (mut row, mut known) = (allow(1), world());
        change(&mut row);
        arrange(&mut known);
        assert_eq!(override_mismatches(&row, &known, NOW), expected);
    }
    let mut known = world();
    known.configs.get_mut(&ConfigId(1)).unwrap().max_amount = limit("100");
    let denial = CustomerOverride { provider_config_id: ConfigId(1), min_amount: limit("500"), ..deny(1) };
    assert_eq!(override_mismatches(&denial, &known, NOW), [""; 0], "a deny has no use for limits");
}

#[test]
fn i8_a_config_is_listed_exactly_while_the_rules_hide_it_from_every_kind_of_account_that_there_is() {
    type Row = (&'static [&'static str], fn(&mut ProviderConfig), fn(&mut World));
    let same = |_: &mut World| {};
    let demo = |w: &mut World| w.accounts[0].group.account_mode = AccountMode::Demo;
    const LIVE: &str =
        "sandbox 0: the accounts it could serve are demo accounts, and allow_live_on_demo does not name their brand";
    let table: Vec<Row> = vec![
        (&[], |_| {}, same),
        // What is warned about and serves all the same.
        (&[], |c| c.method = "crd".into(), same),
        (&[], |c| c.country = "UK".into(), same),
        // Its customers have accounts in groups of another brand.
        (&[], |c| c.brand = "shop".into(), |w| w.accounts[0].customer.brand = "shop".into()),
        (&["brand shop: no group and no customer of the trading server has it"], |c| c.brand = "shop".into(), same),
        (&["provider zzz: no module offers it"], |c| c.provider = "zzz".into(), same),
        (&[LIVE], |_| {}, demo),
        (&[], |c| c.brand = "".into(), demo),
        (
            &[],
            |_| {},
            |w| {
                w.accounts[0].group.account_mode = AccountMode::Demo;
                w.allowed_brands.push("ion4".into());
            },
        ),
        (
            &[
                "sandbox 1: the accounts it could serve are real ones, and allow_sandbox_credit does not name their brand",
            ],
            |c| c.sandbox = true,
            same,
        ),
        (&[], |c| c.sandbox = true, demo),
        (&[], |c| c.sandbox = true, |w| w.allowed_brands.push("ion4".into())),
        (&["currency EUR: no such account has it"], |c| c.currency = "EUR".into(), same),
        (&[], |c| c.currency = "EUR".into(), |w| w.allows.push(allow(1))),
        (
            &["currency EUR: no such account has it"],
            |c| c.currency = "EUR".into(),
            |w| {
                w.allows.push(CustomerOverride { brand: "nova".into(), ..allow(1) });
            },
        ),
        (
            &["provider stripe: its module cannot be paid in the currency of any such account"],
            |_| {},
            |w| w.currencies = vec!["EUR".into(), "JPY".into()],
        ),
        (
            &["brand: the groups of the accounts it could serve are disabled"],
            |_| {},
            |w| w.accounts[0].group.enabled = false,
        ),
        (
            &["max_amount 5.0: it is below min_amount 10.0"],
            |c| (c.min_amount, c.max_amount) = (limit("10"), limit("5")),
            same,
        ),
        (
            &[],
            |c| (c.min_amount, c.max_amount) = (limit("10"), limit("5")),
            |w| w.allows.push(CustomerOverride { min_amount: limit("1"), ..allow(1) }),
        ),
        (&["the trading server has no group"], |c| c.brand = "".into(), |w| w.accounts.clear()),
        (&[], |c| c.brand = "shop".into(), |w| w.is_answered = false),
        (
            &["provider paypal: its module is not loaded: the file is missing"],
            |c| c.provider = "paypal".into(),
            |w| {
                w.is_answered = false;
            },
        ),
    ];
    for (place, (expected, change, arrange)) in table.into_iter().enumerate() {
        let (mut row, mut known) = (config(1), world());
        change(&mut row);
        arrange(&mut known);
        assert_eq!(config_unmatched(&row, &known), expected, "row {place}");
    }
}

#[test]
fn i7_an_override_is_listed_exactly_while_it_applies_to_no_config() {
    type Row = (&'static [&'static str], fn(&mut CustomerOverride), fn(&mut World));
    let same = |_: &mut World| {};
    let table: Vec<Row> = vec![
        (&[], |_| {}, same),
        (&[], |o| o.provider_config_id = ConfigId(1), same),
        // The config has the method of its own, whatever the module lists.
        (&[], |o| o.method = "crd".into(), |w| w.configs.get_mut(&ConfigId(1)).unwrap().method = "crd".into()),
        (&["method crd: the module has card, sepa"], |o| o.method = "crd".into(), same),
        (&["customer_id 777: the trading server has no such customer"], |o| o.customer_id = CustomerId(777), same),
        (&[], |o| o.customer_id = CustomerId(777), |w| w.is_answered = false),
        (&["provider_config_id 999: there is no such config"], |o| o.provider_config_id = ConfigId(999), same),
        (
            &["max_amount 100.0: it is below min_amount 500.0 with those of config 1"],
            |o| (o.provider_config_id, o.min_amount) = (ConfigId(1), limit("500")),
            |w| w.configs.get_mut(&ConfigId(1)).unwrap().max_amount = limit("100"),
        ),
        (
            &["provider stripe: no config of it that the override means can serve the customer"],
            |o| o.min_amount = limit("500"),
            |w| w.configs.get_mut(&ConfigId(1)).unwrap().max_amount = limit("100"),
        ),
    ];
    for (place, (expected, change, arrange)) in table.into_iter().enumerate() {
        let (mut row, mut known) = (allow(1), world());
        change(&mut row);
        arrange(&mut known);
        assert_eq!(override_unmatched(&row, &known), expected, "row {place}");
    }
    let mut known = world();
    known.configs.get_mut(&ConfigId(1)).unwrap().max_amount = limit("100");
    let denial = CustomerOverride { min_amount: limit("500"), ..deny(1) };
    assert_eq!(override_unmatched(&denial, &known), [""; 0]);
}

#[test]
fn a_config_for_another_currency_serves_accounts_that_it_is_converted_for() {
    let euros = || ProviderConfig { currency: "EUR".into(), ..config(1) };
    let alone = config_unmatched(&euros(), &world());
    assert_eq!(alone, ["currency EUR: no such account has it"]);
    let converting = |from: &str, to: &str| World { rates: vec![(currency(from), currency(to))], ..world() };
    assert_eq!(config_unmatched(&euros(), &converting("EUR", "USD")), [""; 0]);
    assert_eq!(config_unmatched(&euros(), &converting("USD", "EUR")), alone, "the other way round");
    let unpayable = World { currencies: vec!["USD".into()], ..converting("EUR", "USD") };
    assert!(!config_unmatched(&euros(), &unpayable).is_empty(), "the module cannot be paid in it");
}

#[test]
fn limits_of_a_config_for_every_currency_are_warned_about_where_deposits_are_converted() {
    let converting = || World { rates: vec![(currency("EUR"), currency("USD"))], ..world() };
    let limited = || ProviderConfig { currency: "".into(), min_amount: limit("10"), ..config(1) };
    let warned = |config: &ProviderConfig, known: &World| limits_without_currency(config, known).is_some();
    assert_eq!(
        limits_without_currency(&limited(), &converting()).unwrap(),
        "min_amount 10.0: without a currency it is meant in that of each deposit, and deposits in other currencies than the \
         account's may be converted: make a config for each currency"
    );
    let highest = ProviderConfig { min_amount: limit("0"), max_amount: limit("500"), ..limited() };
    assert!(limits_without_currency(&highest, &converting()).unwrap().starts_with("max_amount 500.0: "));
    assert!(!warned(&limited(), &world()), "nothing is converted");
    assert!(!warned(&ProviderConfig { min_amount: limit("0"), ..limited() }, &converting()), "it has no limit");
    assert!(!warned(&ProviderConfig { currency: "USD".into(), ..limited() }, &converting()), "it has a currency");
    let dollars = World { currencies: vec!["USD".into()], ..converting() };
    // A server elsewhere may state any rate, as far as that can be said.
    let any = World { rates: vec![(currency("EUR"), currency("USD")), (currency("USD"), currency("USD"))], ..dollars };
    assert!(!warned(&limited(), &any), "the module is paid in the account's currency alone");
    let euros = World { accounts: vec![of("nova", "EUR", AccountMode::Real)], ..converting() };
    assert!(!warned(&limited(), &euros), "no account is converted to");
    let other_brand = World { accounts: vec![of("nova", "USD", AccountMode::Real)], ..converting() };
    assert!(!warned(&ProviderConfig { brand: "ion4".into(), ..limited() }, &other_brand), "nor one of its brand");
    assert!(warned(&ProviderConfig { brand: "".into(), ..limited() }, &other_brand));
}
