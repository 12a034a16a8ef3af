//! Which configs of one provider and mode share a merchant account: those with the same merchant id or the same API secret,
//! directly or through a third. Secrets are compared as fingerprints that stay in memory; nothing here is stored or shown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cashier_core::ids::ConfigId;
use cashier_core::provider_config::ProviderConfig;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// What distinguishes a merchant account, each with the mode; no Debug.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    MerchantId(bool, Box<str>),
    Secret(bool, [u8; 32]),
    /// Of every config of the mode, while one of them cannot be compared.
    Any(bool),
}

/// What identifies the merchant account of a config; no mark where it has neither a merchant id nor a secret.
#[derive(Clone, Default)]
pub(super) struct Marks {
    known: BTreeSet<Mark>,
    sandbox: bool,
    /// Something that may identify it does not open: it may be of any merchant account. Were it of none, a payment of the
    /// config could be credited again under another one.
    unreadable: bool,
}

impl Marks {
    /// `config_json` wins over the columns, as it does for the module.
    pub(super) fn of(config: &ProviderConfig) -> Self {
        let json: Map<String, Value> = serde_json::from_str(config.config_json.expose()).unwrap_or_default();
        let effective = |key: &str, column: &str| match json.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            None | Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => column.to_owned(),
        };
        let merchant_id = effective("merchant_id", &config.merchant_id);
        let secret = zeroize::Zeroizing::new(effective("secret_key", config.secret_key.expose()));
        let merchant_id = (!merchant_id.is_empty()).then(|| Mark::MerchantId(config.sandbox, merchant_id.into()));
        let fingerprint =
            |secret: &str| Sha256::new().chain_update(b"merchant account").chain_update(secret).finalize();
        let secret = (!secret.is_empty()).then(|| Mark::Secret(config.sandbox, fingerprint(&secret).into()));
        let unreadable = config.unreadable.iter().any(|column| matches!(column.column, "secret_key" | "config_json"));
        Self { known: merchant_id.into_iter().chain(secret).collect(), sandbox: config.sandbox, unreadable }
    }
}

/// The merchant account of each of these configs of one provider, by config.
pub(super) fn accounts(configs: &[(ConfigId, Marks)]) -> BTreeMap<ConfigId, Arc<[ConfigId]>> {
    let mut accounts: Vec<(BTreeSet<ConfigId>, BTreeSet<Mark>)> = Vec::new();
    for (config, marks) in configs {
        let mut joined = (BTreeSet::from([*config]), marks.known.clone());
        if configs.iter().any(|(_, other)| other.unreadable && other.sandbox == marks.sandbox) {
            joined.1.insert(Mark::Any(marks.sandbox));
        }
        accounts.retain_mut(|(members, known)| {
            let apart = known.is_disjoint(&joined.1);
            if !apart {
                joined.0.append(members);
                joined.1.append(known);
            }
            apart
        });
        accounts.push(joined);
    }
    let mut by_config = BTreeMap::new();
    for (members, _) in accounts {
        let account: Arc<[ConfigId]> = members.iter().copied().collect();
        by_config.extend(members.into_iter().map(|config| (config, Arc::clone(&account))));
    }
    by_config
}

#[cfg(test)]
mod tests {
    use cashier_core::provider_config::{Secret, UnreadableColumn};
    use cashier_core::time::UnixTime;

    use super::*;

    fn config(id: u64, merchant_id: &str, secret: &str) -> ProviderConfig {
        let blank = ProviderConfig::blank("stripe".into(), UnixTime(1));
        ProviderConfig {
            id: ConfigId(id),
            merchant_id: merchant_id.into(),
            secret_key: Secret::new(secret),
            config_json: Secret::new("{}"),
            ..blank
        }
    }

    fn joined(configs: &[ProviderConfig]) -> Vec<Vec<u64>> {
        let marks: Vec<_> = configs.iter().map(|config| (config.id, Marks::of(config))).collect();
        let accounts: BTreeSet<_> = accounts(&marks).into_values().collect();
        accounts.iter().map(|account| account.iter().map(|id| id.0).collect()).collect()
    }

    #[test]
    fn k1_a_config_whose_secret_does_not_open_shares_an_account_with_every_config_of_its_mode() {
        let unreadable = |column| UnreadableColumn {
            column,
            sealed: Box::default(),
            holds_text: true,
            why: "sealed with key 1".into(),
        };
        let broken = |column| ProviderConfig {
            unreadable: vec![unreadable(column)],
            secret_key: Secret::default(),
            ..config(1, "", "")
        };
        let others = [config(2, "b", "s2"), config(3, "", ""), ProviderConfig { sandbox: true, ..config(4, "", "s4") }];
        for column in ["secret_key", "config_json"] {
            let all: Vec<_> = [broken(column)].into_iter().chain(others.clone()).collect();
            assert_eq!(joined(&all), [vec![1, 2, 3], vec![4]], "{column}");
        }
        let all: Vec<_> = [broken("webhook_secret")].into_iter().chain(others).collect();
        assert_eq!(joined(&all), [[1], [2], [3], [4]]);
    }

    #[test]
    fn configs_with_one_merchant_id_or_one_secret_share_an_account_also_through_a_third() {
        let apart = [config(1, "a", "s1"), config(2, "b", "s2"), config(3, "", ""), config(4, "", "")];
        assert_eq!(joined(&apart), [[1], [2], [3], [4]]);
        let [one, two, ..] = apart;
        assert_eq!(joined(&[one.clone(), two.clone(), config(3, "b", "s1")]), [[1, 2, 3]]);
        assert_eq!(joined(&[config(3, "", "s2"), one.clone(), two.clone()]), [vec![1], vec![2, 3]]);
        let sandbox = ProviderConfig { sandbox: true, ..config(3, "a", "s1") };
        assert_eq!(joined(&[one.clone(), sandbox]), [[1], [3]], "a mode of its own");
        let by_json = ProviderConfig { config_json: Secret::new(r#"{"merchant_id":"a"}"#), ..config(3, "b", "") };
        assert_eq!(joined(&[one, two, by_json]), [vec![1, 3], vec![2]]);
    }
}
