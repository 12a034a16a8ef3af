//! The settings file `cashier.toml` as it is written: its keys, one line each. What a value may be is judged in `values`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::listening::ProxyRange;
use super::trading_file::TradingTable;
use crate::json_object::described;

described! {
    /// The settings file `cashier.toml`. Every key may be omitted; relative paths start at the file's folder.
    [derive(Debug, Default, Deserialize), serde(default, deny_unknown_fields)]
    pub struct SettingsFile<> {
        customer_listen: Option<String>, "listener for customers and providers; 127.0.0.1:8080 by default";
        manager_listen: Option<String>, "listener for BackOffice; 127.0.0.1:8081 by default";
        watch_listen: Option<String>, "listener for health and metrics; 127.0.0.1:8082 by default";
        public_url: Option<String>, "URL at which providers reach the customer listener; its own address by default";
        bases: Option<PathBuf>, "folder of cashier.db and trading.db; bases by default";
        var: Option<PathBuf>, "folder of private copies of modules; var by default";
        plugins: Option<PathBuf>, "file that lists the modules; plugins.toml by default";
        allow_sandbox_credit: Option<Vec<String>>, "brands whose real accounts sandbox money may reach";
        allow_live_on_demo: Option<Vec<String>>, "brands whose demo accounts real money may reach";
        second_person: Option<Vec<String>>, "what a second person must approve: credentials, endpoints, enabling, manual, refunds, resolving";
        second_person_refund_above: Option<BTreeMap<String, String>>, "amounts by currency up to which a refund needs one person; in a currency that is not named every one needs two";
        manager_rights: Option<BTreeMap<String, Vec<String>>>, "session types that may use a manager command, of those that it permits by itself";
        trading: Option<TradingTable>, "the trading servers; the embedded one by default";
        session_keys_file: Option<PathBuf>, "file of session keys, lines of `kid:hex`; followed while the server runs";
        session_jwks_file: Option<PathBuf>, "JWK set with the public keys of other issuers; followed while the server runs";
        revoked_tokens_file: Option<PathBuf>, "file of revoked tokens, one `jti` a line; followed while the server runs";
        session_issuers: Option<Vec<String>>, "issuers of tokens; a token that states none of them as `iss` is refused";
        session_audiences: Option<Vec<String>>, "audiences of tokens; a token that states none of them as `aud` is refused";
        session_lifetime_max: Option<u32>, "longest life of a token in seconds; 366 days by default";
        require_brand_claim: Option<bool>, "whether a token without `brand` is refused; false by default";
        strict_key_permissions: Option<bool>, "whether a key file that other users may use is refused; false by default";
        seal_keys_file: Option<PathBuf>, "file of seal keys, lines of `number:hex`; the highest number seals; followed while the server runs";
        trusted_proxies: Option<Vec<ProxyRange>>, "proxies whose x-forwarded-for is trusted: addresses, or ranges such as 10.0.0.0/8";
        connections_per_address: Option<u32>, "connections of one address to each listener; 0 is no limit, 256 by default";
        idle_seconds: Option<u32>, "seconds that a connection may wait for a request; 75 by default";
        stop_delay_seconds: Option<u32>, "seconds that a stop serves on after /readyz turned 503; 5 by default";
        allow_plain_listeners: Option<Vec<String>>, "listeners that may speak plain HTTP beyond this machine: manager, watch";
        cors_origins: Option<Vec<String>>, "origins whose pages may call the customer paths";
        return_hosts: Option<BTreeMap<String, Vec<String>>>, "hosts that return URLs of a brand may have; any where a brand is not named";
        deposits_per_minute: Option<u32>, "deposits of one customer in a minute; 0 is no limit, 120 by default";
        failed_notices_per_minute: Option<u32>, "webhooks from one address, in a minute, that may fail verification; 0 is no limit, 60 by default";
        open_deposits_max: Option<u32>, "deposits of one customer that are not paid yet; 0 is no limit, 200 by default";
        stored_bytes_per_customer_max: Option<u64>, "bytes of comments, metadata and return URLs of one customer; 0 is no limit, 64 MiB by default";
        event_body_days: Option<u32>, "days for which bodies of webhooks are kept; 0 is for ever, 550 by default";
        quarantine_body_days: Option<u32>, "the same of webhooks that were not verified; 30 by default";
        answer_days: Option<u32>, "days for which pages and instructions of ended deposits are kept; 90 by default";
        approval_days: Option<u32>, "days after which the request of an approval is deleted where that was not done when it was decided or expired; 550 by default";
        tls_certificate_file: Option<PathBuf>, "PEM file: certificate chain of the customer and manager listeners";
        tls_key_file: Option<PathBuf>, "PEM file: its private key; without both, the listeners speak plain HTTP";
    }
}
