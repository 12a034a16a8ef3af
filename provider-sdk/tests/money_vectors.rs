//! The SDK's money parser against the vectors that it shares with the core's parser.

use cashier_provider_sdk::{Amount, MoneyError};

const VECTORS: &str = include_str!("../../tests/vectors/money.txt");

#[test]
fn a_decimal_parses_as_the_shared_vectors_state() {
    for line in VECTORS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [text, currency, exponent, expected, _core] = columns[..] else { panic!("five columns: {line}") };
        let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).expect(line);
        let read = match Amount::from_decimal(text, exponent.parse().expect(line), currency) {
            Ok(amount) => amount.minor.to_string(),
            Err(MoneyError::NotANumber) => "not_a_number".to_owned(),
            Err(MoneyError::TooPrecise) => "too_precise".to_owned(),
            Err(MoneyError::TooLarge) => "too_large".to_owned(),
        };
        assert_eq!(read, expected, "{line}");
    }
}
