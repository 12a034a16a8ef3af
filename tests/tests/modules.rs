//! The plugin host on real module files: which serve, which are refused with which reason, and that a panic in a module is
//! contained.

use std::fs;
use std::sync::Arc;

use cashier_core::aggregate::CreateEnding;
use cashier_core::notice::StatedAmount;
use cashier_core::provider_config::{ProviderConfig, ReplacedSecret, Secret};
use cashier_core::status::ProviderStatus;
use cashier_core::time::UnixTime;
use cashier_core::transaction::NextAction;
use cashier_host::plugins::{LoadOutcome, LoadReport};
use cashier_host::ports::{
    Clock, Durable, Gateway, ModuleHealth, Modules, OrderCheck, QueryAnswer, RawNotice, Verdict,
};
use cashier_provider_sdk as sdk;
use cashier_provider_sdk::host::ModuleV1;
use cashier_tests::plugin_host::{NOW, PluginHost, config, echo_notice, module_file, money, order, payment_query};
use cashier_tests::waiting::skipped;
use serde_json::json;

const PROBE: &str = env!("CARGO_BIN_EXE_module_probe");

fn two_good_modules() -> PluginHost {
    PluginHost::open(PROBE, "[[module]]\nname = \"echo\"\nbrands = [\"acme\"]\n[[module]]\nname = \"panics\"\n")
}

async fn create(gateway: &Arc<dyn Gateway>) -> CreateEnding {
    gateway.create(Durable::assertion(order(1))).await.answer.ending
}

#[tokio::test]
async fn two_modules_serve_at_once_and_the_catalog_describes_them() {
    let host = two_good_modules();
    let (echo, panics) = (host.line("echo"), host.line("panics"));
    assert!(echo.available && panics.available, "{echo:?}\n{panics:?}");
    assert_eq!((&*echo.code, &*echo.name, &*echo.payment_mode), ("echo", "Echo", "redirect"));
    assert_eq!(
        (echo.api_version, echo.generation, &*echo.isolation, echo.health),
        (1, 1, "in-process", ModuleHealth::Ok)
    );
    assert_eq!((&*echo.path, echo.sha256.len()), (&*module_file("echo").to_string_lossy(), 64));
    assert_eq!((echo.brands, panics.brands), (Some(vec!["acme".into()]), None));
    assert_eq!(
        (&*echo.endpoint_settings, &*echo.secret_settings),
        (&["api_base".into()][..], &["webhook_secret".into()][..])
    );

    let declared = echo.declared;
    assert_eq!((declared.version.is_empty(), &*declared.hosts), (false, &["echo.invalid".into()][..]));
    assert_eq!((&*declared.capabilities, declared.loaded_time), (&["query", "cancel"][..], NOW));
    let keys: Vec<&str> = declared.settings.iter().map(|setting| &*setting.key).collect();
    assert_eq!((keys, &*declared.webhook_events), (vec!["webhook_secret", "api_base"], &["echo.status".into()][..]));

    let (first, second) = (config(1, "echo"), config(2, "panics"));
    let (echo, panics) = tokio::join!(host.gateway(&first), host.gateway(&second));
    assert_eq!((echo.expiry_seconds(), echo.idempotency_window_seconds()), (3_600, 86_400));
    let answer = echo.create(Durable::assertion(order(1))).await.answer;
    assert_eq!(answer.ending, CreateEnding::Accepted(NextAction::Redirect));
    let reference = order(1).reference.clone();
    assert_eq!(&*answer.redirect_url, format!("https://echo.invalid/pay/{reference}?nonce={:032x}", 42));
    assert_eq!(
        answer,
        echo.create(Durable::assertion(order(1))).await.answer,
        "a repeated create is the same, byte for byte"
    );
    assert_eq!(create(&panics).await, CreateEnding::Accepted(NextAction::None));
}

#[tokio::test]
async fn one_module_serves_two_configs_and_their_signatures_do_not_mix() {
    let host = two_good_modules();
    let first = host.gateway(&config(1, "echo")).await;
    let second = host.gateway(&config(2, "echo")).await;
    let body = json!({
        "event_id": "evt_1", "reference": order(1).reference.as_str(), "payment_id": "p1", "status": "confirmed",
        "amount_minor": 250_000, "exponent": 3, "currency": "usd", "sandbox": true,
    });
    let notice = echo_notice("whsec_1_canary", &body);
    let Verdict::Verified { updates, acknowledgement: None, .. } = first.verify(&notice, true).await.answer else {
        panic!("its own webhook is verified");
    };
    let [update] = updates.as_slice() else { panic!("{updates:?}") };
    assert_eq!((update.status, &update.amount), (ProviderStatus::Confirmed, &Some(StatedAmount::Exact(money()))));
    assert_eq!((update.reference.as_ref(), &*update.event_id), (Some(&order(1).reference), "evt_1"));
    assert_eq!(second.verify(&notice, true).await.answer, Verdict::Rejected("the signature does not match".to_owned()));
    assert_eq!((first.receiver().config_id.0, second.receiver().config_id.0), (1, 2));
    assert_eq!(*first.receiver().module_hash, *host.line("echo").sha256);

    let cancelled = first.cancel(Durable::assertion(payment_query(1))).await.answer;
    let QueryAnswer::Stated(update) = cancelled else { panic!("{cancelled:?}") };
    assert_eq!(update.status, ProviderStatus::Cancelled);
    assert_eq!(first.advance(Durable::assertion(payment_query(1))).await.answer, QueryAnswer::Unsupported);
}

#[test]
fn a_file_that_is_no_module_is_refused_with_its_reason_and_the_host_starts() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    let echo = fs::read(module_file("echo")).unwrap();
    file("empty.so", b"");
    file("text.so", b"this is a text file, nothing else\n");
    file("truncated.so", &echo[..echo.len() / 2]);
    file("other.so", &echo);
    fs::create_dir(folder.path().join("folder.so")).unwrap();
    let here = |name: &str| format!("file = \"{name}.so\"");
    let built = |name: &str| format!("name = \"{name}\"");
    let table = [
        (here("empty"), "empty", "the file is empty"),
        (here("text"), "text", "it is a text file, not a library"),
        (here("truncated"), "truncated", "it is truncated: its tables end at byte "),
        (here("missing"), "missing", "the file does not exist"),
        (here("folder"), "folder", "it is a folder, not a file"),
        (built("contract_2"), "contract_2", "it was built for contract 2, this host supports 1"),
        (built("aborts"), "aborts", "it was built with panic = \"abort\": a panic in it would end the cashier"),
        (built("changed_record"), "changed_record", "its record DescriptorV1 lacks the field name; it was built with "),
        (built("crashes"), "crashes", "opening it ended the probe process with SIGABRT: its constructor aborts"),
        (built("panics_in_descriptor"), "panics_in_descriptor", "the module panicked in descriptor at "),
        (format!("{}\nsha256 = \"{}\"", built("sleeps"), "0".repeat(64)), "sleeps", "its SHA-256 is "),
        (here("other"), "other", "its provider code \"echo\" is already served by module \"echo\""),
        (
            format!("{}\nisolation = \"worker\"", built("panics")),
            "panics",
            "plugins.toml line 30, module panics: isolation \"worker\" is not offered by this build",
        ),
    ];
    let mut text = "[[module]]\nname = \"echo\"\n".to_owned();
    text.extend(table.iter().map(|(entry, ..)| format!("[[module]]\n{entry}\n")));
    let host = PluginHost::open_in(folder, PROBE, &text);
    assert!(host.line("echo").available);
    for (_, name, reason) in &table {
        let line = host.line(name);
        assert!(!line.available && line.failure_reason.starts_with(reason), "{name}: {}", line.failure_reason);
        assert!(line.failure_reason.len() < 600, "{name}: {} bytes", line.failure_reason.len());
    }
    assert_eq!((host.line("contract_2").api_version, host.line("text").api_version), (2, 0));
}

#[test]
fn a_foreign_library_is_refused_as_no_module() {
    let folders = ["/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/lib64", "/usr/lib", "/usr/lib64"];
    for name in ["libm.so.6", "libsqlite3.so.0"] {
        let found = folders.map(|folder| format!("{folder}/{name}")).into_iter().find(|path| fs::exists(path).unwrap());
        let Some(library) = found else {
            skipped(&format!("no {name} in the usual folders"));
            continue;
        };
        let host = PluginHost::open(PROBE, &format!("[[module]]\nfile = \"{library}\"\n"));
        let stem = name.rsplit_once('.').unwrap().0;
        let reason = host.line(stem).failure_reason;
        let expected = "it is a library but not a provider module: it has no symbol cashier_provider_contract_version";
        assert_eq!(&*reason, expected, "{name}");
    }
}

fn panics_in(entry: &str) -> ProviderConfig {
    ProviderConfig { settings_json: json!({ "panic_in": entry }).to_string().into(), ..config(2, "panics") }
}

/// The reason of a call that panicked names the entry, and quotes nothing.
fn panicked(entry: &str, reason: &str) {
    let expected = format!("the module panicked in {entry} at ");
    assert!(reason.contains(&expected) && !reason.contains("canary"), "{reason}");
}

#[tokio::test]
async fn a_panic_in_any_entry_is_an_error_of_that_call_and_other_modules_are_unaffected() {
    let host = two_good_modules();
    let other = host.gateway(&config(1, "echo")).await;
    let others_answer = async || {
        assert_eq!(create(&other).await, CreateEnding::Accepted(NextAction::Redirect));
        assert_eq!(host.line("echo").health, ModuleHealth::Ok);
    };
    panicked("configure", &host.plugins.validate(&panics_in("configure")).await.unwrap_err());
    others_answer().await;
    panicked("configure", &host.plugins.open_gateway(&panics_in("configure")).await.err().unwrap());
    others_answer().await;

    let gateway = host.gateway(&panics_in("create_payment")).await;
    // Its check is the first step of its creation.
    let OrderCheck::NoAnswer(reason) = gateway.check_order(&order(1)).await else { panic!("nothing is checked") };
    panicked("check_order", &reason);
    others_answer().await;
    let CreateEnding::NeverSent { reason } = create(&gateway).await else { panic!("nothing was sent") };
    panicked("create_payment", &reason);
    others_answer().await;
    let notice = echo_notice("", &json!({}));
    assert!(matches!(gateway.verify(&notice, true).await.answer, Verdict::Verified { .. }), "other entries still work");

    let gateway = host.gateway(&panics_in("normalize_status")).await;
    let Verdict::NotWorking(reason) = gateway.verify(&notice, true).await.answer else { panic!("it panicked") };
    panicked("normalize_status", &reason);
    others_answer().await;

    for entry in ["query_status", "advance_payment", "cancel_payment"] {
        let gateway = host.gateway(&panics_in(entry)).await;
        let answer = match entry {
            "query_status" => gateway.query(payment_query(1)).await.answer,
            "advance_payment" => gateway.advance(Durable::assertion(payment_query(1))).await.answer,
            _ => gateway.cancel(Durable::assertion(payment_query(1))).await.answer,
        };
        let QueryAnswer::NoAnswer(reason) = answer else { panic!("it panicked in {entry}") };
        panicked(entry, &reason);
        others_answer().await;
    }

    drop(host.gateway(&panics_in("drop")).await);
    others_answer().await;
    assert_eq!(create(&host.gateway(&panics_in("")).await).await, CreateEnding::Accepted(NextAction::None));
}

/// The cashier calls no refund entry yet; it is part of the contract, so this test calls it past the gateway.
#[test]
fn a_panic_in_a_refund_is_caught_at_the_module_boundary() {
    let module = ModuleV1::open(&module_file("panics")).unwrap();
    let row = sdk::ProviderConfig {
        secret_key: "sk_canary".into(),
        settings: sdk::ProviderSettings::parse(r#"{"panic_in":"refund_payment"}"#).unwrap(),
        ..sdk::ProviderConfig::default()
    };
    let instance = module.configure(&row).unwrap();
    for _ in 0..2 {
        let step = instance.refund_payment(&sdk::RefundOrder::default(), &[]);
        let sdk::Step::Failed(failure) = step else { panic!("it panicked") };
        assert_eq!(failure.kind, sdk::FailureKind::Panicked);
        panicked("refund_payment", &failure.message);
    }
    let payment = sdk::PaymentRef::default();
    assert!(matches!(instance.query_status(&payment, &[]), sdk::Step::Done(_)), "other entries still work");
}

#[tokio::test]
async fn a_config_is_validated_with_the_modules_own_messages() {
    let host = two_good_modules();
    let echo = || config(1, "echo");
    let with = |settings: serde_json::Value, over: serde_json::Value| ProviderConfig {
        settings_json: settings.to_string().into(),
        config_json: Secret::new(&over.to_string()),
        ..echo()
    };
    let no_secret = ProviderConfig { webhook_secret: Secret::default(), ..echo() };
    let table = [
        (echo(), Ok(())),
        (ProviderConfig { enabled: false, ..no_secret.clone() }, Ok(())),
        (no_secret.clone(), Err("webhook_secret: is required")),
        (ProviderConfig { config_json: Secret::new(r#"{"webhook_secret":"whsec_over"}"#), ..no_secret }, Ok(())),
        (with(json!({"refuse_with": "not on Sundays"}), json!({})), Err("refuse_with: not on Sundays")),
        (with(json!({"refuse_with": "no"}), json!({"refuse_with": ""})), Ok(())),
        (with(json!({}), json!({"refuse_with": "I know whsec_1_canary"})), Err("refuse_with: I know ***")),
        (with(json!([]), json!({})), Err("settings_json: is not a JSON object")),
        (with(json!({}), json!("x")), Err("config_json: is not a JSON object")),
        (with(json!({}), json!({"secret_key": []})), Err("secret_key: must be a text")),
        (with(json!({"api_base": "https://echo.invalid/v2"}), json!({})), Ok(())),
        (
            with(json!({"api_base": "http://echo.invalid"}), json!({})),
            Err("api_base: echo.invalid:80 is allowed over https only; use https, or where it is a private address: \
                 allow_private = [\"http://echo.invalid:80\"] in its [[module]] of plugins.toml permits it"),
        ),
        (
            with(json!({"api_base": "https://evil.test"}), json!({})),
            Err(
                "api_base: evil.test:443 is not among the hosts of this provider; allow_hosts = [\"evil.test:443\"] in its \
                 [[module]] of plugins.toml permits it, or where it is a private address: allow_private = \
                 [\"evil.test:443\"] in its [[module]] of plugins.toml permits it",
            ),
        ),
        (with(json!({"api_base": "echo.invalid"}), json!({})), Err("api_base: must begin with https:// or http://")),
        (
            with(json!({"api_base": "https://echo.invalid/\n"}), json!({})),
            Err("api_base: has a blank, a line end or a control character in it"),
        ),
        (
            with(json!({"api_base": "https://me:CANARY@echo.invalid"}), json!({})),
            Err("api_base: must have no user name and no password"),
        ),
        (ProviderConfig { provider: "unknown".into(), ..echo() }, Ok(())),
    ];
    for (config, expected) in table {
        assert_eq!(host.plugins.validate(&config).await, expected.map_err(str::to_owned));
    }
    let unknown = host.plugins.open_gateway(&config(1, "unknown")).await.err().unwrap();
    assert_eq!(unknown, "no module for provider \"unknown\" is loaded");
}

#[tokio::test]
async fn a_replaced_secret_verifies_until_its_time_and_not_after() {
    let host = two_good_modules();
    let replaced = |secret: &str, until: i64| ReplacedSecret { secret: Secret::new(secret), until: UnixTime(until) };
    let config = ProviderConfig {
        replaced_webhook_secrets: vec![replaced("whsec_before", NOW + 100), replaced("whsec_long_ago", NOW)],
        ..config(1, "echo")
    };
    let gateway = host.gateway(&config).await;
    let verified = async |secret: &str| {
        matches!(gateway.verify(&echo_notice(secret, &json!({})), true).await.answer, Verdict::Verified { .. })
    };
    assert!(verified("whsec_1_canary").await && verified("whsec_before").await && !verified("whsec_long_ago").await);
    host.clock.advance_seconds(100);
    assert_eq!(host.clock.now(), UnixTime(NOW + 100));
    assert!(!verified("whsec_before").await && verified("whsec_1_canary").await);
}

#[tokio::test]
async fn m3_a_notice_that_was_proven_when_it_was_stored_is_read_though_its_secret_is_gone() {
    let host = two_good_modules();
    let gateway = host.gateway(&config(1, "echo")).await;
    let body = json!({
        "event_id": "evt_1", "reference": order(1).reference.as_str(), "payment_id": "p1", "status": "confirmed",
        "amount_minor": 250_000, "exponent": 3, "currency": "usd", "sandbox": true,
    });
    let notice = echo_notice("a secret that was replaced", &body);
    assert!(matches!(gateway.verify(&notice, true).await.answer, Verdict::Rejected(_)));
    let Verdict::Verified { updates, .. } = gateway.read_proven(&notice, false).await.answer else {
        panic!("it is read")
    };
    assert_eq!(&*updates[0].event_id, "evt_1");
    let garbage = RawNotice { body: "{".into(), ..notice.clone() };
    assert!(matches!(gateway.read_proven(&garbage, true).await.answer, Verdict::Unreadable { .. }));
    assert!(matches!(gateway.verify(&notice, true).await.answer, Verdict::Rejected(_)), "nothing is remembered");
}

#[tokio::test]
async fn a_new_build_is_a_new_generation_and_an_invalid_file_replaces_none() {
    let folder = tempfile::tempdir().unwrap();
    let (file, mut bytes) = (folder.path().join("echo.so"), fs::read(module_file("echo")).unwrap());
    fs::write(&file, &bytes).unwrap();
    let text = "[[module]]\nfile = \"echo.so\"\n";
    let host = PluginHost::open_in(folder, PROBE, text);
    let outcome = |reports: Vec<LoadReport>| {
        let [report] = <[_; 1]>::try_from(reports).unwrap();
        (report.generation, report.outcome)
    };
    assert_eq!(outcome(host.reports.clone()), (1, LoadOutcome::Loaded));
    let old = host.gateway(&config(1, "echo")).await;
    assert_eq!(outcome(host.plugins.reload().unwrap()), (1, LoadOutcome::Unchanged));

    // Bytes behind the last table change the hash alone.
    bytes.extend_from_slice(b"another build");
    fs::write(&file, &bytes).unwrap();
    assert_eq!(outcome(host.plugins.reload().unwrap()), (2, LoadOutcome::Replaced { generation_before: 1 }));
    let new = host.gateway(&config(1, "echo")).await;
    assert_ne!(old.receiver().module_hash, new.receiver().module_hash);
    for gateway in [&old, &new] {
        assert_eq!(create(gateway).await, CreateEnding::Accepted(NextAction::Redirect));
    }

    fs::write(&file, b"not even a library").unwrap();
    let (reason, still_serving) = ("it is a text file, not a library".to_owned(), Some(2));
    assert_eq!(outcome(host.plugins.reload().unwrap()), (2, LoadOutcome::Refused { reason, still_serving }));
    assert!(host.line("echo").available);

    assert!(host.reload("[[module]\n").unwrap_err().contains("plugins.toml: line 1:"));
    assert!(host.line("echo").available, "a broken plugins.toml changes nothing");

    assert_eq!(outcome(host.reload("").unwrap()), (2, LoadOutcome::Delisted));
    assert_eq!(host.plugins.reload().unwrap(), [], "it is reported once");
    let line = host.line("echo");
    assert_eq!(
        (line.available, &*line.failure_reason),
        (false, "plugins.toml does not list it; it only receives updates of earlier payments")
    );
    let delisted = host.gateway(&config(1, "echo")).await;
    let notice = echo_notice("whsec_1_canary", &json!({}));
    assert!(matches!(delisted.verify(&notice, true).await.answer, Verdict::Verified { .. }));
}

#[test]
fn a_disabled_module_is_loaded_for_earlier_payments_alone() {
    let host = PluginHost::open(PROBE, "[[module]]\nname = \"echo\"\nenabled = false\n");
    let line = host.line("echo");
    let reason = "plugins.toml disables it; it only receives updates of earlier payments";
    assert_eq!((&*line.code, line.available, &*line.failure_reason), ("echo", false, reason));
}
