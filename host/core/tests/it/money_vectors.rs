//! The core's money parser against the vectors that it shares with the SDK's parser.

use cashier_core::money::{AmountError, Currency, Money};

const VECTORS: &str = include_str!("../../../../tests/vectors/money.txt");

#[test]
fn a_decimal_parses_as_the_shared_vectors_state() {
    for line in VECTORS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [text, currency, exponent, sdk, core] = columns[..] else { panic!("five columns: {line}") };
        if core == "-" {
            continue;
        }
        let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).expect(line);
        let currency = Currency::from_code(currency).expect(line);
        assert_eq!(currency.exponent().to_string(), exponent, "{line}");
        let read = match Money::parse_positive(text, currency) {
            Ok(money) => money.minor.to_string(),
            Err(AmountError::NotADecimal) => "not_a_number".to_owned(),
            Err(AmountError::NotPositive) => "not_positive".to_owned(),
            Err(AmountError::TooManyDecimals) => "too_precise".to_owned(),
            Err(AmountError::TooLarge) => "too_large".to_owned(),
        };
        assert_eq!(read, if core == "=" { sdk } else { core }, "{line}");
    }
}

#[test]
fn a_wrong_amount_is_explained_in_words() {
    let why = |text: &str| Money::parse_positive(text, Currency::from_code("USD").unwrap()).unwrap_err().to_string();
    let table = [
        ("1e2", "is not a plain decimal number"),
        ("0.00", "must be greater than zero"),
        ("0.001", "has more decimals than its currency"),
        ("10000000000000.01", "is larger than 10^15 minor units"),
    ];
    assert_eq!(table.map(|(text, _)| why(text)), table.map(|(_, words)| words));
}
