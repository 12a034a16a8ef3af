//! Which amounts Stripe can be paid: its exponents and steps (how many decimals an amount carries in its API, and which of
//! them must be zero), its least and largest amounts. ISO 4217 differs (MGA, ISK, UGX), so ISO's table is not used.

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

/// The least amount of a charge, in whole units and hundredths (the same page, "Minimum charge amount by currency"). The
/// currencies that are not listed have none of their own: Stripe converts and judges.
const LEAST: &[(&str, i64, u8)] = &[
    ("USD", 50, 2),
    ("AED", 200, 2),
    ("ARS", 50, 2),
    ("AUD", 50, 2),
    ("BRL", 50, 2),
    ("CAD", 50, 2),
    ("CHF", 50, 2),
    ("COP", 50, 2),
    ("CZK", 1500, 2),
    ("DKK", 250, 2),
    ("EUR", 50, 2),
    ("GBP", 30, 2),
    ("HKD", 400, 2),
    ("HUF", 17_500, 2),
    ("IDR", 50, 2),
    ("ILS", 50, 2),
    ("INR", 50, 2),
    ("JPY", 50, 0),
    ("KRW", 50, 0),
    ("MXN", 1000, 2),
    ("MYR", 200, 2),
    ("NOK", 300, 2),
    ("NZD", 50, 2),
    ("PHP", 50, 2),
    ("PLN", 200, 2),
    ("RON", 200, 2),
    ("RUB", 50, 2),
    ("SEK", 300, 2),
    ("SGD", 50, 2),
    ("THB", 1000, 2),
    ("ZAR", 50, 2),
];

/// The largest `amount` of a card payment: twelve digits (the same page, "Maximum charge amounts").
const LARGEST_UNITS: i64 = 999_999_999_999;

/// The currencies that a charge can be made in (the same page, "Supported presentment currencies", and the three-decimal
/// ones). No crypto currency is among them.
const CURRENCIES: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BWP BYN \
    BZD CAD CDF CHF CLP CNY COP CRC CVE CZK DJF DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GNF GTQ GYD HKD HNL \
    HTG HUF IDR ILS INR ISK JMD JOD JPY KES KGS KHR KMF KRW KWD KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT \
    MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD \
    SCR SEK SGD SHP SLE SOS SRD STD SZL THB TJS TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VND VUV WST XAF XCD XCG \
    XOF XPF YER ZAR ZMW";

/// Every currency that a charge can be made in, upper case.
pub(crate) fn currencies() -> Vec<String> {
    CURRENCIES.split_ascii_whitespace().map(str::to_owned).collect()
}

/// The integer that Stripe expects for `amount`, exactly; the amount may have any exponent.
///
/// # Errors
/// A refused order that names the limit: not positive, more decimals than Stripe accepts for the currency, below its least
/// amount, more than twelve digits, or no currency of Stripe's.
pub(crate) fn to_stripe(amount: &Amount) -> Result<i64, ProviderFailure> {
    let currency = amount.currency.as_str();
    if !CURRENCIES.split_ascii_whitespace().any(|known| known.eq_ignore_ascii_case(currency)) {
        let message =
            format!("{currency:?} cannot be paid with Stripe, which charges in its presentment currencies only");
        return Err(ProviderFailure::refused_order("currency", "currency_not_supported", message));
    }
    let refused = |code: &str, limit: String| {
        ProviderFailure::refused_order(
            "amount",
            code,
            format!("{amount} cannot be paid with Stripe: it must be {limit}"),
        )
    };
    let units = |units: i64| Amount::new(units, EXPONENTS.of(currency), currency);
    let largest = || refused("amount_too_large", format!("at most {}", units(LARGEST_UNITS)));
    if amount.minor <= 0 {
        return Err(refused("amount_too_small", "greater than zero".into()));
    }
    let expressed = match EXPONENTS.express(amount) {
        Ok(expressed) if step_of(currency).divides(expressed.minor) => expressed.minor,
        Ok(_) | Err(MoneyError::TooPrecise | MoneyError::NotANumber) => {
            let step = units(step_of(currency).0);
            return Err(refused("amount_not_representable", format!("a multiple of {step}")));
        }
        Err(MoneyError::TooLarge) => return Err(largest()),
    };
    if expressed > LARGEST_UNITS {
        return Err(largest());
    }
    match LEAST.iter().find(|(code, ..)| code.eq_ignore_ascii_case(currency)) {
        Some((_, least, exponent)) if expressed < *least => {
            Err(refused("amount_too_small", format!("at least {}", Amount::new(*least, *exponent, currency))))
        }
        Some(_) | None => Ok(expressed),
    }
}

/// The integer of a refund: the least amount of a payment is none of a refund.
///
/// # Errors
/// A refused request: not positive, or more decimals than Stripe has for the currency.
pub(crate) fn to_refund(amount: &Amount) -> Result<i64, ProviderFailure> {
    let refused =
        || ProviderFailure::refused_request("amount_not_representable", format!("{amount} cannot be refunded"));
    let expressed = EXPONENTS.express(amount).map_err(|_| refused())?;
    if expressed.minor > 0 { Ok(expressed.minor) } else { Err(refused()) }
}

/// The amount of Stripe's integer. `STEPS` does not apply: a stated amount is passed on unchanged.
///
/// # Errors
/// It is not a whole number of units.
pub(crate) fn from_stripe(units: &Value, currency: &str) -> Result<Amount, MoneyError> {
    EXPONENTS.read_minor(units, currency)
}

/// What every amount of a currency must be a multiple of, in Stripe's units.
struct UnitStep(i64);

impl UnitStep {
    fn divides(&self, units: i64) -> bool {
        units.checked_rem(self.0) == Some(0)
    }
}

fn step_of(currency: &str) -> UnitStep {
    UnitStep(STEPS.iter().find(|(code, _)| code.eq_ignore_ascii_case(currency)).map_or(1, |(_, step)| *step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_sent_in_stripes_units_or_refused() {
        // minor, exponent, currency, what Stripe is sent
        let table = [
            (25_000, 2, "USD", Some(25_000)),
            (50, 2, "USD", Some(50)),
            (49, 2, "USD", None), // below Stripe's least
            (49, 0, "JPY", None),
            (17_499, 2, "HUF", None),
            (99_999_999_999_900, 2, "USD", None), // fourteen digits
            (999_999_999_999, 2, "USD", Some(999_999_999_999)),
            (1_000_000_000_000, 2, "USD", None),
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
            (25_000, 8, "BTC", None),
            (25_000, 2, "XAU", None),
            (12_550, 4, "KWD", None),
            (25_000, 2, "U$D", None),
        ];
        for (minor, exponent, currency, expected) in table {
            let sent = to_stripe(&Amount::new(minor, exponent, currency)).ok();
            assert_eq!(sent, expected, "{minor} e-{exponent} {currency}");
        }
    }

    #[test]
    fn every_listed_currency_has_stripes_exponent_and_step() {
        // the currencies, 1,000 of each in Stripe's units, and the step of its amounts
        let table = [
            ("BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF", 1_000, Amount::new(1, 0, "")),
            ("BHD JOD KWD OMR TND", 1_000_000, Amount::new(10, 3, "")),
            ("ISK UGX", 100_000, Amount::new(100, 2, "")),
            ("USD EUR GBP HUF TWD PLN", 100_000, Amount::new(1, 2, "")),
        ];
        for (currencies, thousand, step) in table {
            for currency in currencies.split(' ') {
                let sent = |minor, exponent| to_stripe(&Amount::new(minor, exponent, currency));
                assert_eq!(sent(1_000, 0).ok(), Some(thousand), "{currency}");
                let (one, finer) = (step.minor, step.rescaled(step.exponent + 1).unwrap().minor);
                assert_eq!(sent(thousand + one, step.exponent).ok(), Some(thousand + one), "{currency}");
                let refused = sent(thousand * 10 + finer - 1, step.exponent + 1).unwrap_err();
                let limit = format!("a multiple of {}", Amount::new(one, step.exponent, currency));
                assert!(refused.field == "amount" && refused.message.ends_with(&limit), "{refused}");
            }
        }
    }

    #[test]
    fn m7_a_refused_amount_names_its_limit() {
        let table = [
            (
                1_255,
                3,
                "KWD",
                "amount_not_representable",
                "1.255 KWD cannot be paid with Stripe: it must be a multiple of 0.010 KWD",
            ),
            (
                100_050,
                2,
                "JPY",
                "amount_not_representable",
                "1000.50 JPY cannot be paid with Stripe: it must be a multiple of 1 JPY",
            ),
            (
                10_050,
                2,
                "ISK",
                "amount_not_representable",
                "100.50 ISK cannot be paid with Stripe: it must be a multiple of 1.00 ISK",
            ),
            (29, 2, "GBP", "amount_too_small", "0.29 GBP cannot be paid with Stripe: it must be at least 0.30 GBP"),
            (
                i64::MAX,
                0,
                "EUR",
                "amount_too_large",
                "9223372036854775807 EUR cannot be paid with Stripe: it must be at most 9999999999.99 EUR",
            ),
        ];
        for (minor, exponent, currency, code, message) in table {
            let refused = to_stripe(&Amount::new(minor, exponent, currency)).unwrap_err();
            assert_eq!((refused.code.as_str(), refused.message.as_str()), (code, message));
        }
        let refused = to_stripe(&Amount::new(10_000, 8, "BTC")).unwrap_err();
        assert_eq!((refused.field.as_str(), refused.code.as_str()), ("currency", "currency_not_supported"));
    }

    #[test]
    fn every_table_is_about_currencies_of_stripe() {
        let known = currencies();
        let named = LEAST.iter().map(|(code, ..)| *code).chain(STEPS.iter().map(|(code, _)| *code));
        for code in named {
            assert!(known.iter().any(|known| known == code), "{code}");
        }
        assert!(known.is_sorted() && known.iter().all(|code| code.len() == 3), "{known:?}");
        assert!(LEAST.iter().all(|(code, _, exponent)| EXPONENTS.of(code) == *exponent));
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
