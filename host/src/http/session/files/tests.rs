//! Keys and revoked tokens that come and go while the server runs, by looks at their files.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use cashier_core::session::Role;
use cashier_core::time::UnixTime;

use super::*;
use crate::http::session::keys::Signs;
use crate::http::session::{NewToken, issue_token};

const NOW: UnixTime = UnixTime(1_779_270_000);

/// A folder with a key file, followed by hand.
struct Site {
    folder: tempfile::TempDir,
    keys: Arc<SessionKeys>,
    files: KeyFiles,
}

fn line(kid: &str, byte: &str) -> String {
    format!("{kid}:{}\n", byte.repeat(32))
}

fn sources(folder: &Path) -> KeySources {
    let named = |name: &str| Some(folder.join(name)).filter(|path| path.exists());
    KeySources {
        secrets: Zeroizing::default(),
        secrets_file: Some(folder.join("session.key")),
        jwks_file: named("keys.json"),
        revoked_file: named("revoked"),
        rules: SessionRules::default(),
        strict: false,
    }
}

impl Site {
    fn open(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let (keys, files) = open(sources(folder.path())).unwrap();
        Self { folder, keys, files }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn look(&mut self) {
        self.files.0.iter_mut().for_each(FollowedFile::look);
    }

    fn token(&self, jti: &str) -> String {
        let new = NewToken {
            role: Role::Customer,
            id: 5,
            brand: None,
            every_brand: false,
            break_glass: false,
            ttl_seconds: 60,
            jti: Some(jti),
        };
        self.keys.issue(new, NOW).unwrap()
    }

    fn is_valid(&self, token: &str) -> bool {
        self.keys.customer(Some(token), IpAddr::V4(Ipv4Addr::LOCALHOST), NOW).is_ok()
    }

    /// The one problem that is listed, without the path.
    fn problem(&self) -> String {
        let problems = self.keys.problems();
        assert!(problems.len() < 2, "{problems:?}");
        problems.first().map(|line| line.replace(&*self.folder.path().to_string_lossy(), "")).unwrap_or_default()
    }
}

#[test]
fn k3_a_key_file_that_is_empty_at_two_looks_ends_every_token() {
    for empty in ["", " \n\n", "# no keys\n", "\u{feff}"] {
        let mut site = Site::open(&[("session.key", &line("1", "01"))]);
        let token = site.token("a");
        site.write("session.key", empty);
        site.look();
        assert!(site.is_valid(&token), "one look: it may be being written");
        site.write("session.key", &line("1", "01"));
        site.look();
        site.write("session.key", empty);
        site.look();
        assert!(site.is_valid(&token), "two looks that do not follow each other");
        site.look();
        assert!(!site.is_valid(&token), "{empty:?}");
        assert_eq!(
            site.problem(),
            "session_keys_file = /session.key has no keys: every token under its keys has ended"
        );
        site.look();
        site.write("session.key", &line("1", "01"));
        site.look();
        assert!(site.is_valid(&token) && site.problem().is_empty(), "its keys are back");
    }
}

#[test]
fn k3_a_key_file_that_is_missing_or_unreadable_or_broken_keeps_its_keys_and_is_listed() {
    let mut site = Site::open(&[("session.key", &line("1", "01"))]);
    let token = site.token("a");
    let path = site.folder.path().join("session.key");
    let kept = |site: &mut Site, problem: &str| {
        for _ in 0..3 {
            site.look();
            assert!(site.is_valid(&token));
            assert!(site.problem().contains(problem), "{}", site.problem());
            assert!(site.problem().ends_with("; what it held before stays valid"), "{}", site.problem());
        }
    };
    std::fs::remove_file(&path).unwrap();
    kept(&mut site, "session_keys_file = /session.key cannot be read");
    std::fs::create_dir(&path).unwrap();
    kept(&mut site, "it is not a file");
    std::fs::remove_dir(&path).unwrap();
    site.write("session.key", "CANARY");
    kept(&mut site, "was refused: line 1: a session key is a line of kid:hex");
    std::fs::write(&path, [0xff, 0xfe, 0x31]).unwrap();
    kept(&mut site, "UTF-16");
    std::fs::write(&path, vec![b'#'; 300 * 1024]).unwrap();
    kept(&mut site, "is over");
    std::fs::remove_file(&path).unwrap();
    site.look();
    site.write("session.key", &line("1", "01"));
    site.look();
    assert!(site.is_valid(&token) && site.problem().is_empty(), "it is back as it was");
    site.write("session.key", &line("2", "02"));
    site.look();
    site.look();
    assert!(!site.is_valid(&token), "a removed line ends its tokens");
}

#[cfg(unix)]
#[test]
fn k3_a_link_is_followed_to_what_it_leads_to_now_as_containers_change_mounted_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let (data, next) = (folder.path().join("..data"), folder.path().join("..next"));
    for (version, byte) in [("..1", "01"), ("..2", "02")] {
        std::fs::create_dir(folder.path().join(version)).unwrap();
        std::fs::write(folder.path().join(version).join("session.key"), line("1", byte)).unwrap();
    }
    std::os::unix::fs::symlink("..1", &data).unwrap();
    std::os::unix::fs::symlink("..data/session.key", folder.path().join("session.key")).unwrap();
    let (keys, files) = open(sources(folder.path())).unwrap();
    let mut site = Site { folder, keys, files };
    let token = site.token("a");
    site.look();
    assert!(site.is_valid(&token));
    std::os::unix::fs::symlink("..2", &next).unwrap();
    std::fs::rename(&next, &data).unwrap();
    site.look();
    site.look();
    assert!(!site.is_valid(&token) && site.problem().is_empty());
}

#[test]
fn a_line_that_is_added_makes_a_key_valid_and_a_new_first_line_signs() {
    let mut site = Site::open(&[("session.key", &line("old", "01"))]);
    let before = site.token("a");
    site.write("session.key", &format!("{}{}", line("new", "02"), line("old", "01")));
    site.look();
    let after = site.token("a");
    assert!(before != after && site.is_valid(&before) && site.is_valid(&after));
    site.write("session.key", &line("new", "02"));
    site.look();
    assert!(site.is_valid(&before), "one look: it may be being written");
    site.look();
    assert!(!site.is_valid(&before) && site.is_valid(&after));
}

#[test]
fn a_revoked_token_is_refused_while_its_jti_is_listed() {
    let key = line("1", "01");
    let mut site = Site::open(&[("session.key", &key), ("revoked", "# none yet\n")]);
    let (first, second) = (site.token("4f"), site.token("50"));
    let without = issue_token(&site.keys, Role::Customer, 5, None, 60, NOW).unwrap();
    site.write("revoked", "# lost phone\r\n 4f \r\n");
    site.look();
    assert!(!site.is_valid(&first) && site.is_valid(&second) && site.is_valid(&without));
    std::fs::remove_file(site.folder.path().join("revoked")).unwrap();
    site.look();
    assert!(!site.is_valid(&first), "a list that is missing revokes what it did");
    assert!(site.problem().contains("revoked_tokens_file"), "{}", site.problem());
    site.write("revoked", "");
    site.look();
    assert!(!site.is_valid(&first), "one look");
    site.look();
    assert!(site.is_valid(&first) && site.problem().is_empty(), "an empty list is none");
    site.write("revoked", &(0..=REVOKED_TOKENS_MAX).map(|number| format!("{number}\n")).collect::<String>());
    site.look();
    assert!(site.problem().contains("at most 100000 tokens"), "{}", site.problem());
}

#[test]
fn k3_a_jti_that_no_line_can_name_is_refused_and_so_is_a_line_that_names_none() {
    let mut site = Site::open(&[("session.key", &line("1", "01")), ("revoked", "4f\n")]);
    for jti in ["", " ", "#5", " 5", "5 ", "5\n6", "5 # of a phone", "5\u{2028}6", "5\t6", "\u{feff}5", "5\u{200b}"] {
        assert!(!site.is_valid(&site.token(jti)), "{jti:?}");
    }
    assert!(site.is_valid(&site.token("5#6")));
    site.write("revoked", "4f\n50 # of a phone\n");
    site.look();
    assert!(site.problem().contains("line 2 is not one jti without blanks"), "{}", site.problem());
    assert!(!site.problem().contains("50"), "the content of no list is shown: {}", site.problem());
    assert!(!site.is_valid(&site.token("4f")), "it revokes what it did");
}

#[test]
fn k3_a_list_that_is_read_while_it_is_being_written_makes_no_revoked_token_valid() {
    let mut site = Site::open(&[("session.key", &line("1", "01")), ("revoked", "4f\n50\n")]);
    let [first, second, third] = ["4f", "50", "51"].map(|jti| site.token(jti));
    for part in ["4f\n", "4f\n5", "4f\n51\n", "", "# of today\n4f\n"] {
        site.write("revoked", part);
        site.look();
        assert!(!site.is_valid(&first) && !site.is_valid(&second), "{part:?}: no two looks found the same");
    }
    assert!(!site.is_valid(&third), "what was added in between counted at once, and stays until it is surely gone");
    site.look();
    assert!(!site.is_valid(&first) && site.is_valid(&second) && site.is_valid(&third), "found twice");
    site.write("revoked", "4f\n51\n");
    site.look();
    assert!(!site.is_valid(&third), "an addition counts at once");
}

#[test]
fn k3_a_key_that_was_cut_is_no_other_key_until_a_second_look_finds_it_again() {
    let long = |byte: &str| format!("1:{}\n", byte.repeat(64));
    let mut site = Site::open(&[("session.key", &long("01"))]);
    let token = site.token("a");
    let (whole, cut) = (format!("{}{}", long("01"), line("2", "02")), &long("01")[..2 + 80]);
    for text in [cut, &whole, cut, &line("2", "02"), &whole] {
        site.write("session.key", text);
        site.look();
        assert!(site.is_valid(&token) && site.problem().is_empty(), "{text}");
    }
    site.write("session.key", cut);
    site.look();
    std::fs::remove_file(site.folder.path().join("session.key")).unwrap();
    site.look();
    site.write("session.key", cut);
    site.look();
    assert!(site.is_valid(&token), "the two looks do not follow each other");
    site.look();
    assert!(!site.is_valid(&token), "a key is replaced under its id");
}

#[test]
fn k3_a_jwk_that_is_gone_or_altered_counts_when_it_is_found_twice() {
    let jwk = |kid: &str, signs: &str| {
        format!(
            r#"{{"kty":"OKP","crv":"Ed25519","kid":"{kid}","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","signs":"{signs}"}}"#
        )
    };
    let set = |keys: &[&str]| format!(r#"{{"keys":[{}]}}"#, keys.join(","));
    let (first, second) = (jwk("a", "customer"), jwk("b", "customer"));
    let mut site = Site::open(&[("session.key", &line("1", "01")), ("keys.json", &set(&[&first]))]);
    let mut kids = |text: &str| {
        site.write("keys.json", text);
        site.look();
        let keys = site.keys.public.load();
        keys.iter()
            .map(|key| format!("{}{}", key.kid, if key.signs == Signs::Customers { "" } else { "!" }))
            .collect::<String>()
    };
    let both = set(&[&first, &second]);
    assert_eq!(kids(&both), "ab", "an addition counts at once");
    let altered = set(&[&jwk("a", "manager"), &second]);
    assert_eq!([&altered, &both, &set(&[&second]), &altered].map(|text| kids(text)), ["ab"; 4]);
    assert_eq!([kids(&altered), kids(&set(&[&second])), kids(&set(&[&second]))], ["a!b", "a!b", "b"]);
}

#[test]
fn a_start_needs_every_file_that_is_named_and_at_least_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let refused = || open(sources(folder.path())).err().unwrap().what;
    let absent = refused();
    assert!(absent.contains("session_keys_file") && absent.contains("session.key"), "{absent}");
    std::fs::write(folder.path().join("session.key"), "# none").unwrap();
    assert!(refused().contains("has no keys"), "{}", refused());
    std::fs::write(folder.path().join("session.key"), line("1", "01")).unwrap();
    std::fs::write(folder.path().join("keys.json"), "{}").unwrap();
    assert!(refused().contains("session_jwks_file") && refused().contains("`keys`"), "{}", refused());
    std::fs::write(folder.path().join("keys.json"), r#"{"keys":[]}"#).unwrap();
    assert!(refused().contains("has no keys"), "{}", refused());
    let none = KeySources { secrets_file: None, jwks_file: None, ..sources(folder.path()) };
    assert_eq!(open(none).err().unwrap().what, "at least one session key is needed");
}

#[cfg(unix)]
#[test]
fn k2_strict_permissions_refuse_a_key_that_others_may_read_at_the_start_and_when_it_changes() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path, mode: u32| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session.key");
    std::fs::write(&path, line("1", "01")).unwrap();
    mode(&path, 0o644);
    open(sources(folder.path())).unwrap();
    let strict = || open(KeySources { strict: true, ..sources(folder.path()) });
    let refused = strict().err().unwrap().what;
    assert!(refused.contains("strict_key_permissions") && refused.contains("chmod 600"), "{refused}");
    mode(&path, 0o600);
    let (keys, mut files) = strict().unwrap();
    std::fs::write(&path, line("2", "02")).unwrap();
    mode(&path, 0o644);
    files.0.iter_mut().for_each(FollowedFile::look);
    assert!(keys.problems().concat().contains("what it held before stays valid"), "{:?}", keys.problems());
    mode(&path, 0o600);
    for _ in 0..2 {
        files.0.iter_mut().for_each(FollowedFile::look);
    }
    assert!(keys.problems().is_empty());
}
