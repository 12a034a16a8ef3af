//! Stripe's own exponents and steps: how many decimals an amount carries in its API, and which of
//! them must be zero. ISO 4217 differs (MGA, ISK, UGX), so ISO's table is not used.

use cashier_provider_sdk::serde_json::Value;
use cashier_provider_sdk::{Amount, Exponents, MoneyError, ProviderFailure};

/// Two decimals, except for the zero-decimal and three-decimal currencies of Stripe's page "Supported
/// currencies".
const EXPONENTS: Exponents = Exponents::new(
    2,
    &[
        ("BIF", 0),
        ("CLP", 0),
        ("DJF", 0),
        ("GNF", 0),
        ("JPY", 0),
        ("KMF", 0),
        ("KRW", 0),
        ("MGA", 0),
        ("PYG", 0),
        ("RWF", 0),
        ("VND", 0),
        ("VUV", 0),
        ("XAF", 0),
        ("XOF", 0),
        ("XPF", 0),
        ("BHD", 3),
        ("JOD", 3),
        ("KWD", 3),
        ("OMR", 3),
        ("TND", 3),
    ],
);

/// A payment's amount must be a multiple of this, in Stripe's units: the last of three decimals
/// must be 0, and ISK and UGX have two decimals that must be 00 (the same page, "Special cases").
const STEPS: [(&str, i64); 7] =
    [("BHD", 10), ("JOD", 10), ("KWD", 10), ("OMR", 10), ("TND", 10), ("ISK", 100), ("UGX", 100)];

/// The integer that Stripe expects for `amount`, exactly; the amount may have any exponent.
///
/// # Errors
/// `RefusedRequest` when the amount is not positive, has more decimals than Stripe accepts for the
/// currency, is too large for 64 bits, or has no three-character currency code.
pub(crate) fn to_stripe(amount: &Amount) -> Result<i64, ProviderFailure> {
    let refused = |why: &str| {
        ProviderFailure::refused_request(
            "amount_not_representable",
            format!("{amount} cannot be paid with Stripe: {why}"),
        )
    };
    if amount.currency.len() != 3 || !amount.currency.bytes().all(|c| c.is_ascii_alphabetic()) {
        return Err(refused("the currency is not a three-character code"));
    }
    if amount.minor <= 0 {
        return Err(refused("the amount is not positive"));
    }
    let units = EXPONENTS.express(amount).map_err(|error| refused(&error.to_string()))?.minor;
    if units.checked_rem(step(&amount.currency)) != Some(0) {
        return Err(refused("Stripe requires its last decimals to be zero"));
    }
    Ok(units)
}

/// The amount of Stripe's integer. `STEPS` does not apply: a stated amount is passed on unchanged.
///
/// # Errors
/// It is not a whole number of units.
pub(crate) fn from_stripe(units: &Value, currency: &str) -> Result<Amount, MoneyError> {
    EXPONENTS.read_minor(units, currency)
}

fn step(currency: &str) -> i64 {
    STEPS.iter().find(|(code, _)| code.eq_ignore_ascii_case(currency)).map_or(1, |(_, step)| *step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_sent_in_stripes_units_or_refused() {
        // minor, exponent, currency, what Stripe is sent
        let table = [
            (25_000, 2, "USD", Some(25_000)),
            (1, 2, "USD", Some(1)),
            (250, 0, "USD", Some(25_000)),
            (250_000, 3, "USD", Some(25_000)),
            (250_001, 3, "USD", None),
            (500, 0, "JPY", Some(500)),
            (50_000, 2, "JPY", Some(500)),
            (50_050, 2, "JPY", None),
            (10_000, 2, "MGA", Some(100)), // ISO gives MGA two decimals, Stripe none
            (10_001, 2, "MGA", None),
            (100, 0, "XAF", Some(100)),
            (12_340, 3, "KWD", Some(12_340)),
            (12_345, 3, "KWD", None), // the third decimal must be 0
            (1_234, 2, "BHD", Some(12_340)),
            (100, 0, "ISK", Some(10_000)), // two decimals that must be 00
            (10_000, 2, "ISK", Some(10_000)),
            (10_050, 2, "ISK", None),
            (100, 0, "UGX", Some(10_000)),
            (10_001, 2, "UGX", None),
            (25_000, 2, "HUF", Some(25_000)), // Stripe charges HUF and TWD with two decimals
            (25_050, 2, "TWD", Some(25_050)),
            (0, 2, "USD", None),
            (-1, 2, "USD", None),
            (i64::MAX, 0, "USD", None),
            (1, 18, "USD", None),
            (i64::MAX, 255, "USD", None),
            (25_000, 2, "", None),
            (25_000, 2, "USDT", None),
            (25_000, 2, "U$D", None),
        ];
        for (minor, exponent, currency, expected) in table {
            let sent = to_stripe(&Amount::new(minor, exponent, currency)).ok();
            assert_eq!(sent, expected, "{minor} e-{exponent} {currency}");
        }
    }

    #[test]
    fn every_listed_currency_has_stripes_exponent_and_step() {
        // the currencies, 100 of each in Stripe's units, and the smallest amount Stripe accepts
        let table = [
            ("BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF", 100, Amount::new(1, 0, "")),
            ("BHD JOD KWD OMR TND", 100_000, Amount::new(10, 3, "")),
            ("ISK UGX", 10_000, Amount::new(100, 2, "")),
            ("USD EUR GBP HUF TWD PLN", 10_000, Amount::new(1, 2, "")),
        ];
        for (currencies, hundred, smallest) in table {
            for currency in currencies.split(' ') {
                let sent = to_stripe(&Amount::new(100, 0, currency)).ok();
                assert_eq!(sent, Some(hundred), "{currency}");
                let smallest = Amount { currency: currency.into(), ..smallest.clone() };
                assert_eq!(to_stripe(&smallest).ok(), Some(smallest.minor), "{currency}");
                let below = smallest.rescaled(smallest.exponent + 1).unwrap();
                let below = Amount { minor: below.minor - 1, ..below };
                assert!(to_stripe(&below).is_err(), "{below}");
            }
        }
    }

    #[test]
    fn a_stated_amount_keeps_its_value() {
        let table = [
            (25_000, "usd", "250.00 USD"),
            (500, "jpy", "500 JPY"),
            (12_345, "kwd", "12.345 KWD"),
            (10_000, "isk", "100.00 ISK"),
            (10_050, "ugx", "100.50 UGX"),
            (100, "mga", "100 MGA"),
        ];
        for (units, currency, expected) in table {
            assert_eq!(from_stripe(&units.into(), currency).unwrap().to_string(), expected);
        }
    }
}
