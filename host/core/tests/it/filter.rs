//! The filter language: the rows that each operator finds, the refusals with the text they quote, and the order of rows.

use cashier_core::filter::*;
use cashier_core::ids::{CustomerId, TransactionId};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::status::TransactionStatus;
use cashier_core::time::UnixTime;
use cashier_core::transaction::Transaction;
use expect_test::{Expect, expect};
use proptest::prelude::*;

use crate::samples::*;

type Builder = FilterBuilder<TransactionField>;

fn built(build: impl FnOnce(&mut Builder) -> Result<(), Refusal>) -> Result<Filter<TransactionField>, Refusal> {
    let mut builder = Builder::new();
    build(&mut builder)?;
    Ok(builder.build())
}

fn rows() -> Vec<Transaction> {
    let row = |id: u64, status, payment: &str, created: i64, customer: u64| Transaction {
        status,
        provider_payment_id: payment.into(),
        created_time: UnixTime(created),
        customer_id: CustomerId(customer),
        ..deposit(id)
    };
    use TransactionStatus as S;
    vec![
        row(1, S::PendingPayment, "pi_1", 100, 5),
        row(2, S::Credited, "pi_22", 300, 5),
        row(3, S::Credited, "ch_3", 300, 6),
        row(4, S::Failed, "", 200, 7),
    ]
}

fn ids(filter: &Filter<TransactionField>) -> Vec<u64> {
    filter.page(rows()).rows.iter().map(|row| row.id.0).collect()
}

#[test]
fn each_operator_finds_the_matching_rows() {
    let flat = |clause, parts: &[&str]| built(|b| b.flat(clause, parts)).map(|filter| ids(&filter)).unwrap();
    let listed = |clause, field, values: &[&str]| ids(&built(|b| b.listed(clause, field, values)).unwrap());
    use Clause::*;
    assert_eq!(flat(Where, &["status", "=", "3"]), [3, 2]);
    assert_eq!(flat(Where, &["status", "==", "3"]), [3, 2]);
    assert_eq!(flat(Where, &["status", "!=", "3"]), [4, 1]);
    assert_eq!(flat(Where, &["created_time", ">", "200"]), [3, 2]);
    assert_eq!(flat(Where, &["created_time", ">=", "200"]), [3, 2, 4]);
    assert_eq!(flat(Where, &["created_time", "<", "200"]), [1]);
    assert_eq!(flat(Where, &["created_time", "<=", "200"]), [4, 1]);
    assert_eq!(flat(Where, &["created_time", ">", "-1"]), [3, 2, 4, 1]);
    assert_eq!(flat(Where, &["provider_payment_id", "like", "pi_%"]), [2, 1]);
    assert_eq!(flat(Where, &["provider_payment_id", "like", "pi__"]), [1]);
    assert_eq!(flat(Where, &["provider_payment_id", "like", "PI%"]), [] as [u64; 0]);
    assert_eq!(flat(Where, &["provider_payment_id", "=", ""]), [4]);
    assert_eq!(flat(Where, &["provider_payment_id", ">", "ch_3"]), [2, 1]);
    assert_eq!(flat(WhereNot, &["customer_id", "5"]), [3, 4]);
    assert_eq!(listed(WhereIn, "id", &["4", "1", "4", "99"]), [4, 1]);
    assert_eq!(listed(WhereNotIn, "id", &["4", "1"]), [3, 2]);
    assert_eq!(listed(WhereBetween, "created_time", &["100", "200"]), [4, 1]);
    assert_eq!(listed(WhereNotBetween, "created_time", &["100", "200"]), [3, 2]);
    assert_eq!(listed(WhereBetween, "created_time", &["200", "100"]), [] as [u64; 0]);
    assert_eq!(listed(WhereIn, "method", &["card"]), [3, 2, 4, 1]);
}

#[test]
fn i5_amounts_are_compared_by_their_value_whatever_their_currency() {
    let row = |id: u64, minor, code| Transaction {
        amount: cashier_core::money::Money::new(minor, currency(code)),
        created_time: UnixTime(id.cast_signed()),
        ..deposit(id)
    };
    let rows = [
        row(1, 25_000, "USD"),
        row(2, 250, "JPY"),
        row(3, 250_000, "KWD"),
        row(4, 25_000_000_000, "BTC"),
        row(5, 25_001, "USD"),
        row(6, 100_000_000_001, "BTC"),
    ];
    let found = |parts: &[&str]| {
        let filter = built(|b| b.flat(Clause::Where, parts)).unwrap();
        filter.page(rows.clone()).rows.iter().map(|row| row.id.0).collect::<Vec<_>>()
    };
    for value in ["250", "250.0", "250.00000000"] {
        assert_eq!(found(&["amount", "=", value]), [4, 3, 2, 1], "{value}");
    }
    assert_eq!(found(&["amount", ">", "250"]), [6, 5]);
    assert_eq!(found(&["amount", "<=", "250.01"]), [5, 4, 3, 2, 1]);
    assert_eq!(found(&["amount", "=", "250.005"]), [] as [u64; 0]);
    assert_eq!(found(&["amount", "=", "1000.00000001"]), [6]);
    let listed = built(|b| b.listed(Clause::WhereBetween, "amount", &["250.005", "250.01"])).unwrap();
    assert_eq!(listed.page(rows.clone()).rows.iter().map(|row| row.id.0).collect::<Vec<_>>(), [5]);
    let sorted = built(|b| b.order_by("amount", "desc")).unwrap();
    assert_eq!(sorted.page(rows.clone()).rows.iter().map(|row| row.id.0).collect::<Vec<_>>(), [6, 5, 4, 3, 2, 1]);
}

#[test]
fn i5_a_customer_may_name_the_published_fields_alone() {
    for field in TransactionField::ALL {
        let mut builder = Builder::of(TransactionField::PUBLISHED);
        let (named, sorted) =
            (builder.flat(Clause::WhereNot, &[field.name(), "1"]), builder.order_by(field.name(), "asc"));
        let is_published = TransactionField::PUBLISHED.contains(field);
        assert_eq!((named.is_ok(), sorted.is_ok()), (is_published, is_published), "{}", field.name());
    }
}

#[test]
fn conditions_are_joined_by_and() {
    let both = built(|b| {
        b.flat(Clause::Where, &["status", "=", "3"])?;
        b.flat(Clause::Where, &["customer_id", "=", "6"])
    });
    assert_eq!(ids(&both.unwrap()), [3]);
}

#[test]
fn a_refusal_names_the_rejected_text() {
    let long = "x".repeat(300);
    let flat: Vec<(Clause, Vec<&str>, Expect)> = vec![
        (Clause::Where, vec!["color", "=", "1"], expect![[r#"where: field "color" is not known"#]]),
        (Clause::Where, vec!["amount", "=", "1e2"], expect![[r#"amount: "1e2" is not a plain decimal number"#]]),
        (
            Clause::Where,
            vec!["amount", ">", "0.000000001"],
            expect![[r#"amount: "0.000000001" has more decimals than its currency"#]],
        ),
        (Clause::Where, vec!["amount", "like", "1%"], expect!["where: like does not apply to amount, an amount"]),
        (Clause::Where, vec!["Status", "=", "1"], expect![[r#"where: field "Status" is not known"#]]),
        (Clause::Where, vec!["status", "<>", "1"], expect![[r#"where: operator "<>" is not known"#]]),
        (Clause::Where, vec!["status", "LIKE", "1"], expect![[r#"where: operator "LIKE" is not known"#]]),
        (Clause::Where, vec!["status", "=", "credited"], expect![[r#"status: "credited" is not a 64-bit integer"#]]),
        (Clause::Where, vec!["status", "=", ""], expect![[r#"status: "" is not a 64-bit integer"#]]),
        (Clause::Where, vec!["status", "=", " 1"], expect![[r#"status: " 1" is not a 64-bit integer"#]]),
        (Clause::Where, vec!["status", "=", "+1"], expect![[r#"status: "+1" is not a 64-bit integer"#]]),
        (Clause::Where, vec!["status", "=", "1.0"], expect![[r#"status: "1.0" is not a 64-bit integer"#]]),
        (Clause::Where, vec!["status", "=", "-"], expect![[r#"status: "-" is not a 64-bit integer"#]]),
        (
            Clause::Where,
            vec!["id", "=", "9223372036854775808"],
            expect![[r#"id: "9223372036854775808" is not a 64-bit integer"#]],
        ),
        (Clause::Where, vec!["status", "like", "1%"], expect!["where: like does not apply to status, an integer"]),
        (Clause::Where, vec!["method", "like", &long], expect!["method: a like pattern has at most 255 characters"]),
        (Clause::Where, vec!["status", "1"], expect!["where: each element is [field, op, value]"]),
        (Clause::Where, vec![], expect!["where: each element is [field, op, value]"]),
        (Clause::WhereNot, vec!["status", "=", "1"], expect!["whereNot: each element is [field, value]"]),
        (Clause::WhereIn, vec!["status", "1"], expect!["whereIn: each element is [field, [value, …]]"]),
        (
            Clause::Where,
            vec![&long, "=", "1"],
            expect![[
                r#"where: field "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"… is not known"#
            ]],
        ),
    ];
    for (clause, parts, expected) in flat {
        refused(built(|b| b.flat(clause, &parts)), &expected);
    }
    refused(
        built(|b| b.listed(Clause::WhereBetween, "id", &["1"])),
        &expect!["whereBetween: each element is [field, [from, to]]"],
    );
    refused(
        built(|b| b.listed(Clause::WhereNotBetween, "id", &["1", "2", "3"])),
        &expect!["whereNotBetween: each element is [field, [from, to]]"],
    );
    refused(built(|b| b.listed(Clause::WhereIn, "id", &["1", "x"])), &expect![[r#"id: "x" is not a 64-bit integer"#]]);
    refused(built(|b| b.listed(Clause::WhereIn, "nope", &["1"])), &expect![[r#"whereIn: field "nope" is not known"#]]);
    refused(built(|b| b.listed(Clause::Where, "id", &["1"])), &expect!["where: each element is [field, op, value]"]);
    refused(built(|b| b.order_by("nope", "asc")), &expect![[r#"orderBy: field "nope" is not known"#]]);
    refused(built(|b| b.order_by("id", "up")), &expect![[r#"orderBy: direction "up" is neither asc nor desc"#]]);
    for limit in ["0", "50001", "-1", "x", "", "1e2"] {
        assert!(built(|b| b.limit(limit)).is_err(), "{limit}");
    }
    refused(built(|b| b.limit("50001")), &expect![[r#"limit "50001" is not within 1..50000"#]]);
    refused(built(|b| b.offset("-1")), &expect![[r#"offset "-1" is not a row number"#]]);
}

fn refused(outcome: Result<Filter<TransactionField>, Refusal>, expected: &Expect) {
    let refusal = outcome.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::InvalidData);
    expected.assert_eq(&refusal.message);
}

#[test]
fn limits_admit_their_maximum_and_refuse_one_more() {
    let conditions =
        |count| built(|b| (0..count).try_for_each(|_| b.flat(Clause::Where, &["id", ">", "0"]))).map(|_| ());
    assert!(conditions(32).is_ok());
    assert_eq!(conditions(33).unwrap_err().message, "where: more than 32 conditions");

    let values = |counts: &[usize]| {
        let list: Vec<String> = (0..1001).map(|id| id.to_string()).collect();
        built(|b| counts.iter().try_for_each(|count| b.listed(Clause::WhereIn, "id", &list[..*count]))).map(|_| ())
    };
    assert!(values(&[1000]).is_ok());
    assert_eq!(values(&[1001]).unwrap_err().message, "whereIn: more than 1000 list values");
    assert_eq!(values(&[600, 401]).unwrap_err().message, "whereIn: more than 1000 list values");

    assert!(built(|b| b.limit("50000")).is_ok_and(|filter| filter.limit() == 50_000));
    assert!(built(|_| Ok(())).is_ok_and(|filter| filter.limit() == 100 && filter.offset() == 0));
}

#[test]
fn pages_are_cut_after_sorting_and_count_everything() {
    let page = |limit: &str, offset: &str| {
        let filter = built(|b| {
            b.order_by("created_time", "ASC")?;
            b.limit(limit)?;
            b.offset(offset)
        });
        let page = filter.unwrap().page(rows());
        (page.rows.iter().map(|row| row.id.0).collect::<Vec<_>>(), page.count)
    };
    assert_eq!(page("2", "0"), (vec![1, 4], 4));
    assert_eq!(page("2", "2"), (vec![2, 3], 4));
    assert_eq!(page("2", "4"), (vec![], 4));
}

#[test]
fn the_order_is_total_with_id_as_the_last_key() {
    let order = |keys: &[(&str, &str)]| ids(&built(|b| keys.iter().try_for_each(|(f, d)| b.order_by(f, d))).unwrap());
    assert_eq!(order(&[]), [3, 2, 4, 1]);
    assert_eq!(order(&[("status", "asc")]), [1, 2, 3, 4]);
    assert_eq!(order(&[("status", "desc")]), [4, 3, 2, 1]);
    assert_eq!(order(&[("status", "DESC"), ("id", "asc")]), [4, 2, 3, 1]);
    assert_eq!(order(&[("id", "asc"), ("status", "desc")]), [1, 2, 3, 4]);
    assert_eq!(order(&[("status", "asc"), ("status", "desc"), ("id", "desc")]), [1, 3, 2, 4]);
    assert!(Filter::<TransactionField>::default().is_newest_first());
    assert!(built(|b| b.order_by("created_time", "desc")).unwrap().is_newest_first());
}

#[test]
fn every_table_reads_its_own_rows() {
    let mut configs: FilterBuilder<ConfigField> = FilterBuilder::new();
    configs.flat(Clause::Where, &["enabled", "=", "1"]).unwrap();
    configs.flat(Clause::Where, &["brand", "=", "ion4"]).unwrap();
    assert_eq!(configs.build().page([config(1)]).count, 1);

    let mut overrides: FilterBuilder<OverrideField> = FilterBuilder::new();
    overrides.flat(Clause::Where, &["mode", "=", "1"]).unwrap();
    assert_eq!(overrides.build().page([allow(1), deny(2)]).rows, [deny(2)]);

    let mut events: FilterBuilder<EventField> = FilterBuilder::new();
    events.flat(Clause::Where, &["event_id", "like", "evt_7"]).unwrap();
    use cashier_core::status::ProcessingStatus as P;
    assert_eq!(events.build().page([event(7, P::Pending), event(8, P::Pending)]).count, 1);

    for field in TransactionField::ALL {
        let row = deposit(1);
        let value = FilterRow::<TransactionField>::value(&row, *field);
        let kind = match value {
            FilterValue::Int(_) => Kind::Int,
            FilterValue::Text(_) => Kind::Text,
            FilterValue::Decimal(_) => Kind::Decimal,
        };
        assert_eq!(kind, field.kind(), "{}", field.name());
    }
}

#[test]
fn like_takes_any_text_and_any_one_character() {
    let table = [
        ("", "", true),
        ("", "a", false),
        ("%", "", true),
        ("%%%", "anything", true),
        ("_", "", false),
        ("_", "é", true),
        ("__", "é", false),
        ("a%", "a", true),
        ("%a", "banana", true),
        ("%an%an%", "banana", true),
        ("%an%an%an%", "banana", false),
        ("b_n_n_", "banana", true),
        ("%é%", "caféteria", true),
        ("a_%", "a", false),
        ("a_%", "ab", true),
        ("a\\%", "a%", false),
        ("a\\%", "a\\b", true),
        ("A", "a", false),
    ];
    for (pattern, text, expected) in table {
        assert_eq!(Pattern::new(pattern).unwrap().matches(text), expected, "{pattern:?} {text:?}");
    }
    let longest = "%a".repeat(127);
    assert!(Pattern::new(&longest).unwrap().matches(&"a".repeat(127)));
    assert!(!Pattern::new(&longest).unwrap().matches(&"a".repeat(126)));
    assert!(Pattern::new(&"a".repeat(255)).unwrap().matches(&"a".repeat(255)));
    assert!(Pattern::new(&"a".repeat(256)).is_none());
}

/// The definition of `like`.
fn like(pattern: &[char], text: &[char]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        (['%', rest @ ..], _) => like(rest, text) || (!text.is_empty() && like(pattern, &text[1..])),
        (['_', rest @ ..], [_, text @ ..]) => like(rest, text),
        ([character, rest @ ..], [first, text @ ..]) => character == first && like(rest, text),
        ([], _) | (_, []) => false,
    }
}

proptest! {
    #[test]
    fn like_agrees_with_its_definition(pattern in "[ab%_é]{0,8}", text in "[abé]{0,10}") {
        let expected = like(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>());
        prop_assert_eq!(Pattern::new(&pattern).unwrap().matches(&text), expected);
    }

    #[test]
    fn pages_of_any_size_join_to_the_whole(limit in 1usize..5, rows in proptest::collection::vec((0i64..3, 1u64..50), 0..20)) {
        let mut seen = std::collections::BTreeSet::new();
        let rows: Vec<Transaction> = rows
            .into_iter()
            .filter(|(_, id)| seen.insert(*id))
            .map(|(created, id)| Transaction { id: TransactionId(id), created_time: UnixTime(created), ..deposit(id) })
            .collect();
        let whole: Vec<u64> = Filter::<TransactionField>::default().page(rows.clone()).rows.iter().map(|r| r.id.0).collect();
        let mut joined = Vec::new();
        for offset in (0..rows.len()).step_by(limit) {
            let filter = built(|b| {
                b.limit(&limit.to_string())?;
                b.offset(&offset.to_string())
            });
            joined.extend(filter.unwrap().page(rows.clone()).rows.iter().map(|row| row.id.0));
        }
        prop_assert_eq!(joined, whole);
    }
}
