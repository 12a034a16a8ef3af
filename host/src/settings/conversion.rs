//! Under which terms deposits in another currency than their account's are converted: how old a rate may be, and what is kept of it.

use cashier_core::conversion::{ConversionTerms, Margin, RATE_AGE_SECONDS};

use super::trading_file::TradingTable;
use super::values::check_brand;
use super::wrong::Wrong;
use crate::text_file::trimmed;

/// A month: for rates that are imported by hand.
pub(super) const RATE_AGE_SECONDS_MAX: u32 = 31 * 24 * 60 * 60;

/// Of the table `[trading]`.
pub(super) fn terms(written: Option<&TradingTable>) -> Result<ConversionTerms, Wrong> {
    let seconds = written.and_then(|table| table.rate_age_seconds).unwrap_or(RATE_AGE_SECONDS);
    if !(1..=RATE_AGE_SECONDS_MAX).contains(&seconds) {
        let what = format!("= {seconds} is not from 1 to {RATE_AGE_SECONDS_MAX}");
        return Err(Wrong::new("rate_age_seconds", what).under(&["trading"]));
    }
    let of_brand = |(written, percent): (&String, &String)| {
        let of_key = |wrong: Wrong| wrong.of(written).under(&["trading"]);
        let brand = trimmed(written);
        check_brand("margins", brand).map_err(of_key)?;
        let margin = Margin::parse(trimmed(percent)).map_err(|error| {
            let what = format!("has {percent:?} for {brand}, which {error}: write a percentage such as \"0.5\"");
            of_key(Wrong::new("margins", what))
        })?;
        Ok((brand.into(), margin))
    };
    let margins = written.and_then(|table| table.margins.as_ref()).into_iter().flatten();
    let margins = margins.map(of_brand).collect::<Result<_, Wrong>>()?;
    Ok(ConversionTerms { rate_age_seconds: seconds.into(), margins })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use cashier_core::conversion::Margin;

    use crate::settings::Settings;

    const KEY: &str = "1:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn parse(text: &str) -> Result<Settings, String> {
        Settings::parse(text, Path::new("/srv"), &|_| Some(KEY.into())).map_err(|error| error.0)
    }

    #[test]
    fn rates_are_used_for_five_minutes_and_without_a_margin_unless_the_settings_say_otherwise() {
        let terms = parse("").unwrap().conversion;
        assert_eq!((terms.rate_age_seconds, terms.margin("ion4")), (300, Margin::NONE));
        let text = "[trading]\nrate_age_seconds = 60\n[trading.margins]\nion4 = \"0.5\"\n\"nova fx\" = \"0\"";
        let terms = parse(text).unwrap().conversion;
        assert_eq!((terms.rate_age_seconds, terms.margins.len()), (60, 2));
        assert_eq!([terms.margin("ion4"), terms.margin("other")], [Margin::parse("0.5").unwrap(), Margin::NONE]);
    }

    #[test]
    fn a_wrong_term_of_conversion_is_named_with_its_line() {
        let table = [
            ("[trading]\nrate_age_seconds = 0", "line 2: trading.rate_age_seconds = 0 is not from 1 to 2678400"),
            ("[trading]\n\nrate_age_seconds = 2678401", "line 3: trading.rate_age_seconds = 2678401 is not"),
            (
                "[trading.margins]\nion4 = \"10\"",
                "line 2: trading.margins has \"10\" for ion4, which must be less than 10",
            ),
            ("[trading.margins]\nion4 = \"-1\"", "which is not a plain decimal number"),
            ("[trading.margins]\nion4 = \"0.00001\"", "which has too many digits"),
            ("[trading.margins]\nion4 = 0.5", "invalid type: floating point `0.5`, expected a string"),
            ("[trading]\nmargin = \"1\"", "unknown field `margin`"),
        ];
        for (text, expected) in table {
            let error = parse(text).map(drop).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
