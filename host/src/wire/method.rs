//! One row of `GET /cashier/methods`: a config through which the customer may deposit (API.md section 3).

use cashier_core::customer_override::OverrideMode;
use cashier_core::ids::OverrideId;
use cashier_core::money::Limit;
use cashier_core::provider_config::ProviderConfig;

use crate::json_object::answer;
use crate::wire::values::{Flag, Id, LimitAmount, Numbered};

/// What the row shows beside the config itself.
#[derive(Debug, Clone, Copy)]
pub struct MethodRow<'a> {
    pub config: &'a ProviderConfig,
    /// The method shown: the config's own, or the module's where the config leaves it open.
    pub method: &'a str,
    pub payment_mode: &'a str,
    pub display_name: &'a str,
    pub description: &'a str,
    /// The limits in force, the override's where it replaces the config's.
    pub min_amount: Limit,
    pub max_amount: Limit,
    /// The override that applies; id 0 and [`OverrideMode::Allow`] without one.
    pub override_id: OverrideId,
    pub override_mode: OverrideMode,
}

answer! {
    /// A config through which the customer may deposit.
    pub struct MethodRecord<'a>(row: MethodRow<'a>) {
        provider_config_id: Id = Id(row.config.id.0), "provider config, for the deposit request";
        provider: &'a str = &row.config.provider, "provider code";
        method: &'a str = row.method, "provider method";
        brand: &'a str = &row.config.brand, "brand; empty for every brand";
        currency: &'a str = &row.config.currency, "currency; empty for any";
        country: &'a str = &row.config.country, "country; empty for any";
        payment_mode: &'a str = row.payment_mode, "how the customer pays, from the module";
        display_name: &'a str = row.display_name, "name to show";
        description: &'a str = row.description, "description to show";
        public_key: &'a str = &row.config.public_key, "the provider's public key, where its page needs one";
        min_amount: LimitAmount = LimitAmount(row.min_amount), "least amount; 0 is no limit";
        max_amount: LimitAmount = LimitAmount(row.max_amount), "greatest amount; 0 is no limit";
        sandbox: Flag = Flag(row.config.sandbox), "1 for test money";
        sort_index: i64 = row.config.sort_index, "place in the list";
        override_id: Id = Id(row.override_id.0), "override that applies; 0 for none";
        override_mode: Numbered<OverrideMode> = Numbered(row.override_mode), "0 allow, 1 deny";
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::config::tests::stored;

    #[test]
    fn a_method_has_the_published_fields_in_order_without_secrets() {
        let config = stored();
        let row = MethodRow {
            config: &config,
            method: "card",
            payment_mode: "redirect",
            display_name: "Card",
            description: "Pay by card",
            min_amount: config.min_amount,
            max_amount: Limit::parse("10000").unwrap(),
            override_id: OverrideId(3),
            override_mode: OverrideMode::Allow,
        };
        let expected = r#"{"provider_config_id":1,"provider":"stripe","method":"card","brand":"ion4","currency":"USD","country":"","payment_mode":"redirect","display_name":"Card","description":"Pay by card","public_key":"pk_1","min_amount":25.5,"max_amount":10000.0,"sandbox":1,"sort_index":-3,"override_id":3,"override_mode":0}"#;
        assert_eq!(serde_json::to_string(&MethodRecord::new(row)).unwrap(), expected);
    }
}
