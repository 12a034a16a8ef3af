//! What configs and overrides name that is not there.

use std::collections::BTreeMap;

use cashier_core::customer_override::CustomerOverride;
use cashier_core::eligibility::{Known, KnownCustomer, ModuleFitness, config_mismatches, override_mismatches};
use cashier_core::ids::{ConfigId, CustomerId};
use cashier_core::provider_config::ProviderConfig;

use crate::samples::{NOW, allow, config, deny, limit};

/// A server with the loaded module `stripe`, the refused one `paypal`, brands ion4 and nova, customer 5 of ion4 and config 1.
struct World {
    configs: BTreeMap<ConfigId, ProviderConfig>,
    methods: Vec<Box<str>>,
    currencies: Vec<Box<str>>,
    brands: Option<Vec<Box<str>>>,
    /// The trading server answers.
    is_answered: bool,
}

fn world() -> World {
    World {
        configs: [(ConfigId(1), config(1))].into(),
        methods: vec!["card".into(), "sepa".into()],
        currencies: Vec::new(),
        brands: None,
        is_answered: true,
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

    fn has_brand(&self, brand: &str) -> Option<bool> {
        self.is_answered.then(|| ["ion4", "nova"].contains(&brand))
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
        (&["brand nobrand: no group of the trading server has it"], |c| c.brand = "nobrand".into(), same),
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
            &["provider zzz: no module offers it", "brand nobrand: no group of the trading server has it"],
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
                "brand nobrand: no group of the trading server has it",
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
