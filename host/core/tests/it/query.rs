//! Lists from the books against the definition of a filter, in one hold and in many, with rows out of order.

use cashier_core::books::{Books, LIST_BYTES_MAX, Progress, Scope};
use cashier_core::change::Change;
use cashier_core::filter::{Clause, Field, Filter, FilterBuilder, Kind, TransactionField};
use cashier_core::ids::{ConfigId, CustomerId, Login, Seq, TransactionId};
use cashier_core::money::Money;
use cashier_core::reason::{Reason, ReasonCode};
use cashier_core::status::TransactionStatus;
use cashier_core::time::UnixTime;
use cashier_core::transaction::Transaction;
use proptest::prelude::*;

use crate::samples::*;

pub(crate) fn books_of(rows: &[Transaction]) -> Books {
    let mut books = Books::new();
    for row in rows {
        books.load(Change::Transaction(Box::new(row.clone())));
    }
    books
}

/// Resumes the query until it is answered, and counts the holds.
pub(crate) fn run(books: &Books, filter: &Filter<TransactionField>, scope: &Scope) -> (Answer, usize) {
    let mut resume = None;
    for hold in 1..100_000 {
        match books.query(filter, scope, LIST_BYTES_MAX, resume) {
            Progress::Found(page) => return (Answer::of(books, filter, *page), hold),
            Progress::More(scan) => resume = Some(scan),
            Progress::Restless | Progress::TooLarge | Progress::NeedsCapacity(..) => panic!("nothing changes"),
        }
    }
    panic!("the query does not end");
}

pub(crate) fn built(build: impl FnOnce(&mut FilterBuilder<TransactionField>)) -> Filter<TransactionField> {
    let mut builder = FilterBuilder::new();
    build(&mut builder);
    builder.build()
}

/// The first page of the rows with this value, and how many there are.
pub(crate) fn page_of(books: &Books, field: &str, value: &str) -> (Vec<u64>, u64) {
    let (answer, _) = run(books, &built(|b| b.flat(Clause::Where, &[field, "=", value]).unwrap()), &Scope::default());
    (answer.rows.iter().map(|row| row.id.0).collect(), answer.count)
}

/// The answer by the filter's definition.
fn reference_answer(rows: &[Transaction], filter: &Filter<TransactionField>, scope: &Scope) -> (Vec<u64>, u64) {
    let seen = rows.iter().filter(|row| {
        scope.customer.is_none_or(|customer| customer == row.customer_id)
            && scope.brand.as_ref().is_none_or(|brand| *brand == row.brand)
    });
    let page = filter.page(seen);
    (page.rows.iter().map(|row| row.id.0).collect(), page.count)
}

fn any_row(id: u64) -> impl Strategy<Value = Transaction> {
    let status = prop::sample::select(TransactionStatus::ALL);
    let words = (
        prop::sample::select(vec!["stripe", "paypal", "manual"]),
        prop::sample::select(vec!["card", "sepa", ""]),
        prop::sample::select(vec!["ion4", "other"]),
        prop::sample::select(vec!["USD", "EUR", "JPY"]),
        prop::sample::select(vec!["", "pi_1", "pi_22", "ch_3"]),
    );
    let managers = (
        prop::sample::select(vec![1_i64, 2, 100, 250, 4_294_967_294, 4_294_967_295, 5_000_000_000]),
        0_u64..3,
        prop::sample::select(vec!["", "k-1", "k-2"]),
        prop::sample::select(vec![ReasonCode::None, ReasonCode::Expired, ReasonCode::AmountMismatch]),
        0_i64..3,
    );
    (status, words, (1_u64..4, 1_u64..4), (-2_i64..6, 0_i64..3, 0_i64..3), managers).prop_map(
        move |(
            status,
            (provider, method, brand, code, payment),
            (customer, login),
            (created, approved, processed),
            (minor, config, key, reason, later),
        )| {
            Transaction {
                status,
                provider: provider.into(),
                method: method.into(),
                brand: brand.into(),
                amount: Money::new(minor, currency(code)),
                config_id: ConfigId(config),
                idempotency_key: key.into(),
                reason: Reason::new(reason, "a detail"),
                updated_time: UnixTime(created + later),
                expires_time: UnixTime(later),
                provider_payment_id: payment.into(),
                customer_id: CustomerId(customer),
                login: Login(login),
                created_time: UnixTime(created),
                approved_time: UnixTime(approved),
                processed_time: UnixTime(processed),
                ..deposit(id)
            }
        },
    )
}

fn any_rows() -> impl Strategy<Value = Vec<Transaction>> {
    (0_usize..40).prop_flat_map(|count| (1..=count as u64).map(any_row).collect::<Vec<_>>().prop_shuffle())
}

type Piece = (Clause, &'static str, Vec<&'static str>);

fn any_piece() -> impl Strategy<Value = Piece> {
    // References of two of the rows.
    let [third, ninth] = [3, 9].map(|id| &*Box::leak(deposit(id).reference.as_str().to_owned().into_boxed_str()));
    let fields = prop::sample::select(vec![
        ("reference", vec![third, ninth, "d", "d%"]),
        ("amount", vec!["1", "1.00", "2.5", "0.02", "100", "0", "42949672.95", "5000000000"]),
        ("brand", vec!["ion4", "unknown", "%e%"]),
        ("provider_config_id", vec!["0", "1", "7"]),
        ("idempotency_key", vec!["", "k-1", "k-_"]),
        ("failure_reason", vec!["", "EXPIRED", "AMOUNT%"]),
        ("updated_time", vec!["-1", "2", "4"]),
        ("expires_time", vec!["0", "1"]),
        ("id", vec!["1", "5", "17", "-4", "99"]),
        ("customer_id", vec!["1", "2", "9", "-1"]),
        ("login", vec!["1", "3", "9"]),
        ("type", vec!["0", "1"]),
        ("status", vec!["0", "3", "9", "77", "-1"]),
        ("source", vec!["0", "1"]),
        ("provider", vec!["stripe", "manual", "unknown", "%a%"]),
        ("method", vec!["card", "", "s%"]),
        ("currency", vec!["USD", "EUR", "%D"]),
        ("provider_payment_id", vec!["pi_1", "", "pi_%"]),
        ("approved_time", vec!["0", "1"]),
        ("processed_time", vec!["0", "2"]),
        ("created_time", vec!["-1", "0", "2", "5", "100"]),
    ]);
    (prop::sample::select(Clause::ALL), fields, any::<u8>(), any::<u8>(), any::<u8>()).prop_map(
        |(clause, (field, values), first, second, op)| {
            let value = |number: u8| values[usize::from(number) % values.len()];
            let text = TransactionField::ALL.iter().any(|known| name(*known) == field && known.kind() == Kind::Text);
            let ops = ["=", "==", "!=", ">", ">=", "<", "<=", if text { "like" } else { "=" }];
            let parts = match clause {
                Clause::Where => vec![ops[usize::from(op) % ops.len()], value(first)],
                Clause::WhereNot => vec![value(first)],
                Clause::WhereIn | Clause::WhereNotIn | Clause::WhereBetween | Clause::WhereNotBetween => {
                    vec![value(first), value(second)]
                }
            };
            (clause, field, parts)
        },
    )
}

fn any_filter() -> impl Strategy<Value = Filter<TransactionField>> {
    let fields: Vec<&str> = Field::ALL.iter().map(|field: &TransactionField| name(*field)).collect();
    let order = prop::collection::vec((prop::sample::select(fields), any::<bool>()), 0..3);
    (prop::collection::vec(any_piece(), 0..3), order, 1_usize..12, 0_u64..12).prop_map(
        |(pieces, order, limit, offset)| {
            built(|b| {
                for (clause, field, parts) in pieces {
                    match clause {
                        Clause::Where | Clause::WhereNot => b.flat(clause, &[&[field], &parts[..]].concat()),
                        Clause::WhereIn | Clause::WhereNotIn | Clause::WhereBetween | Clause::WhereNotBetween => {
                            b.listed(clause, field, &parts)
                        }
                    }
                    .unwrap();
                }
                for (field, descending) in order {
                    b.order_by(field, if descending { "desc" } else { "asc" }).unwrap();
                }
                b.limit(&limit.to_string()).unwrap();
                b.offset(&offset.to_string()).unwrap();
            })
        },
    )
}

fn name(field: TransactionField) -> &'static str {
    Field::name(field)
}

fn any_scope() -> impl Strategy<Value = Scope> {
    let customer = prop::option::of((1_u64..5).prop_map(CustomerId));
    let brand = prop::option::of(prop::sample::select(vec!["ion4", "unknown"]).prop_map(Into::into));
    (customer, brand).prop_map(|(customer, brand)| Scope { customer, brand })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_list_agrees_with_the_definition_of_its_filter(rows in any_rows(), filter in any_filter(), scope in any_scope()) {
        let (answer, _) = run(&books_of(&rows), &filter, &scope);
        let ids: Vec<u64> = answer.rows.iter().map(|row| row.id.0).collect();
        let expected = reference_answer(&rows, &filter, &scope);
        prop_assert_eq!((ids, answer.count), expected.clone());
        // Who does not want to know the count gets the same rows.
        let (answer, _) = run(&books_of(&rows), &filter.uncounted(), &scope);
        let ids: Vec<u64> = answer.rows.iter().map(|row| row.id.0).collect();
        prop_assert_eq!((ids, answer.count), (expected.0, 0));
    }
}

/// Enough rows for many holds: `disorder` of every hundred were created earlier or later than the rows around them.
pub(crate) fn many(count: u64, disorder: u64) -> Vec<Transaction> {
    let row = |id: u64| {
        let jump = match (id * 7919) % 100 {
            hundredth if hundredth < disorder => ((id * 31) % 5_000) as i64 - 2_500,
            _ => 0,
        };
        Transaction {
            created_time: UnixTime(1_000_000 + id as i64 + jump),
            status: TransactionStatus::ALL[(id * 31 % 10) as usize],
            customer_id: CustomerId(id % 50),
            provider: ["stripe", "paypal", "adyen"][(id * 17 % 3) as usize].into(),
            idempotency_key: format!("k-{}", id % 2_999).into(),
            amount: Money { minor: (id % 700) as i64 * 100, ..deposit(id).amount },
            reason: Reason::from(
                [ReasonCode::None, ReasonCode::Expired, ReasonCode::AmountMismatch][(id % 3) as usize],
            ),
            ..deposit(id)
        }
    };
    (1..=count).map(row).collect()
}

#[test]
fn a_list_over_many_holds_has_the_same_answer() {
    for disorder in [0, 5, 100] {
        let rows = many(10_000, disorder);
        let books = books_of(&rows);
        let no_scope = Scope::default();
        let filters: Vec<(bool, Filter<TransactionField>)> = vec![
            (false, Filter::default()),
            (false, built(|b| b.flat(Clause::Where, &["status", "=", "3"]).unwrap())),
            (false, built(|b| b.flat(Clause::Where, &["customer_id", "=", "7"]).unwrap())),
            (true, built(|b| b.flat(Clause::Where, &["provider_payment_id", "=", ""]).unwrap())),
            (true, built(|b| b.order_by("status", "asc").unwrap())),
            (true, built(|b| b.order_by("amount", "asc").unwrap())),
            (true, built(|b| b.flat(Clause::Where, &["idempotency_key", "=", "k-77"]).unwrap())),
            (true, built(|b| b.listed(Clause::WhereIn, "idempotency_key", &["k-5", "", "k-2998"]).unwrap())),
            (true, built(|b| b.flat(Clause::WhereNot, &["idempotency_key", "k-5"]).unwrap())),
            (true, built(|b| b.flat(Clause::Where, &["failure_reason", "=", "EXPIRED"]).unwrap())),
            (true, built(|b| b.flat(Clause::Where, &["failure_reason", "like", "%M%"]).unwrap())),
            (true, built(|b| b.listed(Clause::WhereNotIn, "failure_reason", &["", "EXPIRED"]).unwrap())),
            (true, built(|b| b.flat(Clause::Where, &["amount", "=", "350"]).unwrap())),
            (
                true,
                built(|b| {
                    b.limit("3000").unwrap();
                    b.offset("6000").unwrap();
                }),
            ),
            (
                true,
                built(|b| {
                    b.listed(Clause::WhereIn, "status", &["1", "2", "3", "4", "5", "6"]).unwrap();
                    b.flat(Clause::Where, &["provider", "!=", "stripe"]).unwrap();
                }),
            ),
            (false, built(|b| b.listed(Clause::WhereBetween, "created_time", &["1009000", "1009100"]).unwrap())),
        ];
        for (place, (long, filter)) in filters.iter().enumerate() {
            let (answer, holds) = run(&books, filter, &no_scope);
            let ids: Vec<u64> = answer.rows.iter().map(|row| row.id.0).collect();
            assert_eq!(
                (ids, answer.count),
                reference_answer(&rows, filter, &no_scope),
                "filter {place}, disorder {disorder}"
            );
            assert!(holds > 1 || !long, "filter {place} took {holds} holds");
        }
    }
}

#[test]
fn i5_a_payment_is_found_by_its_reference_or_its_providers_id_in_one_hold() {
    let rows: Vec<Transaction> = many(20_000, 5)
        .into_iter()
        .map(|row| Transaction { provider_payment_id: format!("pi_{}", row.id).into(), ..row })
        .collect();
    let books = books_of(&rows);
    let reference = rows[7_000].reference.as_str();
    for (field, value) in [("reference", reference), ("provider_payment_id", "pi_7001")] {
        let filter = built(|b| b.flat(Clause::Where, &[field, "=", value]).unwrap());
        let (answer, holds) = run(&books, &filter, &Scope::default());
        let ids: Vec<u64> = answer.rows.iter().map(|row| row.id.0).collect();
        assert_eq!((ids, answer.count, holds), (vec![7_001], 1, 1), "{field}");
    }
}

#[test]
fn the_first_page_of_all_rows_takes_one_hold() {
    let rows = many(20_000, 5);
    let books = books_of(&rows);
    let (answer, holds) = run(&books, &Filter::default(), &Scope::default());
    assert_eq!((answer.count, answer.rows.len(), holds), (20_000, 100, 1));
}

#[test]
fn an_answer_names_the_newest_commit_of_its_rows() {
    let mut books = books_of(&many(3, 0));
    books.apply(&commit(7, vec![Change::Transaction(Box::new(deposit(2)))]));
    books.apply(&commit(
        8,
        vec![Change::Transaction(Box::new(Transaction { customer_id: CustomerId(1), ..deposit(4) }))],
    ));
    let of = |customer| Scope { customer: Some(CustomerId(customer)), brand: None };
    assert_eq!(run(&books, &Filter::default(), &Scope::default()).0.newest, Seq(8));
    assert_eq!(run(&books, &Filter::default(), &of(3)).0.newest, Seq(0));
    assert_eq!(books.touched(TransactionId(2)), Seq(7));
}
