//! Which configs of one provider and mode share a merchant account: those with the same merchant id or the same API secret,
//! now or before, directly or through a third. They are compared by the fingerprints that are stored with them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cashier_core::ids::ConfigId;
use cashier_core::provider_config::ProviderConfig;

use crate::ports::FingerprintKey;

/// What distinguishes a merchant account, each with the mode.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Known(bool, Box<str>),
    /// Of every config of the mode, while one of them cannot be compared.
    Any(bool),
}

/// What identifies the merchant account of a config; no mark where it has neither a merchant id nor a secret.
#[derive(Clone, Default)]
pub(super) struct Marks {
    known: BTreeSet<Mark>,
    sandbox: bool,
    /// It may be of any merchant account. Were it of none, a payment of the config could be credited again under another one.
    may_be_any: bool,
}

impl Marks {
    pub(super) fn of(config: &ProviderConfig, fingerprints: &FingerprintKey) -> Self {
        let (sandbox, marks) = (config.sandbox, fingerprints.account_marks(config));
        let may_be_any = fingerprints.may_be_any(config, &marks);
        Self { known: marks.into_iter().map(|mark| Mark::Known(sandbox, mark)).collect(), sandbox, may_be_any }
    }
}

impl Marks {
    /// Without the accounts that it may be of because it cannot be compared.
    pub(super) fn known_alone(&self) -> Self {
        Self { may_be_any: false, ..self.clone() }
    }
}

/// The merchant account of each of these configs of one provider, by config.
pub(super) fn accounts(configs: &[(ConfigId, Marks)]) -> BTreeMap<ConfigId, Arc<[ConfigId]>> {
    let mut accounts: Vec<(BTreeSet<ConfigId>, BTreeSet<Mark>)> = Vec::new();
    for (config, marks) in configs {
        let mut joined = (BTreeSet::from([*config]), marks.known.clone());
        if configs.iter().any(|(_, other)| other.may_be_any && other.sandbox == marks.sandbox) {
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
    use crate::ports::ACCOUNT_MARKS_MAX;

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
        let marks: Vec<_> =
            configs.iter().map(|config| (config.id, Marks::of(config, &FingerprintKey::default()))).collect();
        let accounts: BTreeSet<_> = accounts(&marks).into_values().collect();
        accounts.iter().map(|account| account.iter().map(|id| id.0).collect()).collect()
    }

    #[test]
    fn k1_a_config_whose_secret_does_not_open_shares_an_account_with_every_config_of_its_mode() {
        let unreadable = |column| UnreadableColumn {
            column,
            sealed: Box::default(),
            holds_text: true,
            had_key: false,
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
        let all: Vec<_> = [broken("webhook_secret")].into_iter().chain(others.clone()).collect();
        assert_eq!(joined(&all), [[1], [2], [3], [4]]);
        // What it had is known, or known under a key that is lost.
        let own = FingerprintKey::default().account_marks(&config(1, "", "s2"));
        let lost_key = FingerprintKey::new(7, String::from("7").into()).account_marks(&config(1, "", "s2"));
        for (account_marks, expected) in
            [(own, vec![vec![1, 2], vec![3], vec![4]]), (lost_key, vec![vec![1, 2, 3], vec![4]])]
        {
            for first in [broken("secret_key"), config(1, "", "")] {
                let first = ProviderConfig { account_marks: account_marks.clone(), ..first };
                let all: Vec<_> = [first].into_iter().chain(others.clone()).collect();
                assert_eq!(joined(&all), expected, "{account_marks:?}");
            }
        }
    }

    #[test]
    fn m20_marks_stay_when_a_secret_is_replaced_and_are_made_anew_under_another_key() {
        let keys = [1, 2].map(|id| FingerprintKey::new(id, id.to_string().into()));
        let mut row = config(1, "a", "s1");
        row.account_marks = keys[0].account_marks(&row);
        assert_eq!(row.account_marks.len(), 2);
        assert_eq!(keys[0].account_marks(&row), row.account_marks, "nothing is missing");
        row.secret_key = Secret::new("s2");
        row.account_marks = keys[0].account_marks(&row);
        assert_eq!(row.account_marks.len(), 3, "{:?}", row.account_marks);
        assert!(row.account_marks.iter().all(|mark| mark.starts_with("k1 ") && !mark.contains("s1")));
        let under_another = keys[1].account_marks(&row);
        assert_eq!(under_another.len(), 5, "what it holds now, and what it held: {under_another:?}");
        assert!(!keys[1].may_be_any(&row, &under_another), "what it holds is compared under the new key");
        row.secret_key = Secret::default();
        let wiped = keys[1].account_marks(&row);
        assert_eq!(wiped.iter().filter(|mark| mark.starts_with("k1 secret_key ")).count(), 2, "{wiped:?}");
        assert!(keys[1].may_be_any(&row, &wiped), "nothing can be compared with its secret");
        for number in 0..2 * ACCOUNT_MARKS_MAX {
            row.secret_key = Secret::new(&number.to_string());
            row.account_marks = keys[0].account_marks(&row);
        }
        assert_eq!(row.account_marks.len(), ACCOUNT_MARKS_MAX);
        let merchant = keys[0].account_marks(&config(1, "a", ""));
        assert!(row.account_marks.contains(&merchant[0]), "what it holds now is not dropped");
        assert_eq!(
            row.account_marks.last(),
            keys[0].account_marks(&config(1, "", &(2 * ACCOUNT_MARKS_MAX - 1).to_string())).last()
        );
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
