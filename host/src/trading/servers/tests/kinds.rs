//! Which kinds of accounts each server has, and whether deposits to them may be converted: by the server that has them, so that no
//! config is held to match nothing by the rates of another one.

use super::*;
use crate::trading::embedded::Embedded;
use crate::trading::import::import_text;

const GROUPS: &str = r#"{"groups": [
  {"group": "std", "brand": "ion4", "currency": "USD", "account_mode": 1, "enable": 1}
]}"#;
const RATES: &str = r#"{"rates": [{"from": "EUR", "to": "USD", "rate": "1.0832", "source": "desk", "time": 5}]}"#;

fn imported(embedded: &Embedded, text: &str) {
    // As the command line does, on a thread outside the runtime: waiting blocks.
    std::thread::scope(|scope| scope.spawn(|| import_text(text, embedded).unwrap()).join()).unwrap();
}

#[tokio::test]
async fn whether_a_kind_of_account_is_converted_to_is_said_by_the_server_that_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let (embedded, far) = (Arc::new(Embedded::open(folder.path()).unwrap()), FarServer::with(&[(3, "vip", "beta")]));
    imported(&embedded, GROUPS);
    let route = ServerRoute { groups: Vec::new(), brands: vec!["beta".into()] };
    let remote = Server::Remote { protocol: "http", server: Arc::clone(&far) as _ };
    let servers = [
        (ServerName::default(), Server::Embedded(Arc::clone(&embedded)), ServerRoute::default()),
        (ServerName::read("far").unwrap(), remote, route),
    ];
    let servers = servers.map(|(name, server, route)| NamedServer { name, server, route }).into();
    let clock = Arc::new(TestClock::default());
    let port = TradingPorts(TradingServers::new(servers, Duration::from_secs(30), clock));
    let mut tasks = tokio::task::JoinSet::new();
    port.0.background().into_iter().for_each(|task| drop(tasks.spawn(task)));
    while port.account_kinds().is_err() {
        tokio::task::yield_now().await;
    }
    let [euro, dollar] = ["EUR", "USD"].map(|code| Currency::from_code(code).unwrap());
    // Brands of which a config in euros serves an account, which are all in dollars.
    let converted = || {
        let kinds = port.account_kinds().unwrap().into_iter();
        let converted = kinds.filter(|kind| port.may_convert(&kind.server, euro, dollar));
        converted.map(|kind| kind.group.brand.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(converted(), ["beta"], "the embedded one states no rate, the other one may");
    imported(&embedded, RATES);
    assert_eq!(converted(), ["ion4", "beta"]);
    *far.states_rates.lock().unwrap() = false;
    assert_eq!(converted(), ["ion4"], "its protocol has no prices, whatever the embedded one states");
}
