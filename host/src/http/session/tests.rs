//! Valid, forged, foreign, early and expired tokens, and keys that are added and removed.

use super::*;

const NOW: UnixTime = UnixTime(1_779_270_000);

/// Whose requests they are.
const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn key(kid: &str, byte: u8) -> SessionKey {
    SessionKey::new(kid, &[byte; 32]).unwrap()
}

fn keys() -> SessionKeys {
    SessionKeys::new(vec![key("new", b'n'), key("old", b'o')]).unwrap()
}

fn signed(header: &str, claims: &str, byte: u8) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let mac = key("", byte).mac(&message).unwrap().finalize().into_bytes();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac))
}

fn customer(token: &str) -> Option<u64> {
    keys().customer(Some(token), FROM, NOW).ok().map(|session| session.customer_id().0)
}

#[test]
fn an_issued_token_is_valid_until_it_expires_with_and_without_the_scheme() {
    let keys = keys();
    let token = issue_token(&keys, Role::Customer, 5, Some("ion4"), 3600, NOW).unwrap();
    for form in [token.clone(), format!("Bearer {token}"), format!("bearer  {token} ")] {
        let session = keys.customer(Some(&form), FROM, NOW).unwrap();
        assert_eq!((session.customer_id(), session.brand()), (CustomerId(5), Some("ion4")));
    }
    assert!(keys.customer(Some(&token), FROM, NOW.plus(3599)).is_ok());
    assert!(keys.customer(Some(&token), FROM, NOW.plus(3600)).is_err());
    let refusal = keys.customer(None, FROM, NOW).unwrap_err();
    assert_eq!(refusal.to_string(), "PERMISSION_DENIED: a valid customer session is required");
}

#[test]
fn a_token_of_another_implementation_verifies() {
    // RFC 7515, appendix A.1, with its own key; its claims are not ours, so only the signature is compared.
    let secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let rfc = SessionKey::new("", &URL_SAFE_NO_PAD.decode(secret).unwrap()).unwrap();
    let message = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let mac = rfc.mac(message).unwrap().finalize().into_bytes();
    assert_eq!(URL_SAFE_NO_PAD.encode(mac), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
}

#[test]
fn forged_foreign_early_and_expired_tokens_are_refused() {
    let valid = r#"{"id":5,"role":9,"exp":1779273600}"#;
    let header = r#"{"alg":"HS256","typ":"JWT"}"#;
    let table = [
        ("no kid, the first key", signed(header, valid, b'n'), Some(5)),
        ("no kid, the second key", signed(header, valid, b'o'), Some(5)),
        ("named key", signed(r#"{"alg":"HS256","kid":"old"}"#, valid, b'o'), Some(5)),
        ("named key, signed by another", signed(r#"{"alg":"HS256","kid":"old"}"#, valid, b'n'), None),
        ("unknown key", signed(r#"{"alg":"HS256","kid":"older"}"#, valid, b'o'), None),
        ("foreign key", signed(header, valid, b'x'), None),
        ("alg none", signed(r#"{"alg":"none"}"#, valid, b'n'), None),
        ("alg HS512", signed(r#"{"alg":"HS512"}"#, valid, b'n'), None),
        ("alg in lower case", signed(r#"{"alg":"hs256"}"#, valid, b'n'), None),
        ("alg given twice", signed(r#"{"alg":"none","alg":"HS256"}"#, valid, b'n'), None),
        ("critical extension", signed(r#"{"alg":"HS256","crit":["b64"]}"#, valid, b'n'), None),
        ("critical extension null", signed(r#"{"alg":"HS256","crit":null}"#, valid, b'n'), None),
        ("critical extension empty", signed(r#"{"alg":"HS256","crit":[]}"#, valid, b'n'), None),
        ("no exp", signed(header, r#"{"id":5,"role":9}"#, b'n'), None),
        ("expired this second", signed(header, r#"{"id":5,"role":9,"exp":1779270000}"#, b'n'), None),
        ("exp as text", signed(header, r#"{"id":5,"role":9,"exp":"1779273600"}"#, b'n'), None),
        ("nbf within skew", signed(header, r#"{"id":5,"role":9,"exp":1779273600,"nbf":1779270030}"#, b'n'), Some(5)),
        ("nbf beyond", signed(header, r#"{"id":5,"role":9,"exp":1779273600,"nbf":1779270031}"#, b'n'), None),
        ("iat beyond", signed(header, r#"{"id":5,"role":9,"exp":1779273600,"iat":1779270031}"#, b'n'), None),
        ("id given twice", signed(header, r#"{"id":6,"id":5,"role":9,"exp":1779273600}"#, b'n'), None),
        ("id 0", signed(header, r#"{"id":0,"role":9,"exp":1779273600}"#, b'n'), None),
        ("negative id", signed(header, r#"{"id":-5,"role":9,"exp":1779273600}"#, b'n'), None),
        ("a manager", signed(header, r#"{"id":5,"role":1,"exp":1779273600}"#, b'n'), None),
        ("unknown role", signed(header, r#"{"id":5,"role":7,"exp":1779273600}"#, b'n'), None),
        ("no brand by name", signed(header, r#"{"id":5,"role":9,"exp":1779273600,"brand":null}"#, b'n'), None),
        ("other claims", signed(header, r#"{"id":5,"role":9,"exp":1779273600,"x":[1]}"#, b'n'), Some(5)),
    ];
    for (what, token, expected) in table {
        assert_eq!(customer(&token), expected, "{what}");
    }
    let token = signed(header, valid, b'n');
    let (message, signature) = token.rsplit_once('.').unwrap();
    let long = format!("{token}{}", "A".repeat(TOKEN_LENGTH_MAX));
    let short = &token[..token.len() - 2];
    for wrong in ["", ".", "..", "a.b.c", message, &format!("{message}."), &format!(".{signature}"), &long, short] {
        assert_eq!(customer(wrong), None, "{wrong}");
    }
    for place in 0..token.len() {
        let mut forged = token.clone().into_bytes();
        forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        // The last character of a base64 text may carry spare bits; a strict decoder refuses those too.
        assert_eq!(customer(&forged), None, "character {place}");
    }
}

#[test]
fn removing_a_key_ends_its_tokens_at_once() {
    let keys = keys();
    let token = issue_token(&keys, Role::Admin, 7, None, 60, NOW).unwrap();
    let session = keys.manager(Some(&token), FROM, NOW).unwrap();
    assert_eq!((session.manager_id(), session.role(), session.brand()), (ManagerId(7), Role::Admin, None));
    keys.replace(vec![key("old", b'o')]).unwrap();
    let refusal = keys.manager(Some(&token), FROM, NOW).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Unauthorized);
    let read = parse_keys(&format!("# made today\n\nnew: {}\n old:{}\n", "6e".repeat(32), "6F".repeat(32))).unwrap();
    keys.replace(read).unwrap();
    assert!(keys.manager(Some(&token), FROM, NOW).is_ok());
    let scoped = format!("kid:dealer:{}", "6e".repeat(32));
    for wrong in ["CANARY", "kid:CANARY", ":6", "kid 6e", "kid:customer:CANARY", &scoped] {
        let refused = parse_keys(wrong).err().unwrap().to_string();
        assert_eq!(
            refused, "line 1: a session key is a line of kid:hex, kid:customer:hex or kid:manager:hex",
            "{wrong}"
        );
    }
    let refused = [
        parse_keys(&format!("kid:{}", "6e".repeat(31))).err(),
        SessionKey::new("a", &[1; 31]).err(),
        keys.replace(Vec::new()).err(),
        keys.replace(vec![key("a", 1), key("a", 2)]).err(),
        keys.replace((0..9).map(|n| key(&n.to_string(), n)).collect()).err(),
    ];
    let sentences = [
        "line 1, key kid: a session key needs at least 32 bytes",
        "a session key needs at least 32 bytes",
        "at least one session key is needed",
        "two session keys have the same id",
        "at most 8 session keys are valid at once",
    ];
    assert_eq!(refused.map(|fault| fault.unwrap().to_string()), sentences);
}

#[test]
fn i11_what_is_wrong_with_a_key_file_is_said_with_its_line_and_id_and_without_a_key() {
    let good = format!("a:{}", "6e".repeat(32));
    let (short, secret) = ("6e".repeat(31), "5c".repeat(32));
    let table = [
        (format!("# keys\n\n{good}\nb {secret}"), "line 4: a session key is a line"),
        (format!("{good}\r\nb:{short}"), "line 2, key b: a session key needs at least 32 bytes"),
        (format!("{good}\n# again\n{good}"), "line 3, key a: an earlier line has the same id"),
        (format!("{good}\n{secret}:{short}"), "line 2: a session key needs at least 32 bytes"),
    ];
    for (text, expected) in table {
        let refused = parse_keys(&text).err().unwrap().to_string();
        assert!(refused.starts_with(expected), "{refused}");
        assert!(!refused.contains("6e6e") && !refused.contains("5c5c"), "{refused}");
    }
}

/// The customer 5 that a token with these claims is, with keys of these rules.
fn claimed(rules: SessionRules, claims: &str) -> Option<u64> {
    let keys = keys().with_rules(rules);
    let token = signed(r#"{"alg":"HS256"}"#, claims, b'n');
    keys.customer(Some(&token), FROM, NOW).ok().map(|session| session.customer_id().0)
}

#[test]
fn k4_a_token_lives_no_longer_than_the_settings_allow() {
    let rules = |lifetime_max| SessionRules { lifetime_max, ..SessionRules::default() };
    let table = [
        (SessionRules::LIFETIME_MAX, r#""exp":1000000000000000000"#, false),
        (SessionRules::LIFETIME_MAX, r#""exp":9223372036854775807"#, false),
        (SessionRules::LIFETIME_MAX, r#""exp":1e400"#, false),
        (SessionRules::LIFETIME_MAX, r#""exp":99999999999999999999999999"#, false),
        (SessionRules::LIFETIME_MAX, r#""exp":1810892400"#, true),
        (SessionRules::LIFETIME_MAX, r#""exp":1810892401"#, false),
        (3600, r#""exp":1779273600"#, true),
        (3600, r#""exp":1779273601"#, false),
        // Judged by what the issuer says it is, where it does.
        (3600, r#""exp":1779270010,"iat":1779266410"#, true),
        (3600, r#""exp":1779270010,"iat":1779266409"#, false),
        (3600, r#""exp":1779270010,"iat":0"#, false),
        (3600, r#""exp":1779270010,"iat":-9223372036854775808"#, false),
        (3600, r#""exp":1779270010,"iat":-1e400"#, false),
        // One that says it was issued later cannot live longer than the skew adds.
        (3600, r#""exp":1779273630,"iat":1779270030"#, true),
    ];
    for (lifetime, times, valid) in table {
        let claims = format!(r#"{{"id":5,"role":9,{times}}}"#);
        assert_eq!(claimed(rules(lifetime), &claims), valid.then_some(5), "{lifetime}: {times}");
    }
}

#[test]
fn k4_an_empty_brand_is_refused_and_a_missing_one_where_the_settings_ask_for_it() {
    let table = [
        (r#""brand":"ion4""#, true, true),
        (r#""brand":"""#, false, false),
        (r#""brand":" ""#, false, false),
        (r#""brand":null"#, false, false),
        (r#""brand":["ion4"]"#, false, false),
        (r#""bramd":"ion4""#, true, false),
        (r#""Brand":"ion4""#, true, false),
        (r#""x":1"#, true, false),
        // A customer has no other brand than its own.
        (r#""every_brand":true"#, true, false),
    ];
    for (brand, valid, valid_where_required) in table {
        let claims = format!(r#"{{"id":5,"role":9,"exp":1779273600,{brand}}}"#);
        assert_eq!(claimed(SessionRules::default(), &claims), valid.then_some(5), "{brand}");
        let required = SessionRules { brand_required: true, ..SessionRules::default() };
        assert_eq!(claimed(required, &claims), valid_where_required.then_some(5), "{brand}, required");
    }
    let keys = keys().with_rules(SessionRules { brand_required: true, ..SessionRules::default() });
    let refused = |brand| issue_token(&keys, Role::Customer, 5, brand, 60, NOW).unwrap_err().what;
    assert_eq!(refused(None), "require_brand_claim is set: a token needs a brand");
    assert_eq!(refused(Some("")), "a token's brand cannot be empty");
}

#[test]
fn n8_a_manager_token_says_on_purpose_that_it_is_of_every_brand() {
    let keys = keys().with_rules(SessionRules { brand_required: true, ..SessionRules::default() });
    let issued = |role, brand, every_brand| {
        keys.issue(NewToken { role, id: 7, brand, every_brand, break_glass: false, ttl_seconds: 60, jti: None }, NOW)
    };
    let brand_of = |token: &str| {
        let session = keys.manager(Some(token), FROM, NOW);
        session.ok().map(|session| session.brand().map(str::to_owned))
    };
    assert_eq!(brand_of(&issued(Role::Admin, None, true).unwrap()), Some(None));
    assert_eq!(
        brand_of(&issued(Role::Admin, Some("ion4"), true).unwrap()),
        Some(Some("ion4".into())),
        "a brand limits"
    );
    for (role, every_brand) in [(Role::Admin, false), (Role::Customer, true)] {
        assert!(issued(role, None, every_brand).unwrap_err().what.contains("require_brand_claim"));
    }
}

#[test]
fn k5_a_time_with_a_fraction_or_an_exponent_is_valid() {
    let table = [
        (r#""exp":1779273600.25"#, true),
        (r#""exp":1.7792736e9"#, true),
        (r#""exp":1779270001.0"#, true),
        // A part of a second is cut off: it ends no later than it says.
        (r#""exp":1779270000.999"#, false),
        (r#""exp":1779273600,"nbf":1779270029.5"#, true),
        (r#""exp":1779273600,"nbf":1779270030.5"#, false),
        (r#""exp":1779273600.5,"iat":1779270000.75"#, true),
        (r#""exp":"1779273600.25""#, false),
        (r#""exp":1779273600,"iat":"yesterday""#, false),
    ];
    for (times, valid) in table {
        let claims = format!(r#"{{"id":5,"role":9,{times}}}"#);
        assert_eq!(claimed(SessionRules::default(), &claims), valid.then_some(5), "{times}");
    }
}

#[test]
fn issuer_and_audience_are_checked_where_the_settings_name_them() {
    let names = |names: &[&str]| names.iter().map(|name| Box::from(*name)).collect::<Vec<Box<str>>>();
    let both = || SessionRules {
        issuers: names(&["https://id.example", "https://old.example"]),
        audiences: names(&["cashier"]),
        ..SessionRules::default()
    };
    let table = [
        (r#""iss":"https://id.example","aud":"cashier""#, true),
        (r#""iss":"https://old.example","aud":["shop","cashier"]"#, true),
        (r#""iss":"https://id.example/","aud":"cashier""#, false),
        (r#""iss":"https://id.example","aud":"shop""#, false),
        (r#""iss":"https://id.example","aud":[]"#, false),
        (r#""iss":"https://id.example""#, false),
        (r#""aud":"cashier""#, false),
        (r#""iss":null,"aud":"cashier""#, false),
        (r#""iss":["https://id.example"],"aud":"cashier""#, false),
    ];
    for (stated, valid) in table {
        let claims = format!(r#"{{"id":5,"role":9,"exp":1779273600,{stated}}}"#);
        assert_eq!(claimed(both(), &claims), valid.then_some(5), "{stated}");
    }
    assert_eq!(claimed(SessionRules::default(), r#"{"id":5,"role":9,"exp":1779273600,"iss":"x","aud":"y"}"#), Some(5));
    let keys = keys().with_rules(both());
    let issued = issue_token(&keys, Role::Customer, 5, None, 60, NOW).unwrap();
    keys.customer(Some(&issued), FROM, NOW).unwrap();
}

#[test]
fn a_key_signs_for_those_it_names_alone() {
    let hex = |byte: u8| hex::encode([byte; 32]);
    let text = format!("web:customer:{}\noffice: manager :{}\n", hex(b'w'), hex(b'o'));
    let keys = SessionKeys::parse(&text).unwrap();
    let customer = issue_token(&keys, Role::Customer, 5, None, 60, NOW).unwrap();
    let manager = issue_token(&keys, Role::Dealer, 7, None, 60, NOW).unwrap();
    assert_eq!(keys.customer(Some(&customer), FROM, NOW).unwrap().customer_id(), CustomerId(5));
    assert_eq!(keys.manager(Some(&manager), FROM, NOW).unwrap().role(), Role::Dealer);
    for header in [r#"{"alg":"HS256"}"#, r#"{"alg":"HS256","kid":"web"}"#] {
        for role in [0, 1, 2, 3, 4, 5, 10, 11] {
            let forged = signed(header, &format!(r#"{{"id":7,"role":{role},"exp":1779270060}}"#), b'w');
            assert!(keys.manager(Some(&forged), FROM, NOW).is_err(), "{header} role {role}");
        }
    }
    let forged = signed(r#"{"alg":"HS256","kid":"office"}"#, r#"{"id":5,"role":9,"exp":1779270060}"#, b'o');
    assert!(keys.customer(Some(&forged), FROM, NOW).is_err());
    let web = SessionKeys::parse(&format!("web:customer:{}", hex(b'w'))).unwrap();
    let refused = issue_token(&web, Role::Admin, 7, None, 60, NOW).unwrap_err().what;
    assert_eq!(refused, "no session key may sign for a manager");
}

#[test]
fn k4_no_token_is_made_that_would_be_refused() {
    let keys = keys().with_rules(SessionRules { lifetime_max: 60, ..SessionRules::default() });
    let refused = issue_token(&keys, Role::Customer, 5, None, 61, NOW).unwrap_err().what;
    assert_eq!(refused, "a token lives for at most 60 s, which session_lifetime_max says");
    let issued = issue_token(&keys, Role::Customer, 5, None, 60, NOW).unwrap();
    keys.customer(Some(&issued), FROM, NOW).unwrap();
}

#[test]
fn a_token_that_breaks_glass_lives_for_a_minute_and_says_so_under_a_secret_of_the_host() {
    let issued = |break_glass, ttl_seconds| {
        let new =
            NewToken { role: Role::Admin, id: 7, brand: None, every_brand: true, break_glass, ttl_seconds, jti: None };
        keys().issue(new, NOW).unwrap()
    };
    let breaks = |token: &str| keys().manager(Some(token), FROM, NOW).ok().map(|session| session.breaks_glass());
    assert_eq!(breaks(&issued(true, BREAK_GLASS_SECONDS_MAX)), Some(true));
    assert_eq!(breaks(&issued(true, BREAK_GLASS_SECONDS_MAX + 1)), None);
    assert_eq!(breaks(&issued(false, 3600)), Some(false));
}
