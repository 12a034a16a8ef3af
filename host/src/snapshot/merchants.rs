//! Which configs of one provider and mode share a merchant account: those with the same merchant id or the same API secret,
//! now or before, directly or through a third. They are compared by the fingerprints that are stored with them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cashier_core::ids::ConfigId;
use cashier_core::provider_config::ProviderConfig;

use crate::ports::{FingerprintKey, LostKey, is_sign};

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
    /// It is marked so for ever.
    is_any: bool,
    lost_keys: BTreeMap<u64, LostKey>,
}

impl Marks {
    pub(super) fn of(config: &ProviderConfig, fingerprints: &FingerprintKey) -> Self {
        let (sandbox, marks) = (config.sandbox, fingerprints.account_marks(config));
        Self {
            sandbox,
            may_be_any: FingerprintKey::may_be_any(config, &marks),
            is_any: FingerprintKey::is_any(&marks),
            lost_keys: fingerprints.lost_keys(&marks),
            known: marks.into_iter().filter(|mark| !is_sign(mark)).map(|mark| Mark::Known(sandbox, mark)).collect(),
        }
    }

    /// Without the accounts that it may be of because it cannot be compared now.
    pub(super) fn known_alone(&self) -> Self {
        Self { may_be_any: self.is_any, lost_keys: BTreeMap::new(), ..self.clone() }
    }

    fn has_more_than(&self, key: u64) -> bool {
        self.lost_keys.get(&key).map_or(!self.known.is_empty(), |lost| lost.has_more)
    }
}

/// Whether there is a config of the mode that cannot be compared with another one: it may be of any account, or it has something
/// that is marked under a lost key alone while another one has something that is not marked under that key.
fn is_any_shared(configs: &[(ConfigId, Arc<Marks>)], sandbox: bool) -> bool {
    let of_mode = || configs.iter().map(|(_, marks)| marks).filter(|marks| marks.sandbox == sandbox);
    let keys: BTreeSet<u64> = of_mode().flat_map(|marks| marks.lost_keys.keys().copied()).collect();
    let apart = |key: &u64| {
        let more = of_mode().filter(|marks| marks.has_more_than(*key)).count();
        of_mode().any(|marks| {
            let has_alone = marks.lost_keys.get(key).is_some_and(|lost| lost.has_alone);
            has_alone && more > usize::from(marks.has_more_than(*key))
        })
    };
    of_mode().any(|marks| marks.may_be_any) || keys.iter().any(apart)
}

/// The merchant account of each of these configs of one provider, by config.
pub(super) fn accounts(configs: &[(ConfigId, Arc<Marks>)]) -> BTreeMap<ConfigId, Arc<[ConfigId]>> {
    let is_any = [false, true].map(|sandbox| is_any_shared(configs, sandbox));
    let mut accounts: Vec<(BTreeSet<ConfigId>, BTreeSet<Mark>)> = Vec::new();
    for (config, marks) in configs {
        let mut joined = (BTreeSet::from([*config]), marks.known.clone());
        if is_any.get(usize::from(marks.sandbox)) == Some(&true) {
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

    fn unreadable(column: &'static str) -> UnreadableColumn {
        let why = "sealed with key 1".into();
        UnreadableColumn { column, sealed: Box::default(), holds_text: true, had_key: false, why }
    }

    fn joined(configs: &[ProviderConfig]) -> Vec<Vec<u64>> {
        let marks: Vec<_> =
            configs.iter().map(|config| (config.id, Arc::new(Marks::of(config, &FingerprintKey::default())))).collect();
        let accounts: BTreeSet<_> = accounts(&marks).into_values().collect();
        accounts.iter().map(|account| account.iter().map(|id| id.0).collect()).collect()
    }

    #[test]
    fn k1_a_config_whose_secret_does_not_open_shares_an_account_with_every_config_of_its_mode() {
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
        let under_another = keys[1].marks_at_start(&row, true);
        assert_eq!(under_another.len(), 6, "what it holds now, what it held, and a sign: {under_another:?}");
        assert_eq!(under_another.last().map(|mark| &**mark), Some("k2 begun"), "s1 is marked under the lost key alone");
        row.account_marks = under_another.clone();
        assert_eq!(keys[1].marks_at_start(&row, true), under_another, "once");
    }

    #[test]
    fn m21_a_config_with_more_marks_than_are_kept_shares_the_account_of_every_config_of_its_mode() {
        let key = FingerprintKey::default();
        let mut row = config(1, "a", "0");
        let others = [config(2, "", "0"), config(3, "", "s3"), ProviderConfig { sandbox: true, ..config(4, "", "0") }];
        let mut roll = |number: usize| {
            row.secret_key = Secret::new(&number.to_string());
            row.account_marks = key.account_marks(&row);
            assert!(row.account_marks.contains(&key.account_marks(&config(1, "a", ""))[0]), "{number}: it holds that");
            assert!(row.account_marks.len() <= ACCOUNT_MARKS_MAX, "{number}");
            joined(&[[row.clone()].as_slice(), &others].concat())
        };
        for number in 0..ACCOUNT_MARKS_MAX - 1 {
            assert_eq!(roll(number), [vec![1, 2], vec![3], vec![4]], "{number}");
        }
        for number in ACCOUNT_MARKS_MAX..2 * ACCOUNT_MARKS_MAX {
            assert_eq!(roll(number), [vec![1, 2, 3], vec![4]], "{number}: what was dropped links it all the same");
        }
    }

    #[test]
    fn m21_what_is_marked_under_a_lost_key_alone_shares_the_account_of_what_came_later() {
        let (lost, key) = (FingerprintKey::new(7, String::from("7").into()), FingerprintKey::default());
        let at_start = |row: &ProviderConfig| {
            let marked = ProviderConfig { account_marks: lost.account_marks(row), ..row.clone() };
            ProviderConfig { account_marks: key.marks_at_start(&marked, true), ..marked }
        };
        let given = |row: &ProviderConfig, secret: &str| {
            let given = ProviderConfig { secret_key: Secret::new(secret), unreadable: Vec::new(), ..row.clone() };
            ProviderConfig { account_marks: key.account_marks(&given), ..given }
        };
        let closed = |row: &ProviderConfig| ProviderConfig {
            account_marks: lost.account_marks(row),
            secret_key: Secret::default(),
            unreadable: vec![unreadable("secret_key")],
            ..row.clone()
        };
        let rolled = |row: &ProviderConfig| {
            let earlier = lost.account_marks(row);
            ProviderConfig { account_marks: earlier, secret_key: Secret::new("rolled"), ..row.clone() }
        };
        let (one, two) = (config(1, "", "s1"), config(2, "", "s2"));
        let shut = closed(&one);
        let shut = ProviderConfig { account_marks: key.marks_at_start(&shut, true), ..shut };
        let all = vec![vec![1, 2]];
        let apart = vec![vec![1], vec![2]];
        for (case, rows, expected) in [
            ("nobody had another secret", [at_start(&one), at_start(&two)], &apart),
            (
                "one was replaced before the loss, the other has its own",
                [at_start(&rolled(&one)), at_start(&two)],
                &apart,
            ),
            (
                "one was replaced before the loss, the other one after it",
                [at_start(&rolled(&one)), given(&at_start(&two), "s1")],
                &all,
            ),
            (
                "one was replaced before the loss, the other one was made after it",
                [at_start(&rolled(&one)), config(2, "", "s1")],
                &all,
            ),
            ("one does not open", [shut.clone(), at_start(&two)], &apart),
            ("one does not open, the other one was made later", [shut.clone(), config(2, "", "s1")], &all),
            (
                "one was given a secret again, the other one was made later",
                [given(&shut, "anew"), config(2, "", "s1")],
                &all,
            ),
            (
                "one was given a secret again, the other one was replaced later",
                [given(&shut, "anew"), given(&at_start(&two), "s1")],
                &all,
            ),
            ("one does not open, the other one has nothing", [shut.clone(), config(2, "", "")], &apart),
            ("both have one secret, one of them does not open", [shut, at_start(&config(2, "", "s1"))], &all),
            ("one was replaced after the loss", [given(&at_start(&one), "other"), at_start(&two)], &apart),
        ] {
            assert_eq!(joined(&rows), *expected, "{case}");
        }
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
