//! Amounts as the service writes them: decimal text. The service has no table of exponents, so an
//! amount has as many decimals as its text.

use cashier_provider_sdk::serde_json::Value;
use cashier_provider_sdk::{Amount, MoneyError, ProviderFailure};

/// Digits before and after the point that the service accepts.
const WHOLE_DIGITS_MAX: usize = 15;
const DECIMALS_MAX: u8 = 8;

/// The decimal text of `amount`, exactly.
///
/// # Errors
/// A refused order when the service would refuse it: not positive, too many digits, or a currency that is not 3 to 10 of
/// `A-Z0-9`.
pub(crate) fn to_sandbox(amount: &Amount) -> Result<String, ProviderFailure> {
    let refused = |field: &str, limit: String| {
        let message = format!("{amount} cannot be paid in the sandbox: it must {limit}");
        ProviderFailure::refused_order(field, "amount_not_representable", message)
    };
    let currency = amount.currency.as_bytes();
    if !(3..=10).contains(&currency.len()) || !currency.iter().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()) {
        return Err(refused("currency", "have a currency of 3 to 10 characters A-Z and 0-9".into()));
    }
    if amount.minor <= 0 {
        return Err(refused("amount", "be greater than zero".into()));
    }
    let digits = || refused("amount", format!("have at most {WHOLE_DIGITS_MAX} digits before the point"));
    let text = match amount.rescaled(amount.exponent.min(DECIMALS_MAX)) {
        Ok(exact) => exact.decimal(),
        Err(MoneyError::TooLarge) => return Err(digits()),
        Err(MoneyError::TooPrecise | MoneyError::NotANumber) => {
            return Err(refused("amount", format!("have at most {DECIMALS_MAX} decimals")));
        }
    };
    if whole_digits(&text) > WHOLE_DIGITS_MAX {
        return Err(digits());
    }
    Ok(text)
}

/// The amount of the service's decimal text.
///
/// # Errors
/// It is not text of plain digits with at most 8 decimals, or is too large for 64 bits.
pub(crate) fn from_sandbox(text: &Value, currency: &str) -> Result<Amount, MoneyError> {
    let text = text.as_str().ok_or(MoneyError::NotANumber)?;
    if !text.bytes().all(|c| c.is_ascii_digit() || c == b'.') {
        return Err(MoneyError::NotANumber);
    }
    let decimals = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let exponent = u8::try_from(decimals).ok().filter(|decimals| *decimals <= DECIMALS_MAX);
    Amount::from_decimal(text, exponent.ok_or(MoneyError::TooPrecise)?, currency)
}

fn whole_digits(text: &str) -> usize {
    text.split('.').next().unwrap_or_default().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_sent_exactly_or_refused() {
        // minor, exponent, currency, what the service is sent
        let table = [
            (25_000, 2, "EUR", Some("250.00")),
            (1, 2, "EUR", Some("0.01")),
            (250, 0, "JPY", Some("250")),
            (12_345, 3, "KWD", Some("12.345")),
            (1, 8, "BTC", Some("0.00000001")),
            (1_000_000_000_000_000_000, 18, "ETH", Some("1.00000000")),
            (1_000_000_000_000_000_001, 18, "ETH", None), // the service has no eighteenth decimal
            (999_999_999_999_999, 0, "VND", Some("999999999999999")),
            (1_000_000_000_000_000, 0, "VND", None),
            (99_999_999_999_999_999, 2, "VND", Some("999999999999999.99")),
            (0, 2, "EUR", None),
            (-1, 2, "EUR", None),
            (1, 255, "EUR", None),
            (i64::MAX, 0, "EUR", None),
            (25_000, 2, "USDTTRC20", Some("250.00")),
            (25_000, 2, "eur", None),
            (25_000, 2, "EU", None),
            (25_000, 2, "E\u{20ac}R", None),
            (25_000, 2, "", None),
        ];
        for (minor, exponent, currency, expected) in table {
            let sent = to_sandbox(&Amount::new(minor, exponent, currency)).ok();
            assert_eq!(sent.as_deref(), expected, "{minor} e-{exponent} {currency}");
        }
    }

    #[test]
    fn m7_a_refused_amount_names_its_field_and_limit() {
        let table = [
            (1, 9, "BTC", "amount", "at most 8 decimals"),
            (i64::MAX, 0, "EUR", "amount", "at most 15 digits before the point"),
            (0, 2, "EUR", "amount", "greater than zero"),
            (1, 2, "eur", "currency", "3 to 10 characters A-Z and 0-9"),
        ];
        for (minor, exponent, currency, field, limit) in table {
            let refused = to_sandbox(&Amount::new(minor, exponent, currency)).unwrap_err();
            assert!(refused.field == field && refused.message.ends_with(limit), "{refused:?}");
        }
    }

    #[test]
    fn a_stated_amount_keeps_its_value_and_its_decimals() {
        let table = [
            ("250.00", Some((25_000, 2))),
            ("250", Some((250, 0))),
            ("0.00000001", Some((1, 8))),
            ("0", Some((0, 0))),
            ("92233720368547758.07", Some((i64::MAX, 2))),
            ("92233720368547758.08", None),
            ("999999999999999.99999999", None), // the service could, 64 bits cannot
            ("0.000000001", None),
            ("-1", None),
            ("+1", None),
            ("1e3", None),
            ("1.2.3", None),
            ("1.", None),
            (".5", None),
            ("", None),
            (" 1", None),
            ("\u{663}", None),
        ];
        for (text, expected) in table {
            let read = from_sandbox(&text.into(), "EUR").ok();
            assert_eq!(read, expected.map(|(minor, exponent)| Amount::new(minor, exponent, "EUR")), "{text:?}");
        }
        assert_eq!(
            from_sandbox(&250.into(), "EUR"),
            Err(MoneyError::NotANumber),
            "a JSON number is not an amount here"
        );
    }
}
