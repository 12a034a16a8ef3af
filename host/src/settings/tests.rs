//! The settings: what is taken, and that every error names the key, its line and what is wrong.

use std::path::Path;

use super::*;

const KEY: &str = "1:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn parse(text: &str) -> Result<Settings, SettingsError> {
    Settings::parse(text, Path::new("/srv"), &|_| Some(KEY.into()))
}

#[test]
fn every_setting_but_the_keys_has_a_default() {
    let settings = parse("").unwrap();
    assert_eq!(settings.customer_listen.port(), 8080);
    assert_eq!(settings.bases, Path::new("/srv/bases"));
    assert!(settings.manager_listen.ip().is_loopback() && settings.watch_listen.ip().is_loopback());
    assert!(!format!("{settings:?}").contains("0102030405"), "keys are not shown");
}

#[test]
fn a_missing_key_is_an_error_that_says_how_to_make_one() {
    let error = Settings::parse("", Path::new(""), &|_| None).unwrap_err().0;
    assert!(error.contains("CASHIER_SESSION_KEYS") && error.contains("/dev/urandom"), "{error}");
    let blank = Settings::parse("", Path::new(""), &|_| Some(" ".into()));
    assert!(blank.is_err(), "a blank key is no key");
}

#[test]
fn public_keys_of_other_issuers_need_no_secret_of_our_own() {
    let seal_alone = |variable: &str| (variable == SEAL_KEYS_VARIABLE).then(|| KEY.into());
    let read = |text: &str| Settings::parse(text, Path::new("/srv"), &seal_alone);
    let settings = read("session_jwks_file = \"keys.json\"").unwrap();
    assert_eq!(settings.session.jwks_file.as_deref(), Some(Path::new("/srv/keys.json")));
    assert!(settings.session_keys.is_empty());
    read("").unwrap_err();
    read("session_jwks_file = \"keys.json\"\nsession_keys_file = \"absent.key\"").unwrap_err();
}

#[test]
fn i5_every_error_names_the_key_and_its_line() {
    let table = [
        ("\n\ndeposits_per_minute = \"0\"", "line 3: deposits_per_minute: invalid type: string \"0\", expected u32"),
        ("\ndeposits_per_minute = -1", "line 2: deposits_per_minute: "),
        ("bases = \"a\"\nvar = \"b\"\nbases = \"c\"", "line 3: bases: duplicate key"),
        ("# one\ntrusted_proxies = [\n  \"127.0.0.1\",\n  \"localhost\",\n]", "line 4: trusted_proxies: "),
        ("\nbases = \"\"", "line 2: bases is empty: it must name a file or folder, or be left out"),
        ("\nvar = \" \\n\"", "line 2: var is empty"),
        ("\nplugins = \"a\\nb\"", "line 2: plugins = \"a\\nb\" has a control character"),
        (
            "\n\"watch_listen\" = \"9\"",
            "line 2: watch_listen = \"9\" is not an address and a port such as \"127.0.0.1:8082\"",
        ),
        ("var = \"v\"\npublic_urll = \"http://x\"", "line 2: unknown field `public_urll`"),
        ("allow_sandbox_credit = \"ion4\"", "line 1: allow_sandbox_credit: invalid type"),
        ("allow_sandbox_credit = [\"ion4\", \" \"]", "line 1: allow_sandbox_credit has an empty entry"),
        ("second_person = [\"secrets\"]", "line 1: second_person names \"secrets\""),
        (
            "[manager_rights]\nMngUpdateCustomr = [\"SESSION_ADMIN\"]",
            "line 2: manager_rights has \"MngUpdateCustomr\", which is no command: the nearest is MngUpdateCustomer",
        ),
        (
            "[manager_rights]\nMngUpdateCustomer = [\"SESSION_ADMINS\"]",
            "line 2: manager_rights has \"MngUpdateCustomer\", which names \"SESSION_ADMINS\", which is no session type: the nearest is SESSION_ADMIN",
        ),
        (
            "[manager_rights]\nMngUpdateCustomer = [\"SESSION_DEALER\"]",
            "line 2: manager_rights has \"MngUpdateCustomer\", which names SESSION_DEALER, which the command never permits",
        ),
        ("[manager_rights]\nMngUpdateCustomer = [\"\"]", "line 2: manager_rights has an empty entry"),
        (
            "[second_person_refund_above]\nUSDX = \"5\"",
            "line 2: second_person_refund_above has \"USDX\", which is no currency",
        ),
        (
            "[second_person_refund_above]\nUSD = \"1,000\"",
            "line 2: second_person_refund_above has \"1,000\" for USD, which is no amount",
        ),
        ("var = \"v\"\nbases = bases", "line 2: bases: "),
        ("var = \"v\"\nbases", "line 2: "),
        ("[bases]\nx = 1", "line 1: bases: invalid type"),
        ("tls_key_file = \"key.pem\"", "line 1: tls_key_file needs tls_certificate_file"),
        ("\nsession_keys_file = \"absent.key\"", "line 2: session_keys_file /srv/absent.key: "),
        ("session_lifetime_max = 0", "line 1: session_lifetime_max = 0 would refuse every token"),
        ("session_lifetime_max = 1.5", "line 1: session_lifetime_max: invalid type"),
        ("session_issuers = [\"\"]", "line 1: session_issuers has an empty entry"),
        ("require_brand_claim = \"yes\"", "line 1: require_brand_claim: invalid type"),
        ("customer_listen = \"[::]:80\"", "public_url is needed"),
        ("\ncustomer_listen = \"nowhere\"", "line 2: customer_listen = \"nowhere\" is not an address"),
    ];
    for (text, expected) in table {
        let error = parse(text).expect_err(text).0;
        assert!(error.starts_with(expected), "{text:?}: {error}");
    }
}

#[test]
fn i5_a_settings_file_is_named_with_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.toml");
    std::fs::write(&path, "\r\nvar = \"\"\r\n").unwrap();
    let error = Settings::read(&path).unwrap_err().0;
    assert_eq!(
        error,
        format!(
            "settings file {}: line 2: var is empty: it must name a file or folder, or be left out",
            path.display()
        )
    );
}

#[test]
fn k9_brands_in_lists_are_codes() {
    for (brand, problem) in [
        ("a\\u202e", "holds characters that cannot be seen"),
        ("a\\u200bb", "holds characters that cannot be seen"),
        ("a\\u009bb", "control character"),
        ("4111 1111 1111 1111", "holds a number written like a payment card's"),
    ] {
        for (text, key) in [
            (format!("allow_sandbox_credit = [\"ion4\", \"{brand}\"]"), "allow_sandbox_credit"),
            (format!("allow_live_on_demo = [\"{brand}\"]"), "allow_live_on_demo"),
        ] {
            let error = parse(&text).expect_err(&text).0;
            assert!(error.starts_with(&format!("line 1: {key} has ")) && error.contains(problem), "{error}");
            assert!(!error.contains("1111 1111") && !error.contains('\u{202e}'), "{error}");
        }
        let text = format!("[return_hosts]\nion4 = []\n\"{brand}\" = [\"shop.example\"]");
        let error = parse(&text).expect_err(&text).0;
        assert!(error.starts_with("line 3: return_hosts has "), "{error}");
    }
}

#[test]
fn i5_whole_numbers_have_the_documented_range() {
    let page = include_str!("../../../docs/settings.md");
    let table = page.split("\n## cashier.toml").nth(1).unwrap().split("\n## ").next().unwrap();
    let (mut ranges, mut within) = (0, "");
    for row in table.lines().filter(|line| line.starts_with("| ")) {
        if row.starts_with("| Trading key") {
            within = "[trading]\n";
        }
        if !row.starts_with("| `") {
            continue;
        }
        let mut cells = row.split(" | ");
        let key = cells.next().unwrap().trim_start_matches("| ").trim_matches('`');
        let Some((below, most)) = cells.nth(1).and_then(|range| range.split_once(" to ")) else { continue };
        let (Ok(most), least) = (most.parse::<i128>(), below.rsplit(", ").next().unwrap()) else { continue };
        let least: i128 = least.parse().unwrap();
        let taken = |value: i128| parse(&format!("{within}{key} = {value}")).is_ok();
        for (value, expected) in [(least, true), (most, true), (least - 1, false), (most + 1, false)] {
            assert_eq!(taken(value), expected, "{key} = {value}");
        }
        assert_eq!(taken(0), least == 0 || below.contains("0, "), "{key} = 0");
        assert!(!taken(i128::from(u64::MAX)) && !taken(i128::from(i64::MIN)), "{key}");
        ranges += 1;
    }
    assert_eq!(ranges, 14, "rows of the page with a range");
}

#[test]
fn i1_a_public_url_is_trimmed_or_refused_without_being_shown() {
    let taken = |text: &str| parse(&format!("public_url = \"{text}\"")).map(|settings| settings.public_url.unwrap());
    for text in
        ["https://pay.example", "https://pay.example\\n", "  https://pay.example/\\r\\n", "\u{feff}https://pay.example"]
    {
        assert_eq!(&*taken(text).unwrap(), "https://pay.example", "{text:?}");
    }
    for text in [
        "https://user:hunter2@pay.example",
        "https://hunter2 .example",
        "hunter2",
        "",
        "https://hunter2?a",
        "https://hunter2#a",
    ] {
        let error = taken(text).expect_err(text).0;
        assert!(error.starts_with("line 1: public_url ") && !error.contains("hunter2"), "{text:?}: {error}");
    }
}

#[test]
fn i4_a_settings_file_of_any_editor_means_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.toml");
    let key = folder.path().join("session.key");
    for (mark, end) in [("", "\n"), ("\u{feff}", "\n"), ("", "\r\n"), ("\u{feff}", "\r\n")] {
        let text =
            [mark, "customer_listen = \" 127.0.0.1:9000 \"", end, "session_keys_file = \"session.key \"", end].concat();
        std::fs::write(&path, [text.as_str(), "seal_keys_file = \"session.key\"", end].concat()).unwrap();
        std::fs::write(&key, [mark, KEY, end].concat()).unwrap();
        let settings = Settings::read(&path).unwrap();
        assert_eq!(settings.customer_listen.port(), 9000);
        assert_eq!(settings.session_keys.trim(), KEY);
        assert_eq!(settings.session_keys_file.as_deref(), Some(&*key));
    }
    std::fs::write(&path, b"\xff\xfev\0a\0r\0").unwrap();
    let error = Settings::read(&path).unwrap_err().0;
    assert!(error.ends_with("cashier.toml: begins with a UTF-16 byte order mark: save it as UTF-8"), "{error}");
}

#[test]
fn b3_proxies_are_addresses_and_ranges_of_both_families() {
    let settings = parse(
        "trusted_proxies = [\"127.0.0.1\", \" 10.0.0.0/8 \", \"::1\", \"2001:db8::/32\", \"::ffff:192.0.2.0/120\", \"::ffff:198.51.100.7\"]",
    );
    let shown: Vec<String> = settings.unwrap().trusted_proxies.iter().map(ToString::to_string).collect();
    let expected = ["127.0.0.1/32", "10.0.0.0/8", "::1/128", "2001:db8::/32", "192.0.2.0/24", "198.51.100.7/32"];
    assert_eq!(shown, expected);
    for wrong in ["10.0.0.0/33", "10.0.0", "proxy.example", "", "10.0.0.0/8 10.0.0.1", "127.0.0.1:80"] {
        let error = parse(&format!("trusted_proxies = [\"{wrong}\"]")).expect_err(wrong).0;
        assert!(error.starts_with("line 1: trusted_proxies: "), "{error}");
    }
    let error = parse("\ntrusted_proxies = [\"10.0.0.1/8\"]").unwrap_err().0;
    assert_eq!(error, "line 2: trusted_proxies: 10.0.0.1/8 is no range: the one with this address is 10.0.0.0/8");
}

#[test]
fn n1_waits_are_bounded_and_an_idle_time_of_nothing_is_refused() {
    let settings = parse("idle_seconds = 90\nstop_delay_seconds = 0\nconnections_per_address = 0").unwrap();
    assert_eq!((settings.idle.as_secs(), settings.stop_delay.as_secs()), (90, 0));
    assert_eq!(settings.connections_per_address, 0);
    let settings = parse("").unwrap();
    assert_eq!((settings.idle.as_secs(), settings.stop_delay.as_secs()), (75, 5));
    for (text, expected) in [
        ("idle_seconds = 0", "line 1: idle_seconds = 0 would close every connection"),
        ("idle_seconds = 86401", "line 1: idle_seconds = 86401 is more than a day"),
        ("stop_delay_seconds = 86401", "line 1: stop_delay_seconds = 86401 is more than a day"),
        ("stop_delay_seconds = -1", "line 1: stop_delay_seconds: "),
    ] {
        let error = parse(text).expect_err(text).0;
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn n4_origins_are_written_as_browsers_send_them() {
    let taken = parse("cors_origins = [\"https://shop.example\", \"http://localhost:3000\"]").unwrap().cors_origins;
    assert_eq!(taken, [Box::from("https://shop.example"), Box::from("http://localhost:3000")]);
    for (wrong, expected) in [
        ("https://shop.example/", "which browsers send as \"https://shop.example\""),
        ("https://Shop.example", "which browsers send as \"https://shop.example\""),
        ("https://shop.example:443", "which browsers send as \"https://shop.example\""),
        ("https://shop.example/pay", "which browsers send as"),
        ("*", "name each origin"),
        ("null", "which is no origin"),
        ("shop.example", "which is no origin"),
        ("https://*.shop.example", "name each origin"),
    ] {
        let error = parse(&format!("cors_origins = [\"{wrong}\"]")).expect_err(wrong).0;
        assert!(error.starts_with("line 1: cors_origins has ") && error.contains(expected), "{wrong}: {error}");
    }
}

#[test]
fn a_listener_that_others_could_read_must_be_allowed_by_name() {
    let url = "public_url = \"https://pay.example\"\n";
    let refused = [
        ("manager_listen = \"0.0.0.0:8081\"", "manager_listen", "[\"manager\"]"),
        ("manager_listen = \"192.0.2.1:8081\"", "manager_listen", "tls_certificate_file"),
        ("manager_listen = \"[::]:8081\"", "manager_listen", "[\"manager\"]"),
        ("watch_listen = \"0.0.0.0:8082\"", "watch_listen", "[\"watch\"]"),
        ("manager_listen = \"0.0.0.0:1\"\nallow_plain_listeners = [\"watch\"]", "manager_listen", "[\"manager\"]"),
        (
            "watch_listen = \"0.0.0.0:1\"\ntls_certificate_file = \"a\"\ntls_key_file = \"b\"",
            "watch_listen",
            "[\"watch\"]",
        ),
        ("allow_plain_listeners = [\"customer\"]", "allow_plain_listeners", "it may name manager, watch"),
    ];
    for (text, key, cure) in refused {
        let error = parse(&format!("{url}{text}")).expect_err(text).0;
        assert!(error.starts_with(&format!("line 2: {key} ")) && error.contains(cure), "{text}: {error}");
    }
    for text in [
        "manager_listen = \"127.0.0.5:1\"\nwatch_listen = \"[::1]:2\"",
        "manager_listen = \"[::ffff:127.0.0.1]:1\"",
        "manager_listen = \"0.0.0.0:1\"\ntls_certificate_file = \"a\"\ntls_key_file = \"b\"",
        "manager_listen = \"0.0.0.0:1\"\nwatch_listen = \"0.0.0.0:2\"\nallow_plain_listeners = [\"manager\", \"watch\"]",
        "customer_listen = \"0.0.0.0:1\"",
    ] {
        assert!(parse(&format!("{url}{text}")).is_ok(), "{text}");
    }
}

#[test]
fn hosts_of_return_urls_are_hosts() {
    let text = "[return_hosts]\nion4 = [\"Shop.example\", \"*.shop.example\", \"[2001:db8::1]:8443\", \"127.0.0.1:3000\"]\nnova = []";
    let hosts = parse(text).unwrap().return_hosts;
    let of_ion4: Vec<&str> = hosts["ion4"].iter().map(|host| &**host).collect();
    assert_eq!(of_ion4, ["shop.example", "*.shop.example", "[2001:db8::1]:8443", "127.0.0.1:3000"]);
    assert!(hosts["nova"].is_empty());
    for wrong in [
        "https://shop.example",
        "shop.example/ok",
        "a b",
        "shop.*",
        "*.",
        "shop.example:x",
        "user@shop.example",
        "shop.example?",
        "shop.example.",
        "shop.example:",
        "*.shop.example.",
        "shop.example.:8443",
        "[2001:db8::1]:",
    ] {
        let text = format!("deposits_per_minute = 1\n[return_hosts]\nnova = [\"shop.example\"]\nion4 = [\"{wrong}\"]");
        let error = parse(&text).expect_err(wrong).0;
        assert!(error.starts_with("line 4: return_hosts has ") && error.contains("ion4"), "{wrong}: {error}");
    }
}
