//! Tokens of other issuers: verified under their own key and algorithm alone, whatever a token claims to be.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cashier_core::ids::CustomerId;
use cashier_core::session::Role;
use cashier_core::time::UnixTime;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::json;

use super::*;
use crate::http::session::{SessionKey, SessionKeys};

const NOW: UnixTime = UnixTime(1_779_270_000);
const FROM: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const CUSTOMER: &str = r#"{"id":5,"role":9,"exp":1779273600}"#;
const MANAGER: &str = r#"{"id":7,"role":1,"exp":1779273600}"#;

/// PKCS #1, of 2048 bits; made for these tests.
const RSA_KEY: [&str; 15] = [
    "MIIEpQIBAAKCAQEA+XRk+kdJ9LYRnoW8xq7shzi6obZFjrvWTOq0K1E+cibA+8diDWIvuBvRQp7M15UEqcIDn6kkCOoLSPJuZrKIsAUuvw+5SL",
    "uuIQDCubMwLBI2EMEZt2u39YsmthhFRJ63YUOp8Cw6sZsyvJ0BGbccNrbPl1VmlbtnkVuJ0FI40/o7eKEkVDAQDOcvp0o83LIGx96Svj3Xn4q0",
    "F22JXqXz7ONbcICyxJ5MFTVsNvraiLdfuVbbhQq2lTpOoNJLzM55ziYpv9Qv9GlG3r45aGLDPpXSOYV/UjWAhoBBEcRo7ZcOd+rF7MmL/gbD9K",
    "lnDiMULRP9VPA7tUbGERmgVFGvewIDAQABAoIBAFlXCdknEgId+PZ0wFTKDjUpqJHFFWlWtZwLjOZcrQg1//TMhj3z1dJSyCHbfNKS8L4ZmbGj",
    "Yp/8rnj8NnT6aQDdgk30RDAb43O3cYYPeme2R/29IsgxwIskwIMD8z7ttxCTKrg1Jvo38rZhZqT+kxC3bWauM9TZbvC8v4FICUlFRudW00eTes",
    "iMsGnWalahVLvLhcwuJT2X9H8ir7UoSoVWqjZusyCf5ziDPOemWAshZJgsdnO+CRiziQI3VrrfZbtCK3VFR1PMI54Imn7EtWhK0hQY6H8oszLw",
    "51vMOp53wfWMqrJAn6dQFdL13zvUsW60mRq+d0Gv1BtCHd7MkXkCgYEA/QFbz3Xmw2u4ZyVQlqDmcFwkOfenu/yoB69hbHPYN9sEpXzwNsSone",
    "ZEY6n6tWwdoGk6E0kTfi8DFVCmPxWVTYiUcvcxz8VvR3XuqyDBXXHPRR+To2IxHigb/1ARHub72V/+kYkQP6XydMNhv8WSNLTolsDZj7QYYQJP",
    "qEGj1GMCgYEA/GhG4QW3mg6W8ESxBjJrQoNZbtlV+gCd4gz+tzI7ivXXwc/CF+/Zlgf0mdCX0D2KOXPXtpRLf88rvJc1w0cSgzKWP7bgF02adG",
    "Tz6da1rVDqO/zwKuQ4H1bTnMs7Yrutd1wuiZKobosMxAl6iuxnZC326HsP4eNh/06PD0zNaAkCgYEAtDQ+h3LLrY9RJa5vSwpJd+g5KUybHQtl",
    "RywEsTGF5KrMEW7+zZOfIfA779zHJGdgZrvsUIYxKyQjBxCNiMs/r5zDV2t4ACv5CaYXG65V68+/ONW325x5ragV4PDPcPpGkdqMwG4ms57oJY",
    "BwZB499+qO66lqjK9S2e3CfO5b2U8CgYEAtXQZkGdVyJC4fd5EDRpt9ZEL2B6yKloLJpkE/JpGJ+34v8Il3KN3Ht51P6avnOrA1fCroPwXErjS",
    "zm8+HTaY3mydiwxjKR2G7iotF2xdi01iNuHtnkgW+KCo3E1WUfJuECLa6dfe8ilQchYGXJz67xAEMrlVf6TBrJLDUdJ60FECgYEAhnFTaif4qB",
    "90MQ/fSgl9qyYikbC9DqEAerZp/hc0YO/8PfCc3o6WHU4ebs4fAa5Qo3shiXqYWPeQKfFvgrYyidSTkmvcointvlQX38DffdK4Naoo8G+wH043",
    "V+HKaqV3M4Q6zklLB2d7l9XRQpyVPXz2xJPHibC75sWdlVIdVNc=",
];

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// An issuer with a key of each kind.
struct Issuer {
    ed: Ed25519KeyPair,
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    random: SystemRandom,
}

impl Issuer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let ec = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self {
            ed: Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap(),
            rsa: RsaKeyPair::from_der(&STANDARD.decode(RSA_KEY.concat()).unwrap()).unwrap(),
            ec: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, ec.as_ref(), &random).unwrap(),
            random,
        }
    }

    fn jwk(&self, alg: &str) -> Value {
        match alg {
            "EdDSA" => json!({"kty": "OKP", "crv": "Ed25519", "kid": alg, "x": encode(self.ed.public_key())}),
            "RS256" => {
                let RsaPublicKeyComponents::<Vec<u8>> { n, e } = self.rsa.public().into();
                json!({"kty": "RSA", "kid": alg, "n": encode(n), "e": encode(e), "use": "sig", "alg": "RS256"})
            }
            "ES256" => {
                let (x, y) = self.ec.public_key().as_ref().split_at(33);
                json!({"kty": "EC", "crv": "P-256", "kid": alg, "x": encode(&x[1..]), "y": encode(y)})
            }
            other => json!({"kty": other}),
        }
    }

    fn sign(&self, alg: &str, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = match alg {
            "EdDSA" => self.ed.sign(message.as_bytes()).as_ref().to_vec(),
            "RS256" => {
                let mut signature = vec![0; self.rsa.public().modulus_len()];
                self.rsa.sign(&RSA_PKCS1_SHA256, &self.random, message.as_bytes(), &mut signature).unwrap();
                signature
            }
            _ => self.ec.sign(&self.random, message.as_bytes()).unwrap().as_ref().to_vec(),
        };
        format!("{message}.{}", encode(signature))
    }

    /// A token of its usual form.
    fn token(&self, alg: &str, claims: &str) -> String {
        self.sign(alg, &format!(r#"{{"alg":"{alg}","kid":"{alg}","typ":"JWT"}}"#), claims)
    }
}

fn keys(jwks: &[Value]) -> SessionKeys {
    let keys = SessionKeys::new(vec![SessionKey::new("s", &[b's'; 32]).unwrap()]).unwrap();
    keys.public.store(Arc::new(parse_jwks(&json!({"keys": jwks}).to_string()).unwrap()));
    keys
}

fn customer(keys: &SessionKeys, token: &str) -> Option<CustomerId> {
    keys.customer(Some(token), FROM, NOW).ok().map(|session| session.customer_id())
}

const ALGORITHMS: [&str; 3] = ["EdDSA", "RS256", "ES256"];

#[test]
fn k3_a_token_is_verified_under_the_public_key_of_its_kid_and_algorithm_alone() {
    let (issuer, other) =
        (Issuer::new(), Issuer { ed: Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap(), ..Issuer::new() });
    let keys = keys(&ALGORITHMS.map(|alg| issuer.jwk(alg)));
    for alg in ALGORITHMS {
        let token = issuer.token(alg, CUSTOMER);
        assert_eq!(customer(&keys, &token), Some(CustomerId(5)), "{alg}");
        assert_eq!(customer(&keys, &issuer.token(alg, MANAGER)), None, "{alg}");
        assert_eq!(keys.manager(Some(&issuer.token(alg, MANAGER)), FROM, NOW).unwrap().role(), Role::Manager);
        let expired = CUSTOMER.replace("1779273600", "1779270000");
        assert_eq!(customer(&keys, &issuer.token(alg, &expired)), None, "{alg}: the clock that is handed in decides");
        for (claims, valid) in [("1779273600.25", true), ("1000000000000000000", false), ("\"1779273600\"", false)] {
            let token = issuer.token(alg, &CUSTOMER.replace("1779273600", claims));
            assert_eq!(customer(&keys, &token), valid.then_some(CustomerId(5)), "{alg} {claims}");
        }
        let wrong_key = if alg == "RS256" { "ES256" } else { "RS256" };
        for header in [
            format!(r#"{{"alg":"{alg}"}}"#),
            format!(r#"{{"alg":"{alg}","kid":"absent"}}"#),
            format!(r#"{{"alg":"{alg}","kid":"{wrong_key}"}}"#),
            format!(r#"{{"alg":"{wrong_key}","kid":"{alg}"}}"#),
            format!(r#"{{"alg":"none","kid":"{alg}"}}"#),
            format!(r#"{{"alg":"HS256","kid":"{alg}"}}"#),
            r#"{"alg":"HS256"}"#.to_owned(),
            format!(r#"{{"alg":"{alg}","kid":"{alg}","crit":["exp"],"exp":1}}"#),
            format!(r#"{{"alg":"none","alg":"{alg}","kid":"{alg}"}}"#),
        ] {
            assert_eq!(customer(&keys, &issuer.sign(alg, &header, CUSTOMER)), None, "{alg} {header}");
        }
        let (message, signature) = token.rsplit_once('.').unwrap();
        for wrong in [format!("{message}."), format!("{message}.{}", &signature[..8]), format!("{token}.")] {
            assert_eq!(customer(&keys, &wrong), None, "{alg}");
        }
    }
    assert_eq!(customer(&keys, &other.token("EdDSA", CUSTOMER)), None);
    assert_eq!(customer(&keys, &other.token("ES256", CUSTOMER)), None);
}

#[test]
fn another_issuer_says_nothing_about_who_owns_this_host() {
    let issuer = Issuer::new();
    let keys = keys(&ALGORITHMS.map(|alg| issuer.jwk(alg)));
    for alg in ALGORITHMS {
        let claims = MANAGER.replacen('{', r#"{"break_glass":true,"#, 1);
        let session = keys.manager(Some(&issuer.token(alg, &claims)), FROM, NOW).unwrap();
        assert!(!session.breaks_glass(), "{alg}");
    }
}

#[test]
fn a_public_key_is_never_a_secret() {
    let issuer = Issuer::new();
    let keys = keys(&ALGORITHMS.map(|alg| issuer.jwk(alg)));
    let public: Vec<Vec<u8>> = ALGORITHMS
        .iter()
        .flat_map(|alg| {
            let jwk = issuer.jwk(alg);
            let texts = ["x", "y", "n", "e"].into_iter().filter_map(|member| jwk[member].as_str().map(str::to_owned));
            texts.flat_map(|text| [URL_SAFE_NO_PAD.decode(&text).unwrap(), text.into_bytes()]).collect::<Vec<_>>()
        })
        .filter(|secret| secret.len() >= 32)
        .collect();
    assert!(public.len() > 5);
    for (secret, alg) in public.iter().flat_map(|secret| ALGORITHMS.map(|alg| (secret, alg))) {
        for header in [format!(r#"{{"alg":"HS256","kid":"{alg}"}}"#), r#"{"alg":"HS256"}"#.to_owned()] {
            let message = format!("{}.{}", encode(header), encode(CUSTOMER));
            let mac = SessionKey::new("", secret).unwrap().mac(&message).unwrap();
            let signature = encode(hmac::Mac::finalize(mac).into_bytes());
            assert_eq!(customer(&keys, &format!("{message}.{signature}")), None, "{alg}");
        }
    }
}

#[test]
fn a_key_of_a_set_may_say_whose_tokens_it_signs() {
    let issuer = Issuer::new();
    for (signs, customers, managers) in [("customer", true, false), ("manager", false, true)] {
        let mut jwk = issuer.jwk("EdDSA");
        jwk["signs"] = signs.into();
        let keys = keys(&[jwk]);
        assert_eq!(customer(&keys, &issuer.token("EdDSA", CUSTOMER)).is_some(), customers, "{signs}");
        assert_eq!(keys.manager(Some(&issuer.token("EdDSA", MANAGER)), FROM, NOW).is_ok(), managers, "{signs}");
    }
}

#[test]
fn a_set_with_a_wrong_key_is_refused_by_its_kid_and_keys_for_other_uses_are_left_out() {
    let issuer = Issuer::new();
    let with = |alg: &str, member: &str, value: Value| {
        let mut jwk = issuer.jwk(alg);
        jwk[member] = value;
        jwk
    };
    let without = |alg: &str, member: &str| {
        let mut jwk = issuer.jwk(alg);
        jwk.as_object_mut().unwrap().remove(member);
        jwk
    };
    let modulus = |bits: usize| encode([vec![0; 3], vec![0xff; bits / 8]].concat());
    let refused = [
        (without("EdDSA", "kid"), "key number 1 has no kid"),
        (with("EdDSA", "kid", "".into()), "key number 1 has no kid"),
        (with("EdDSA", "d", "AA".into()), "key \"EdDSA\" is secret"),
        (json!({"kty": "oct", "kid": "o", "k": encode([1; 32])}), "key \"o\" is secret"),
        (json!({"kty": "oct", "kid": "o"}), "key \"o\" is secret"),
        (with("RS256", "k", encode([1; 32]).into()), "key \"RS256\" is secret"),
        (with("RS256", "alg", "HS256".into()), "key \"RS256\" has an alg for secrets"),
        (with("RS256", "alg", "ES256".into()), "key \"RS256\" has an alg that does not fit its type"),
        (with("ES256", "alg", "EdDSA".into()), "key \"ES256\" has an alg that does not fit its type"),
        (with("RS256", "n", modulus(1024).into()), "key \"RS256\" has 1024 bits: an RSA key needs 2048 to 8192"),
        (with("RS256", "n", modulus(2040).into()), "key \"RS256\" has 2040 bits"),
        (with("RS256", "n", modulus(8200).into()), "key \"RS256\" has 8200 bits"),
        (with("RS256", "n", "".into()), "key \"RS256\" has 0 bits"),
        (with("RS256", "n", "!".into()), "key \"RS256\" cannot be read"),
        (with("EdDSA", "x", encode([1; 31]).into()), "key \"EdDSA\" has coordinates of another length"),
        (with("ES256", "y", encode([1; 33]).into()), "key \"ES256\" has coordinates of another length"),
        (with("EdDSA", "signs", "dealer".into()), "key \"EdDSA\" may sign for \"customer\" or \"manager\""),
        (json!("EdDSA"), "key number 1 is no JWK"),
    ];
    for (jwk, expected) in refused {
        let text = json!({"keys": [jwk]}).to_string();
        let fault = parse_jwks(&text).err().map(|fault| fault.what).unwrap_or_default();
        assert!(fault.starts_with(expected), "{text}: {fault}");
    }
    let twice = json!({"keys": [issuer.jwk("EdDSA"), with("RS256", "kid", "EdDSA".into())]}).to_string();
    assert_eq!(parse_jwks(&twice).err().unwrap().what, "two session keys have the same id");
    for wrong in ["[]", "{}", "kid:00", r#"{"keys":{}}"#] {
        assert!(parse_jwks(wrong).err().unwrap().what.starts_with("it is no JWK set"), "{wrong}");
    }
    let left_out = [
        with("RS256", "use", "enc".into()),
        with("EdDSA", "key_ops", json!(["sign"])),
        with("RS256", "alg", "PS256".into()),
        with("RS256", "alg", "RSA-OAEP".into()),
        with("EdDSA", "crv", "X25519".into()),
        with("ES256", "crv", "P-384".into()),
        json!({"kty": "AKP", "kid": "m", "alg": "ML-DSA-44", "pub": "AA"}),
    ];
    for jwk in left_out {
        let text = json!({"keys": [jwk, issuer.jwk("ES256")]}).to_string();
        let taken: Vec<Box<str>> = parse_jwks(&text).map(|keys| keys.into_iter().map(|key| key.kid).collect()).unwrap();
        assert_eq!(taken, ["ES256".into()], "{text}");
    }
    assert!(parse_jwks(" \n").unwrap().is_empty());
}

#[test]
fn k3_ed25519_has_two_names_and_either_stands_for_the_other() {
    let issuer = Issuer::new();
    for stated in [None, Some("EdDSA"), Some("Ed25519")] {
        let mut jwk = issuer.jwk("EdDSA");
        stated.into_iter().for_each(|stated| jwk["alg"] = stated.into());
        let keys = keys(&[jwk, issuer.jwk("ES256")]);
        for alg in ["EdDSA", "Ed25519"] {
            let signed = |claims| issuer.sign("EdDSA", &format!(r#"{{"alg":"{alg}","kid":"EdDSA"}}"#), claims);
            assert_eq!(customer(&keys, &signed(CUSTOMER)), Some(CustomerId(5)), "{stated:?} {alg}");
            assert_eq!(customer(&keys, &signed("{}")), None, "{stated:?} {alg}");
        }
        let foreign = issuer.sign("ES256", r#"{"alg":"Ed25519","kid":"ES256"}"#, CUSTOMER);
        assert_eq!(customer(&keys, &foreign), None, "a key has the algorithm of its type");
    }
}

#[test]
fn k3_a_set_of_which_nothing_can_be_used_is_refused_by_name_and_is_no_empty_set() {
    let issuer = Issuer::new();
    let mut of_another_use = issuer.jwk("RS256");
    of_another_use["use"] = "enc".into();
    let unknown = json!({"kty": "AKP", "kid": "m", "alg": "ML-DSA-44", "pub": "AA"});
    let set = json!({"keys": [of_another_use, unknown]}).to_string();
    let expected = "no key of the set can be used: key \"RS256\" is not for signatures; key \"m\" has an algorithm that is \
                    not supported";
    assert_eq!(parse_jwks(&set).err().unwrap().what, expected);
    assert!(parse_jwks(r#"{"keys":[]}"#).unwrap().is_empty());
}

#[test]
fn k3_what_is_wrong_with_a_set_is_said_without_its_content() {
    for set in [r#"{"keys":"CANARY"}"#, r#""CANARY""#, r#"{"CANARY"}"#, r#"{"keys":[],"CANARY":1e}"#, "CANARY"] {
        let said = parse_jwks(set).err().unwrap().what;
        assert!(said.contains("(line 1, column ") && !said.contains("CANARY"), "{set}: {said}");
    }
}
