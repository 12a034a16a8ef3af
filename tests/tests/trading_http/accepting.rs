//! `cashier trading accept-instance` against the reference server: a database that was begun anew is posted to once it is accepted,
//! under a name of the settings alone.

use std::sync::Arc;

use cashier_core::ids::{Login, ServerName};
use cashier_host::system::SystemEntropy;
use cashier_host::trading::http::{HttpServerSettings, HttpTradingServer, InstanceFile};
use cashier_host::trading::remote::RemoteServer;
use cashier_tests::call_clock::CallClock;
use cashier_tests::cashier_process::run;
use cashier_tests::reference_server::{LOGIN, ReferenceServer};
use cashier_tests::waiting::skipped;

const KEY: &str = "1:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A folder with the settings of the program, and a database of payments.
fn folder(trading: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a folder of its own");
    std::fs::create_dir(folder.path().join("bases")).expect("a folder of its own");
    write("bases/cashier.db", "");
    write("keys", KEY);
    let keys = "session_keys_file = \"keys\"\nseal_keys_file = \"keys\"\nbases = \"bases\"\n";
    write("cashier.toml", &format!("{keys}[trading]\nname = \"main\"\nsecret_file = \"secret\"\n{trading}"));
    folder
}

#[tokio::test]
async fn a_database_begun_anew_is_asked_again_once_its_instance_is_accepted() {
    let mut server = match ReferenceServer::start() {
        Ok(server) => server,
        Err(why) => return skipped(&why),
    };
    let url = format!("http://127.0.0.1:{}/", server.port());
    let folder = folder(&format!("server = {url:?}\n"));
    let main = ServerName::read("main").expect("a name");
    let file = InstanceFile::of(&folder.path().join("bases"), &main);
    let settings = HttpServerSettings { instance_file: Some(file.clone()), ..crate::settings(&url) };
    let opened = HttpTradingServer::open(settings, Arc::new(CallClock::default()), Arc::new(SystemEntropy));
    let adapter = opened.expect("the settings are usable");
    assert!(adapter.account(Login(LOGIN)).await.is_ok());
    let before = file.read().expect("a file").expect("an instance");
    server.kill();
    server.forget();
    server.restart();
    // The first call notices, the next one asks who it is.
    assert!(adapter.account(Login(LOGIN)).await.is_err());
    let problem = adapter.account(Login(LOGIN)).await.expect_err("it is another one").to_string();
    let (_, command) = problem.split_once("`cashier ").expect("it names the command");
    let (command, _) = command.split_once('`').expect("it names the command");
    let arguments: Vec<&str> = command.split(' ').chain(["-s", "cashier.toml"]).collect();
    let accepted = run(folder.path(), &arguments).await;
    assert_eq!((accepted.code, &*accepted.err), (Some(0), ""), "{accepted:?}");
    let now = file.read().expect("a file").expect("an instance");
    assert_eq!(accepted.out, format!("trading server main: instance {now}, before {before}\n"));
    assert!(adapter.account(Login(LOGIN)).await.is_ok(), "it was accepted while the adapter runs");
}

#[tokio::test]
async fn a_name_that_the_settings_do_not_have_and_an_instance_that_they_fix_are_refused() {
    let accept = async |trading: &str, arguments: [&str; 2]| {
        let folder = folder(trading);
        let all = ["trading", "accept-instance", arguments[0], arguments[1], "-s", "cashier.toml", "--bases", "bases"];
        let output = run(folder.path(), &all).await;
        let recorded = InstanceFile::of(&folder.path().join("bases"), &ServerName::read(arguments[0]).expect("a name"));
        (output.code, output.out + &output.err, recorded.read().expect("readable"))
    };
    const ELSEWHERE: &str = "server = \"http://127.0.0.1:9/\"\n";
    let fixed = format!("{ELSEWHERE}instance = \"i-1\"\n");
    for (trading, arguments, code, said, recorded) in [
        (ELSEWHERE, ["main", "i-2"], 0, "trading server main: instance i-2, before none", Some("i-2")),
        (ELSEWHERE, ["other", "i-2"], 1, "the settings have no trading server other over HTTP, but main", None),
        ("server = \"tcp://127.0.0.1:9\"\n", ["main", "i-2"], 1, "the settings have no trading server over HTTP", None),
        (ELSEWHERE, ["main", "i 2"], 1, "an instance has 1 to 64 of", None),
        (&*fixed, ["main", "i-1"], 0, "trading server main: instance i-1, before none", Some("i-1")),
        (&*fixed, ["main", "i-2"], 1, "`instance` is i-1 in the settings: replace it there", None),
    ] {
        let (ended, printed, file) = accept(trading, arguments).await;
        assert!(ended == Some(code) && printed.contains(said), "{trading}{arguments:?}: {ended:?} {printed}");
        assert_eq!(file.as_deref(), recorded, "{trading}{arguments:?}");
    }
}
