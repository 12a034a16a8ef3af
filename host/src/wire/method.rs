//! One row of `GET /cashier/methods`: a config through which the customer may deposit (API.md section 3).

use cashier_core::customer_override::OverrideMode;
use cashier_core::ids::OverrideId;
use cashier_core::money::Limit;
use cashier_core::provider_config::ProviderConfig;

use crate::wire::write;

/// What the row shows beside the config itself.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    pub config: &'a ProviderConfig,
    /// The method shown: the config's own, or the module's where the config leaves it open.
    pub method: &'a str,
    pub payment_mode: &'a str,
    pub display_name: &'a str,
    pub description: &'a str,
    /// The limits in force, the override's where it replaces the config's.
    pub min_amount: Limit,
    pub max_amount: Limit,
    pub matched_override: Option<(OverrideId, OverrideMode)>,
}

pub fn write(out: &mut Vec<u8>, row: Row<'_>) {
    let config = row.config;
    let (override_id, override_mode) = row.matched_override.map_or((0, 0), |(id, mode)| (id.0, mode.number()));
    write::object(out, |fields| {
        fields
            .number("provider_config_id", config.id.0)
            .text("provider", &config.provider)
            .text("method", row.method)
            .text("brand", &config.brand)
            .text("currency", &config.currency)
            .text("country", &config.country)
            .text("payment_mode", row.payment_mode)
            .text("display_name", row.display_name)
            .text("description", row.description)
            .text("public_key", &config.public_key)
            .raw("min_amount", &row.min_amount.to_wire())
            .raw("max_amount", &row.max_amount.to_wire())
            .flag("sandbox", config.sandbox)
            .signed("sort_index", config.sort_index)
            .number("override_id", override_id)
            .number("override_mode", override_mode.into());
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::config::tests::kept;

    #[test]
    fn the_published_fields_stand_in_their_order_without_secrets() {
        let config = kept();
        let row = Row {
            config: &config,
            method: "card",
            payment_mode: "redirect",
            display_name: "Card",
            description: "Pay by card",
            min_amount: config.min_amount,
            max_amount: Limit::parse("10000").unwrap(),
            matched_override: Some((OverrideId(3), OverrideMode::Allow)),
        };
        let mut out = Vec::new();
        write(&mut out, row);
        let expected = r#"{"provider_config_id":1,"provider":"stripe","method":"card","brand":"ion4","currency":"USD","country":"","payment_mode":"redirect","display_name":"Card","description":"Pay by card","public_key":"pk_1","min_amount":25.5,"max_amount":10000.0,"sandbox":1,"sort_index":-3,"override_id":3,"override_mode":0}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
