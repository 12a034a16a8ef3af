//! The roster of the reference server, read again at a start: what balances are in does not change by it.

use cashier_tests::reference_server::{OPENING_MINOR, ROSTER, ReferenceServer};
use cashier_tests::waiting::skipped;

/// The roster with another group, in euros.
fn with_euros() -> String {
    const EUROS: &str =
        r#"{"group": "demo-eur", "brand": "ion4", "currency": "EUR", "account_mode": 0, "enable": 1}, {"#;
    ROSTER.replacen(r#""groups": [{"#, &format!(r#""groups": [{EUROS}"#), 1)
}

#[test]
fn a_roster_that_would_denominate_a_balance_anew_is_refused() {
    let mut server = match ReferenceServer::start() {
        Ok(server) => server,
        Err(why) => return skipped(&why),
    };
    for (roster, refused) in [
        (with_euros(), ""),
        (ROSTER.replace(r#""currency": "USD""#, r#""currency": "EUR""#), "the currency of group demo-usd is USD"),
        (
            with_euros()
                .replace(r#""customer_id": 5, "group": "demo-usd""#, r#""customer_id": 5, "group": "demo-eur""#),
            "the currency of account 2000009 is USD and cannot become EUR",
        ),
        // The group would be defined in euros at the next start.
        (
            ROSTER.replace(r#""customer_id": 5, "group": "demo-usd""#, r#""customer_id": 5, "group": "demo-eur2""#),
            "account 2000009 is of a group that is not known: demo-eur2",
        ),
    ] {
        let said = server.restart_with(&roster);
        assert!(said.contains(refused) && said.is_empty() == refused.is_empty(), "{refused}: {said}");
        assert_eq!(server.balance_minor(), OPENING_MINOR);
    }
    // What was refused left nothing behind.
    assert_eq!(server.restart_with(ROSTER), "");
}
