//! Valid, forged, foreign, early and expired tokens, and keys that are added and removed.

use super::*;

const NOW: UnixTime = UnixTime(1_779_270_000);

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
    keys().customer(Some(token), NOW).ok().map(|session| session.customer_id().0)
}

#[test]
fn an_issued_token_is_valid_until_it_expires_with_and_without_the_scheme() {
    let keys = keys();
    let token = issue_token(&keys, Role::Customer, 5, Some("ion4"), 3600, NOW).unwrap();
    for form in [token.clone(), format!("Bearer {token}"), format!("bearer  {token} ")] {
        let session = keys.customer(Some(&form), NOW).unwrap();
        assert_eq!((session.customer_id(), session.brand()), (CustomerId(5), Some("ion4")));
    }
    assert!(keys.customer(Some(&token), NOW.plus(3599)).is_ok());
    assert!(keys.customer(Some(&token), NOW.plus(3600)).is_err());
    let refusal = keys.customer(None, NOW).unwrap_err();
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
    let session = keys.manager(Some(&token), NOW).unwrap();
    assert_eq!((session.manager_id(), session.role(), session.brand()), (ManagerId(7), Role::Admin, None));
    keys.replace(vec![key("old", b'o')]).unwrap();
    let refusal = keys.manager(Some(&token), NOW).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Unauthorized);
    let read = parse_keys(&format!("# made today\n\nnew: {}\n old:{}\n", "6e".repeat(32), "6F".repeat(32))).unwrap();
    keys.replace(read).unwrap();
    assert!(keys.manager(Some(&token), NOW).is_ok());
    for wrong in ["CANARY", "kid:CANARY", ":6", "kid 6e"] {
        let refused = parse_keys(wrong).err().unwrap().to_string();
        assert_eq!(refused, "a session key is a line of kid:hex", "{wrong}");
    }
    let refused = [
        parse_keys(&format!("kid:{}", "6e".repeat(31))).err(),
        SessionKey::new("a", &[1; 31]).err(),
        keys.replace(Vec::new()).err(),
        keys.replace(vec![key("a", 1), key("a", 2)]).err(),
        keys.replace((0..9).map(|n| key(&n.to_string(), n)).collect()).err(),
    ];
    let sentences = [
        "a session key needs at least 32 bytes",
        "a session key needs at least 32 bytes",
        "at least one session key is needed",
        "two session keys have the same id",
        "at most 8 session keys are valid at once",
    ];
    assert_eq!(refused.map(|fault| fault.unwrap().to_string()), sentences);
}
