//! The tables of `cashier.toml` about trading servers, as they are written: `[trading]` with the first server, and
//! `[trading.servers.NAME]` for each further one. What a value may be is judged in `trading`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::json_object::described;

/// Declares both tables, which have the keys of a server in common.
macro_rules! tables_of_servers {
    ($($field:ident: $type:ty, $text:literal;)*) => {
        described! {
            /// The first trading server, which has every account that is routed to no other one, and what holds for all of them.
            [derive(Debug, Clone, Default, Deserialize), serde(default, deny_unknown_fields)]
            pub struct TradingTable<> {
                name: Option<String>, "name of this server in rows, metrics and logs, for ever; main by default";
                account_age_seconds: Option<u32>, "how old facts of an account may be that a customer is served by; 30 by default";
                rate_age_seconds: Option<u32>, "how old a rate may be that a deposit is converted at; 300 by default";
                margins: Option<BTreeMap<String, String>>, "percent by brand that a rate is reduced by; none where a brand is not named";
                servers: Option<BTreeMap<String, TradingServerTable>>, "further servers by their names";
                $($field: $type, $text;)*
            }
        }

        described! {
            /// A further trading server.
            [derive(Debug, Clone, Default, Deserialize), serde(default, deny_unknown_fields)]
            pub struct TradingServerTable<> {
                groups: Option<Vec<String>>, "groups whose accounts are at this server";
                brands: Option<Vec<String>>, "brands whose accounts are, unless their group is another server's";
                $($field: $type, $text;)*
            }
        }

        impl From<TradingTable> for TradingServerTable {
            /// The first server as one of several.
            fn from(table: TradingTable) -> Self {
                Self { groups: None, brands: None, $($field: table.$field,)* }
            }
        }
    };
}

tables_of_servers! {
    server: Option<String>, "embedded, or where it is: https://HOST/PATH, tcps://HOST:PORT, and http:// or tcp:// for this machine";
    secret_file: Option<PathBuf>, "file of the signing secrets (https), or of the session's token (tcps)";
    ca_file: Option<PathBuf>, "PEM file of the certificates that are trusted for it; the public roots by default";
    allow_plain: Option<bool>, "whether it may be reached on other machines without TLS; false by default";
    instance: Option<String>, "instance id that the server must state (https); any by default";
    platform: Option<PlatformTable>, "how the platform of a tcps server is set up";
}

described! {
    /// How an installation of the platform behaves where its pages do not say.
    [derive(Debug, Clone, Default, Deserialize), serde(default, deny_unknown_fields)]
    pub struct PlatformTable<> {
        phases: Option<u32>, "2: a finance request and its approval; 1: one call, where finance requests are not allowed; 2 by default";
        source: Option<String>, "gw_source of our finance requests; cashier by default";
        uuid_keys: Option<bool>, "whether gw_uuid must be a UUID; false by default";
        executed_states: Option<Vec<i64>>, "states of a finance order that has moved the balance; required";
        declined_states: Option<Vec<i64>>, "states beside 18 of an order that never moves a balance";
        refusals: Option<Vec<String>>, "codes and texts with which a posting is refused for good";
        missing_account: Option<Vec<String>>, "codes and texts that say that there is no such login";
        customers_command: Option<String>, "command that lists customers by filter; required to serve customers";
        customers_filter: Option<String>, "field of its data that takes the customer's number; customer_id by default";
        country_field: Option<String>, "field of a customer that is the country; country_of_residence by default";
        group_filter: Option<String>, "groupFilter that means every group; * by default";
        heartbeat: Option<String>, "command that keeps an idle connection open; GetGroups by default";
        search: Option<PlatformSearchTable>, "how finance orders are searched; without it every order is read";
    }
}

described! {
    /// How MngGetTradesByFilter is given a condition.
    [derive(Debug, Clone, Default, Deserialize), serde(deny_unknown_fields)]
    pub struct PlatformSearchTable<> {
        field: String, "field of data that takes the condition";
        equals: String, "condition that a column equals a value, with {column} and {value} in it";
        at_least: String, "condition that a column is at least a number, with {column} and {value} in it";
        order_by: Option<String>, "orderBy by update_time, the oldest first; none is sent by default";
        by_uuid: Option<bool>, "whether gw_uuid can be searched; true by default";
        milliseconds: Option<bool>, "whether update_time counts milliseconds; false by default";
    }
}
