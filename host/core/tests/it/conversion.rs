//! Rates: what their text may be, what a margin leaves, and that converting is exact at the ends, monotonic and the same for
//! both signs.

use cashier_core::conversion::{
    Conversion, ConversionError, Margin, RATE_DECIMALS_MAX, RATE_MANTISSA_MAX, RATE_SOURCE_LENGTH_MAX, Rate, RateError,
    StatedRate,
};
use cashier_core::money::{Currency, MINOR_MAX, Money};
use cashier_core::time::UnixTime;
use proptest::prelude::*;

fn currency(code: &str) -> Currency {
    Currency::from_code(code).unwrap()
}

fn rate(text: &str) -> Rate {
    Rate::parse(text).unwrap()
}

#[test]
fn a_rate_is_written_as_it_was_stated_without_superfluous_zeros() {
    let table = [
        ("1", "1.0"),
        ("1.0832", "1.0832"),
        ("1.08320", "1.0832"),
        ("0.0067431", "0.0067431"),
        ("007.50", "7.5"),
        ("1500000000", "1500000000.0"),
        ("1000000000000000000", "1000000000000000000.0"),
        ("0.000000000000000001", "0.000000000000000001"),
    ];
    for (text, wire) in table {
        assert_eq!(rate(text).to_wire(), wire, "{text}");
        let (mantissa, decimals) = rate(text).parts();
        assert_eq!(Rate::of(mantissa, decimals), Some(rate(text)), "{text}");
    }
    assert_eq!(rate("1.0"), Rate::ONE);
}

#[test]
fn a_text_that_is_no_rate_is_refused_with_the_reason() {
    use RateError::*;
    let table = [
        ("", NotADecimal),
        ("-1", NotADecimal),
        ("+1", NotADecimal),
        ("1e2", NotADecimal),
        ("1.", NotADecimal),
        (".1", NotADecimal),
        ("1,1", NotADecimal),
        ("\"1\"", NotADecimal),
        ("0", NotPositive),
        ("0.000", NotPositive),
        ("1000000000000000001", TooManyDigits),
        ("0.0000000000000000001", TooManyDigits),
        ("99999999999999999999999999999999999999999999999999999999999", TooManyDigits),
    ];
    for (text, error) in table {
        assert_eq!(Rate::parse(text), Err(error), "{text}");
    }
    let margins = [("-1", NotADecimal), ("10", MarginTooLarge), ("1e1", NotADecimal), ("0.00001", TooManyDigits)];
    for (text, error) in margins {
        assert_eq!(Margin::parse(text), Err(error), "{text}");
    }
    assert_eq!((Margin::parse("0"), Margin::parse("0.0")), (Ok(Margin::NONE), Ok(Margin::NONE)));
    let words = [NotADecimal, NotPositive, TooManyDigits, MarginTooLarge].map(|error| error.to_string());
    let expected =
        ["is not a plain decimal number", "must be greater than zero", "has too many digits", "must be less than 10"];
    assert_eq!(words, expected);
}

#[test]
fn a_margin_is_taken_exactly_and_what_no_rate_holds_is_cut() {
    let table = [
        ("1.0832", "0", "1.0832"),
        ("1.0832", "0.5", "1.077784"),
        ("1.0832", "2.1234", "1.0601993312"),
        ("1", "9.9999", "0.900001"),
        ("1500000000", "0.5", "1492500000.0"),
        ("0.123456789012345678", "0.5", "0.122839505067283949"),
        ("1000000000000000000", "0.0001", "999999000000000000.0"),
        ("999999999999999999", "0.0001", "999998999999999999.0"),
    ];
    for (stated, margin, left) in table {
        let left = rate(left);
        assert_eq!(rate(stated).less(Margin::parse(margin).unwrap()), Some(left), "{stated} less {margin} %");
    }
    assert_eq!(rate("0.000000000000000001").less(Margin::parse("0.5").unwrap()), None);
}

#[test]
fn an_amount_is_converted_between_exponents_and_rounded_toward_zero() {
    let table = [
        ("1.0832", 10_000, "EUR", "USD", 10_832),
        ("1.0832", 3_333, "EUR", "USD", 3_610), // 36.1030…
        ("1.0832", -3_333, "EUR", "USD", -3_610),
        ("0.0067", 100, "JPY", "USD", 67),
        ("0.0067", 1, "JPY", "USD", 0),
        ("0.0067", 149, "JPY", "USD", 99), // 99.83 cents
        ("149.25", 1, "USD", "JPY", 1),    // 1.4925 yen
        ("97123.45", 1, "BTC", "USD", 0),
        ("97123.45", 100_000_000, "BTC", "USD", 9_712_345),
        ("0.00001029617", 100, "USD", "BTC", 1_029),
        ("1", MINOR_MAX, "USD", "BTC", i64::MAX),
    ];
    for (text, minor, from, to, expected) in table {
        assert_eq!(rate(text).convert(minor, currency(from), currency(to)), expected, "{minor} {from} at {text}");
    }
}

fn stated(text: &str) -> StatedRate {
    StatedRate { rate: rate(text), time: UnixTime(1_000), source: "desk".into() }
}

#[test]
fn a_frozen_rate_credits_something_and_no_more_than_an_amount_may_be() {
    let freeze = |text: &str, minor: i64, from: &str, to: &str| {
        let amount = Money::new(minor, currency(from));
        Conversion::freeze(&stated(text), Margin::NONE, amount, currency(to)).map(|frozen| frozen.rate.to_wire())
    };
    assert_eq!(freeze("0.0067", 149, "JPY", "USD"), Ok("0.0067".to_owned()));
    assert_eq!(freeze("0.0067", 1, "JPY", "USD"), Err(ConversionError::Nothing));
    assert_eq!(freeze("1", MINOR_MAX, "USD", "EUR"), Ok("1.0".to_owned()));
    assert_eq!(freeze("1.000000000000001", MINOR_MAX, "USD", "EUR"), Err(ConversionError::TooLarge));
    assert_eq!(freeze("1", MINOR_MAX, "USD", "BTC"), Err(ConversionError::TooLarge));
    let tiny = StatedRate { rate: rate("0.000000000000000001"), ..stated("1") };
    let amount = Money::new(MINOR_MAX, currency("USD"));
    let margin = Margin::parse("9").unwrap();
    assert_eq!(Conversion::freeze(&tiny, margin, amount, currency("USD")), Err(ConversionError::Nothing));
    let named = StatedRate { source: "é".repeat(RATE_SOURCE_LENGTH_MAX).into(), ..stated("2") };
    let frozen = Conversion::freeze(&named, Margin::parse("5").unwrap(), amount, currency("EUR"));
    let expected =
        Conversion { rate: rate("1.9"), time: UnixTime(1_000), source: "é".repeat(RATE_SOURCE_LENGTH_MAX / 2).into() };
    assert_eq!(frozen, Err(ConversionError::TooLarge));
    let amount = Money::new(100, currency("USD"));
    assert_eq!(Conversion::freeze(&named, Margin::parse("5").unwrap(), amount, currency("EUR")), Ok(expected));
}

#[test]
fn a_rate_is_used_from_when_it_was_stated_until_it_is_too_old() {
    let is_current = |now| stated("1").is_current(UnixTime(now), 300);
    assert_eq!([999, 1_000, 1_300, 1_301].map(is_current), [false, true, true, false]);
    let undated = StatedRate { time: UnixTime::UNSET, ..stated("1") };
    assert!(!undated.is_current(UnixTime(10), 300));
}

fn any_rate() -> impl Strategy<Value = Rate> {
    let mantissa = prop_oneof![1..=20_u64, 1..=RATE_MANTISSA_MAX, (0..=18_u32).prop_map(|tens| 10_u64.pow(tens))];
    (mantissa, 0..=RATE_DECIMALS_MAX).prop_map(|(mantissa, decimals)| Rate::of(mantissa, decimals).unwrap())
}

fn any_currency() -> impl Strategy<Value = Currency> {
    prop::sample::select(vec!["JPY", "USD", "KWD", "USDT", "BTC"]).prop_map(currency)
}

fn any_minor() -> impl Strategy<Value = i64> {
    prop_oneof![0..=1_000_i64, 0..=MINOR_MAX, MINOR_MAX - 10..=MINOR_MAX, any::<i64>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn converting_is_monotonic_exact_at_zero_and_symmetric(
        rate in any_rate(), from in any_currency(), to in any_currency(), one in any_minor(), other in any_minor(),
    ) {
        let convert = |minor: i64| rate.convert(minor, from, to);
        prop_assert_eq!(convert(0), 0);
        prop_assert!(convert(one.min(other)) <= convert(one.max(other)));
        prop_assert_eq!(convert(one.saturating_neg()), -convert(one.max(-i64::MAX)));
        prop_assert_eq!(Rate::ONE.convert(one, from, from), one.max(-i64::MAX));
    }

    /// The quotient is checked by multiplying, in parts that fit: q is the largest whole number with q times 10^n at most the
    /// product.
    #[test]
    fn what_is_converted_is_the_exact_product_without_its_fraction(
        rate in any_rate(), from in any_currency(), to in any_currency(), minor in 0..=MINOR_MAX,
    ) {
        let (mantissa, decimals) = rate.parts();
        let product = i128::from(minor) * i128::from(mantissa);
        let exponent = i32::from(decimals) + i32::from(from.exponent()) - i32::from(to.exponent());
        let converted = i128::from(rate.convert(minor, from, to));
        if exponent >= 0 {
            let divisor = 10_i128.pow(exponent.unsigned_abs());
            prop_assert!(converted == i128::from(i64::MAX) || (product - converted * divisor) >= 0);
            prop_assert!(converted == i128::from(i64::MAX) || (product - converted * divisor) < divisor);
        } else {
            let exact = product.checked_mul(10_i128.pow(exponent.unsigned_abs())).unwrap_or(i128::MAX);
            prop_assert_eq!(converted, exact.min(i128::from(i64::MAX)));
        }
    }

    #[test]
    fn what_is_converted_back_is_the_least_that_reaches_it(
        rate in any_rate(), from in any_currency(), to in any_currency(), minor in 0..=MINOR_MAX,
    ) {
        let converted = rate.convert(minor, from, to);
        let back = rate.convert_back(converted, from, to);
        if converted < i64::MAX {
            prop_assert!(back <= minor);
            prop_assert_eq!(rate.convert(back, from, to), converted);
            prop_assert!(back == 0 || rate.convert(back - 1, from, to) < converted);
        }
        prop_assert_eq!(rate.convert_back(-converted, from, to), -back);
    }

    #[test]
    fn a_margin_never_raises_a_rate(rate in any_rate(), percent in 0..10_u32, fraction in 0..10_000_u32) {
        let margin = Margin::parse(&format!("{percent}.{fraction:04}")).unwrap();
        let (usd, btc) = (currency("USD"), currency("BTC"));
        if let Some(left) = rate.less(margin) {
            prop_assert!(left.convert(MINOR_MAX, btc, usd) <= rate.convert(MINOR_MAX, btc, usd));
            prop_assert!(margin != Margin::NONE || left == rate);
        } else {
            prop_assert!(margin != Margin::NONE);
        }
    }
}
