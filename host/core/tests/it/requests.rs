//! Deposit and withdrawal requests: each check by itself and in the published order, the transaction that a request opens,
//! and when a second request under one key is the same order.

use cashier_core::account::AccountFacts;
use cashier_core::conversion::{ConversionTerms, Margin, Rate, StatedRate};
use cashier_core::deposit::{self, DepositRequest};
use cashier_core::eligibility::{ConfigCandidate, EligibilityContext, Eligible, ModuleFitness, Wanted, choose};
use cashier_core::ids::{ConfigId, CustomerId, Login, TransactionId};
use cashier_core::money::Money;
use cashier_core::provider_config::ProviderConfig;
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::standing::Nature;
use cashier_core::status::{Source, TransactionStatus, TransactionType};
use cashier_core::time::UnixTime;
use cashier_core::transaction::{FirstAnswer, Fresh, KeySpace, NextAction, Transaction};
use cashier_core::withdrawal::{self, MANUAL_PROVIDER, WithdrawalRequest};

use crate::samples::{NOW, account, config, currency, reference, usd};

fn deposit_request() -> DepositRequest {
    DepositRequest {
        customer_id: CustomerId(5),
        login: Login(2_000_009),
        provider: "stripe".into(),
        method: "card".into(),
        provider_config_id: None,
        amount: usd(25_000),
        idempotency_key: "order-1".into(),
        success_url: "https://broker.example/paid".into(),
        failure_url: "https://broker.example/failed".into(),
        comment: "first".into(),
        metadata_json: r#"{"campaign":"spring"}"#.into(),
        refused_if_new: None,
    }
}

fn withdrawal_request() -> WithdrawalRequest {
    WithdrawalRequest {
        customer_id: CustomerId(5),
        login: Login(2_000_009),
        method: "bank".into(),
        amount: usd(5_000),
        idempotency_key: "out-1".into(),
        comment: "rent".into(),
        metadata_json: r#"{"iban":"DE02"}"#.into(),
        refused_if_new: None,
    }
}

fn fresh() -> Fresh {
    Fresh { id: TransactionId(15), reference: reference(15), now: NOW }
}

fn eligible(config: &ProviderConfig) -> Eligible {
    let methods: Vec<Box<str>> = vec!["card".into()];
    let module = ModuleFitness::Loaded { brands: None, methods: &methods, currencies: &[] };
    let mut account = account();
    account.group.account_mode = cashier_core::account::AccountMode::Demo;
    let context =
        EligibilityContext { account: &account, sandbox_credit_allowed: false, live_on_demo_allowed: true, now: NOW };
    let wanted = Wanted { provider: "stripe", method: "card", provider_config_id: None, amount: usd(25_000) };
    choose(&context, &[ConfigCandidate { config, module }], &[], &wanted).unwrap()
}

fn code(checked: Result<(), Refusal>) -> Option<RefusalCode> {
    checked.err().map(|refusal| refusal.code)
}

type Change = fn(&mut AccountFacts);

/// Each state of an account that a check is about.
const INACTIVE: Change = |account| account.customer.status = 3;
const NO_DEPOSITS: Change = |account| account.customer.deposit_allowed = false;
const NO_WITHDRAWALS: Change = |account| account.customer.withdrawal_allowed = false;
const ACCOUNT_OFF: Change = |account| account.account.enabled = false;
const GROUP_OFF: Change = |account| account.group.enabled = false;
const EUROS: Change = |account| account.group.currency = currency("EUR");

fn changed(changes: &[Change]) -> AccountFacts {
    let mut account = account();
    changes.iter().for_each(|change| change(&mut account));
    account
}

#[test]
fn a_deposit_is_refused_for_each_state_of_its_account_in_the_published_order() {
    use RefusalCode as R;
    let check = |changes: &[Change]| {
        let account = changed(changes);
        let unconverted = deposit::frozen_conversion(deposit_request().amount, &account, None, &terms(""), NOW);
        code(deposit::check_customer(&account).and(unconverted.map(drop)))
    };
    assert_eq!(check(&[]), None);
    assert_eq!(check(&[NO_WITHDRAWALS]), None, "a bar of withdrawals does not bar deposits");
    // In the published order: each refusal wins over all that follow.
    let order = [
        (INACTIVE, R::PermissionDenied),
        (NO_DEPOSITS, R::DepositNotAllowed),
        (ACCOUNT_OFF, R::AccountDisabled),
        (GROUP_OFF, R::AccountDisabled),
        (EUROS, R::CurrencyConversionRequired),
    ];
    for (at, (change, refusal)) in order.into_iter().enumerate() {
        assert_eq!(check(&[change]), Some(refusal), "alone, {at}");
        let this_and_later: Vec<Change> = order[at..].iter().map(|(change, _)| *change).collect();
        assert_eq!(check(&this_and_later), Some(refusal), "before all later ones, {at}");
    }
}

fn terms(margin: &str) -> ConversionTerms {
    let margins = Margin::parse(margin).map(|margin| ("ion4".into(), margin)).into_iter().collect();
    ConversionTerms { rate_age_seconds: 300, margins }
}

#[test]
fn a_deposit_in_another_currency_is_converted_at_a_current_rate_less_the_brands_margin() {
    let account = changed(&[EUROS]);
    let freeze = |rate: &str, age: i64, amount: Money, terms: &ConversionTerms| {
        let rate = Rate::parse(rate).unwrap();
        let stated = StatedRate { rate, time: NOW.plus(-age), source: "desk".into() };
        let frozen = deposit::frozen_conversion(amount, &account, Some(&stated), terms, NOW);
        frozen.map(|frozen| frozen.unwrap().rate.to_wire()).map_err(|refusal| (refusal.code, refusal.message))
    };
    let required =
        Err((RefusalCode::CurrencyConversionRequired, "the account is in EUR, the amount in USD".to_owned()));
    assert_eq!(freeze("0.9231", 300, usd(100), &terms("")), Ok("0.9231".to_owned()));
    assert_eq!(freeze("0.9231", 301, usd(100), &terms("")), required, "too old");
    assert_eq!(freeze("0.9231", -1, usd(100), &terms("")), required, "from the future");
    assert_eq!(freeze("0.9231", 0, usd(100), &terms("0.5")), Ok("0.9184845".to_owned()));
    let mut others = terms("0.5");
    others.margins = [("other".into(), Margin::parse("0.5").unwrap())].into();
    assert_eq!(freeze("0.9231", 0, usd(100), &others), Ok("0.9231".to_owned()), "another brand's margin");
    let refused = |message: &str| Err((RefusalCode::AmountOutOfRange, message.to_owned()));
    assert_eq!(
        freeze("0.9231", 0, usd(1), &terms("")),
        refused("amount: 0.01 USD is worth less than the smallest amount of the account's currency, EUR")
    );
    assert_eq!(
        freeze("1.1", 0, usd(cashier_core::money::MINOR_MAX), &terms("")),
        refused("amount: 10000000000000.0 USD is worth more than the largest amount of the account's currency, EUR")
    );
    let own = Money::new(100, currency("EUR"));
    let none = deposit::frozen_conversion(own, &account, None, &terms(""), NOW).unwrap();
    assert_eq!(none, None, "the account's own currency needs no rate");
}

#[test]
fn a_withdrawal_is_refused_for_each_state_of_its_account_in_the_published_order() {
    use RefusalCode as R;
    let check = |changes: &[Change]| code(withdrawal::check_account(&withdrawal_request(), &changed(changes)));
    assert_eq!(check(&[]), None);
    assert_eq!(check(&[NO_DEPOSITS, ACCOUNT_OFF, GROUP_OFF]), None, "judged when it is posted, by the trading server");
    assert_eq!(check(&[INACTIVE, NO_WITHDRAWALS, EUROS]), Some(R::PermissionDenied));
    assert_eq!(check(&[NO_WITHDRAWALS, EUROS]), Some(R::WithdrawalNotAllowed));
    assert_eq!(check(&[EUROS]), Some(R::CurrencyConversionRequired));
}

#[test]
fn the_refusal_of_another_currency_names_both() {
    let refusal = deposit::check_currency(usd(1), &changed(&[EUROS])).unwrap_err();
    assert_eq!(refusal.message, "the account is in EUR, the amount in USD");
}

#[test]
fn plain_http_return_urls_are_for_the_sandbox_alone() {
    let check = |success: &str, failure: &str, sandbox: bool| {
        let request = DepositRequest { success_url: success.into(), failure_url: failure.into(), ..deposit_request() };
        deposit::check_return_urls(&request, sandbox).err().map(|refusal| (refusal.code, refusal.message))
    };
    let refused = |field: &str| Some((RefusalCode::InvalidData, format!("{field} must be an https URL")));
    let (https, http) = ("https://broker.example/", "http://127.0.0.1:3000/");
    for sandbox in [false, true] {
        assert_eq!(check(https, https, sandbox), None);
        assert_eq!(check("", "", sandbox), None, "both may be omitted");
        assert_eq!(check("ftp://broker.example/", "", sandbox), refused("success_url"));
        assert_eq!(check(https, "javascript:alert(1)", sandbox), refused("failure_url"));
    }
    assert_eq!((check(http, https, true), check(https, http, true)), (None, None));
    assert_eq!(check(http, http, false), refused("success_url"), "the first is named");
    assert_eq!(check(https, http, false), refused("failure_url"));
}

#[test]
fn a_deposit_opens_with_the_snapshots_of_its_request_account_and_config() {
    let sandbox = ProviderConfig { sandbox: true, ..config(7) };
    let opened = deposit::open(&deposit_request(), &account(), &eligible(&sandbox), 3_600, fresh());
    let expected = Transaction {
        provider: "stripe".into(),
        method: "card".into(),
        requested_method: "card".into(),
        idempotency_key: "order-1".into(),
        has_texts: true,
        stored_bytes: 82,
        config_id: ConfigId(7),
        sandbox: true,
        expires_time: NOW.plus(3_600),
        ..Transaction::blank(fresh(), Login(2_000_009), usd(25_000), &account())
    };
    assert_eq!(opened, expected);
    let who = (opened.customer_id, opened.login, &*opened.brand, &*opened.country, opened.account_currency);
    assert_eq!(who, (CustomerId(5), Login(2_000_009), "ion4", "DE", currency("USD")));
    let state = (opened.status, opened.first_answer, opened.next_action, opened.version, opened.created_time);
    assert_eq!(state, (TransactionStatus::Created, FirstAnswer::Open, NextAction::None, 1, NOW));
    let live = deposit::open(&deposit_request(), &account(), &eligible(&config(1)), 0, fresh());
    assert_eq!((live.sandbox, live.expires_time), (false, UnixTime::UNSET), "0 never expires");
    let past = deposit::open(&deposit_request(), &account(), &eligible(&config(1)), -1, fresh());
    assert_eq!(past.expires_time, UnixTime::UNSET, "no order is born expired");
}

#[test]
fn a_withdrawal_opens_for_a_person_to_approve() {
    let opened = withdrawal::open(&withdrawal_request(), &account(), fresh());
    let expected = Transaction {
        kind: TransactionType::Withdrawal,
        source: Source::Manual,
        provider: MANUAL_PROVIDER.into(),
        method: "bank".into(),
        requested_method: "bank".into(),
        idempotency_key: "out-1".into(),
        has_texts: true,
        stored_bytes: 19,
        status: TransactionStatus::ManualReview,
        first_answer: FirstAnswer::Accepted,
        ..Transaction::blank(fresh(), Login(2_000_009), usd(5_000), &account())
    };
    assert_eq!(opened, expected);
    assert_eq!((opened.nature(), opened.config_id), (Nature::ManualWithdrawal, ConfigId(0)));
}

#[test]
fn b1_a_row_says_how_much_its_request_stored_and_whether_there_are_texts() {
    let opened = |change: fn(&mut DepositRequest)| {
        let mut request = deposit_request();
        change(&mut request);
        let row = deposit::open(&request, &account(), &eligible(&config(1)), 0, fresh());
        (row.has_texts, row.stored_bytes)
    };
    let urls = "https://broker.example/paid".len() + "https://broker.example/failed".len();
    let urls = u32::try_from(urls).unwrap();
    assert_eq!(opened(|request| (request.comment, request.metadata_json) = ("".into(), "{}".into())), (false, urls));
    assert_eq!(opened(|request| request.comment = "".into()), (true, urls + 21));
    assert_eq!(opened(|request| request.metadata_json = "{}".into()), (true, urls + 5));
    let long = |request: &mut DepositRequest| request.metadata_json = "x".repeat(16 * 1024).into();
    assert_eq!(opened(long), (true, urls + 5 + 16 * 1024));
    assert_eq!(deposit_request().texts().comment, "first".into());
    let withdrawn = withdrawal::open(&withdrawal_request(), &account(), fresh());
    assert_eq!((withdrawn.has_texts, withdrawn.stored_bytes), (true, 19));
}

#[test]
fn a_request_that_differs_in_one_field_is_another_order() {
    let earlier = deposit::open(&deposit_request(), &account(), &eligible(&config(1)), 0, fresh());
    let same = |change: fn(&mut DepositRequest)| {
        let mut request = deposit_request();
        change(&mut request);
        deposit::same_order(&earlier, &request)
    };
    assert!(same(|_| ()));
    // What the published rule does not compare may differ.
    assert!(same(|request| request.comment = "another".into()));
    assert!(same(|request| request.metadata_json = "{}".into()));
    assert!(same(|request| request.success_url = "https://elsewhere.example/".into()));
    assert!(!same(|request| request.login = Login(1)));
    assert!(!same(|request| request.provider = "paypal".into()));
    assert!(!same(|request| request.method = "".into()));
    assert!(!same(|request| request.amount = usd(25_001)));
    assert!(!same(|request| request.amount = Money::new(25_000, currency("EUR"))));
    for (kind, source) in [(TransactionType::Withdrawal, Source::Provider), (TransactionType::Deposit, Source::Manual)]
    {
        let other = Transaction { kind, source, ..earlier.clone() };
        assert!(!deposit::same_order(&other, &deposit_request()), "{kind:?} {source:?}");
    }
    let conflict = deposit::key_conflict();
    assert_eq!(
        (conflict.code, &*conflict.message),
        (RefusalCode::IdempotencyConflict, "idempotency_key was used for another order")
    );
}

#[test]
fn a_withdrawal_that_differs_in_one_field_is_another_order() {
    let earlier = withdrawal::open(&withdrawal_request(), &account(), fresh());
    let same = |change: fn(&mut WithdrawalRequest)| {
        let mut request = withdrawal_request();
        change(&mut request);
        withdrawal::same_order(&earlier, &request)
    };
    assert!(same(|_| ()) && same(|request| request.comment = "another".into()));
    assert!(!same(|request| request.login = Login(1)));
    assert!(!same(|request| request.method = "card".into()));
    assert!(!same(|request| request.amount = usd(5_001)));
    let others = [
        Transaction { kind: TransactionType::Deposit, ..earlier.clone() },
        Transaction { provider: "stripe".into(), ..earlier.clone() },
    ];
    for other in others {
        assert!(!withdrawal::same_order(&other, &withdrawal_request()), "{:?} {}", other.kind, other.provider);
    }
}

#[test]
fn a_transaction_binds_its_key_until_it_was_never_sent() {
    let opened = deposit::open(&deposit_request(), &account(), &eligible(&config(1)), 0, fresh());
    for answer in FirstAnswer::ALL {
        let row = Transaction { first_answer: *answer, status: TransactionStatus::Failed, ..opened.clone() };
        assert_eq!(row.binds_key(), *answer != FirstAnswer::NeverSent, "{answer:?}");
        let paid = Transaction { status: TransactionStatus::Credited, ..row };
        assert!(paid.binds_key(), "{answer:?}: paid all the same");
    }
    assert!(!Transaction { idempotency_key: "".into(), ..opened.clone() }.binds_key(), "without a key there is none");
    assert_eq!(&*opened.provider_key(), reference(15).as_str(), "no customer chooses the provider's key");
    assert_eq!(opened.converted(), usd(25_000));
    assert_eq!(opened.key_space, KeySpace::Customer);
    for status in TransactionStatus::ALL {
        let unpaid = matches!(status, TransactionStatus::Created | TransactionStatus::PendingPayment);
        assert_eq!(Transaction { status: *status, ..opened.clone() }.is_unpaid(), unpaid, "{status:?}");
    }
    let natures = [
        (Source::Provider, TransactionType::Deposit, Nature::ProviderDeposit),
        (Source::Manual, TransactionType::Deposit, Nature::ManualDeposit),
        (Source::Provider, TransactionType::Withdrawal, Nature::ManualWithdrawal),
        (Source::Manual, TransactionType::Withdrawal, Nature::ManualWithdrawal),
    ];
    for (source, kind, nature) in natures {
        assert_eq!(Transaction { source, kind, ..opened.clone() }.nature(), nature, "{source:?} {kind:?}");
    }
}
