//! `cashier trading check` against the reference server, which keeps every promise, and against servers that each break one.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Mutex;

use cashier_tests::artifacts;
use cashier_tests::reference_server::{LOGIN, OPENING_MINOR, ReferenceServer};
use cashier_tests::waiting::skipped;

use crate::broken_servers::{BROKEN_SERVERS, BrokenServer};
use crate::narrowly_broken::{CUT_KEYS, NARROWLY_BROKEN, OLD_CALLS, UNSIGNED_CALLS};

/// Exit code, what was printed, and what was printed on standard error.
fn checked(server: &ReferenceServer, customer: &str) -> (Option<i32>, String, String) {
    checked_with(server, customer, &[])
}

fn checked_with(server: &ReferenceServer, customer: &str, further: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(artifacts::cashier())
        .args(["trading", "check", "--server", &format!("http://127.0.0.1:{}/", server.port())])
        .args(["--login", &LOGIN.to_string(), "--customer", customer, "--currency", "USD", "--secret-file"])
        .arg(server.secret_file())
        .args(further)
        .output()
        .expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn started(change: impl FnOnce(String) -> String) -> Option<ReferenceServer> {
    ReferenceServer::start_with(change).map_err(|why| skipped(&why)).ok()
}

/// The reference server with these parts of its script replaced.
fn changed(changes: &[(&str, &str)]) -> Option<ReferenceServer> {
    started(|mut script| {
        for (part, instead) in changes {
            assert!(script.contains(part), "the script has no {part}");
            script = script.replace(part, instead);
        }
        script
    })
}

/// The key that a check ended with.
fn key_of(printed: &str) -> String {
    let key = printed.lines().find_map(|line| line.strip_prefix("the next check of this server takes --known-key "));
    key.unwrap_or_else(|| panic!("no key: {printed}")).to_owned()
}

const KNOWN_KEY: &str = "post and void: the keys of an earlier check are known as they were";

#[test]
fn the_reference_server_keeps_every_promise_also_the_second_time() {
    let Some(server) = started(|script| script) else { return };
    let (code, printed, error) = checked(&server, "5");
    assert_eq!((code, &*error), (Some(0), ""), "{printed}{error}");
    assert!(printed.ends_with(" promises are kept, 1 not checked\n"), "{printed}");
    let not_checked = format!("        {KNOWN_KEY}\n        not checked: no earlier key (give --known-key)\n");
    assert!(printed.contains(&not_checked), "{printed}");
    let (code, printed, error) = checked_with(&server, "5", &["--known-key", &key_of(&printed)]);
    assert_eq!((code, &*error), (Some(0), ""), "{printed}{error}");
    assert!(printed.ends_with(" promises are kept\n") && !printed.contains("BROKEN"), "{printed}");
    assert!(printed.contains(&format!("kept    {KNOWN_KEY}\n")), "{printed}");
    assert_eq!(server.balance_minor(), OPENING_MINOR);
}

#[test]
fn a_wrong_customer_is_a_broken_promise_and_nothing_is_posted() {
    let Some(server) = started(|script| script) else { return };
    let (code, printed, error) = checked(&server, "6");
    assert_eq!(code, Some(1));
    assert!(printed.contains("BROKEN  account") && printed.contains("the login is customer 5's, not 6's"), "{printed}");
    assert!(!printed.contains("post:") && error.contains("2 of 19 promises are broken"), "{printed}{error}");
}

#[test]
fn a_real_account_is_posted_to_only_where_the_person_says_so() {
    let real = |script: String| script.replace("\"group\": facts[2]}", "\"group\": dict(facts[2], account_mode=1)}");
    let Some(server) = started(real) else { return };
    let (code, printed, _) = checked(&server, "5");
    assert_eq!(code, Some(1));
    assert!(printed.contains("it is a real account") && !printed.contains("post:"), "{printed}");
}

#[test]
fn nothing_of_an_account_is_posted_before_its_mode_is_judged() {
    // Takes an amount that is a number, whoever the owner is, and is a real account.
    let Some(server) = changed(&[
        ("\"group\": facts[2]}", "\"group\": dict(facts[2], account_mode=1)}"),
        ("require(type(value) is kind, ", "require(True, "),
        (", text), \"an amount", ", str(text)), \"an amount"),
        ("account[\"customer_id\"] != posting[\"customer_id\"]", "False"),
    ]) else {
        return;
    };
    let (code, printed, _) = checked(&server, "5");
    assert!(code == Some(1) && printed.contains("it is a real account"), "{printed}");
    assert_eq!((server.posted().len(), server.balance_minor()), (0, OPENING_MINOR));
}

#[test]
fn a_server_that_forgets_keys_is_named_by_the_promise_of_an_earlier_key() {
    // The key names the posted one; the next of its ordinals are the voided one, the refused one, and one voided with the other reason.
    for (forgotten, next) in [
        ("DELETE FROM postings", 0),
        ("DELETE FROM postings WHERE result = 'refused'", 1),
        ("DELETE FROM postings WHERE reason = 'INSUFFICIENT_BALANCE'", 2),
        ("DELETE FROM postings WHERE reason = 'CONFIRMED_ABSENT'", 3),
        ("UPDATE postings SET key = 'forgotten ' || number", 0),
    ] {
        let Some(mut server) = started(|script| script) else { return };
        let (code, printed, error) = checked(&server, "5");
        assert_eq!(code, Some(0), "{printed}{error}");
        let key = key_of(&printed);
        server.forget_keys(forgotten);
        server.restart();
        let (code, printed, _) = checked_with(&server, "5", &["--known-key", &key]);
        assert_eq!(code, Some(1), "{forgotten}: {printed}");
        let (reference, ordinal) = key.split_once(':').expect("a key with an ordinal");
        let ordinal = ordinal.parse::<u32>().expect("an ordinal") + next;
        let expected =
            format!("BROKEN  {KNOWN_KEY}\n        {reference}:{ordinal}: it answered {{\"result\":\"none\"}}");
        assert!(printed.contains(&expected), "{forgotten}: {expected}\n{printed}");
    }
}

#[test]
fn what_is_no_key_of_a_check_is_refused_and_one_of_another_server_is_named() {
    let Some(server) = started(|script| script) else { return };
    for wrong in ["", "7", "a b:1"] {
        let (code, printed, error) = checked_with(&server, "5", &["--known-key", wrong]);
        assert!(code == Some(2) && error.contains("is no key that a check ended with"), "{wrong}: {printed}{error}");
    }
    let (code, printed, _) = checked_with(&server, "5", &["--known-key", "d3k9x0p7m2q4r8s6t1vw:11"]);
    assert!(code == Some(1) && printed.contains(&format!("BROKEN  {KNOWN_KEY}")), "{printed}");
    assert_eq!(server.balance_minor(), OPENING_MINOR);
}

/// Its balances are elsewhere: while the API is called for a key, every call about that key is answered 500.
#[test]
fn a_server_whose_balances_are_elsewhere_keeps_every_promise() {
    let Some(server) = changed(&[
        ("        self.lock = threading.Lock()\n", "        self.lock, self.pending = threading.Lock(), set()\n"),
        (
            "        compared = json.dumps([",
            "        if posting[\"key\"] in self.pending:\n            raise RuntimeError(\"pending\")\n        compared = json.dumps([",
        ),
        (
            "        facts = self.facts(posting[\"login\"])\n",
            "        self.pending.add(posting[\"key\"])\n        self.db.execute(\"COMMIT\"); self.lock.release()\n        \
             time.sleep(0.05)\n        self.lock.acquire(); self.db.execute(\"BEGIN IMMEDIATE\")\n        \
             self.pending.discard(posting[\"key\"])\n        facts = self.facts(posting[\"login\"])\n",
        ),
    ]) else {
        return;
    };
    let (code, printed, error) = checked(&server, "5");
    assert_eq!((code, &*error), (Some(0), ""), "{printed}{error}");
}

/// Whose key stays pending for ever is named: the check ends all the same.
#[test]
fn a_key_that_stays_pending_is_a_broken_promise() {
    let Some(server) = changed(&[(
        "        compared = json.dumps([",
        "        if posting[\"amount\"] == \"0.01\":\n            raise RuntimeError(\"pending\")\n        compared = json.dumps([",
    )]) else {
        return;
    };
    let (code, printed, _) = checked(&server, "5");
    assert_eq!(code, Some(1));
    let expected = "BROKEN  post: the same key ten times at once is posted once\n        it failed (status 500";
    assert!(printed.contains(expected), "{printed}");
}

#[test]
fn a_restored_server_refuses_what_may_have_been_sent_before() {
    let Some(server) = changed(&[("type=int, default=0", "type=int, default=int(time.time() - 400)")]) else { return };
    let (_, printed, _) = checked(&server, "5");
    let broken = "BROKEN  a call four minutes old, or four minutes ahead, is answered\n        the status is 401\n";
    assert!(printed.contains(broken) && printed.matches("BROKEN").count() == 1, "{printed}");
    // What was sent four minutes ago may be of before, too.
    for (seconds, is_over) in [(0, false), (270, false), (600, true)] {
        let restored_at = format!("type=int, default=int(time.time() - {seconds})");
        let Some(server) = changed(&[("type=int, default=0", &restored_at)]) else { return };
        let (code, printed, _) = checked(&server, "5");
        assert_eq!(code, Some(i32::from(!is_over)), "{restored_at}: {printed}");
        assert!(is_over || printed.contains("compare the clocks (status 401 old_timestamp"), "{printed}");
    }
}

#[test]
fn a_server_whose_clock_differs_by_less_than_the_tolerance_keeps_every_promise() {
    for ahead in ["+ 200", "- 200"] {
        let change = |script: String| script.replace("time.time()", &format!("(time.time() {ahead})"));
        let Some(server) = started(change) else { return };
        let (code, printed, error) = checked(&server, "5");
        assert_eq!((code, &*error), (Some(0), ""), "{ahead}: {printed}{error}");
    }
}

/// Closes every fifth connection on which a look-up comes, without an answer: it was closing while the look-up was sent.
const CLOSES_LOOK_UPS: &str = "            calls = self.server.calls = getattr(self.server, \"calls\", 0) + 1
            if calls % 5 == 0 and b'\"call\":\"post\"' not in body and b'\"call\":\"void\"' not in body:
                self.close_connection = True
                return
            message_id = verify(";

#[test]
fn a_look_up_on_a_connection_that_was_closing_is_asked_again() {
    let Some(server) = changed(&[("            message_id = verify(", CLOSES_LOOK_UPS)]) else { return };
    let (code, printed, error) = checked(&server, "5");
    assert_eq!((code, &*error), (Some(0), ""), "{printed}{error}");
}

#[test]
fn a_posting_whose_connection_was_closed_is_not_sent_again_and_is_named_so() {
    let closes_posts = CLOSES_LOOK_UPS.replace("calls % 5 == 0 and", "calls and").replace("not in body", "in body");
    let closes_posts = closes_posts.replace("and b'\"call\":\"void\"' in body", "and b'\"amount\":\"1.0\"' in body");
    let Some(server) = changed(&[("            message_id = verify(", &closes_posts)]) else { return };
    let (code, printed, _) = checked(&server, "5");
    let named = "BROKEN  post: the amount is on the balance when it is answered\n        the connection was closed and no answer came";
    assert!(code == Some(1) && printed.contains(named) && printed.contains("`connection: close`"), "{printed}");
}

/// A page is cut at 500, and what is beyond it comes with the next one.
#[test]
fn more_postings_than_a_page_are_looked_through() {
    const SEVEN_HUNDRED: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 700)
        INSERT INTO postings (key, compared, posting, result, reason)
        SELECT 1000000 + i, '', json_object('key', CAST(1000000 + i AS TEXT), 'transaction_id', i, 'operation_id', i,
          'login', 1, 'customer_id', 1, 'currency', 'USD', 'amount', '1.0', 'cmd', 6, 'purpose', 'deposit', 'comment', '',
          'created_time', 1), 'posted', '' FROM n";
    for (listed, code, printed_line) in [
        ("WHERE number > ? ORDER", Some(0), "kept    postings: every key is listed once"),
        ("WHERE number <= 500 AND number > ? ORDER", Some(1), "BROKEN  postings: every key is listed once"),
    ] {
        let Some(server) = changed(&[("WHERE number > ? ORDER", listed)]) else { return };
        server.edit(SEVEN_HUNDRED);
        let (ended, printed, _) = checked(&server, "5");
        assert!(ended == code && printed.contains(printed_line), "{listed}: {printed}");
    }
}

/// Every promise that is printed has a server that breaks it, and is named for it.
#[test]
fn each_promise_is_broken_by_a_server_that_is_named_for_it() {
    let Some(server) = started(|script| script) else { return };
    let (_, printed, _) = checked(&server, "5");
    let kept = printed.lines().filter_map(|line| line.strip_prefix("kept    ")).map(str::to_owned);
    let kept: BTreeSet<String> = kept.collect();
    let servers = [BROKEN_SERVERS, NARROWLY_BROKEN, UNSIGNED_CALLS, OLD_CALLS, CUT_KEYS].into_iter().flatten();
    let promises: BTreeSet<String> = servers.clone().map(|server| server.promise.to_owned()).collect();
    assert_eq!(kept, promises, "each promise has a broken server");
    let (next, wrong) = (Mutex::new(servers), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let taken = || next.lock().expect("no panic").next();
                while let Some(broken) = taken() {
                    if let Some(found) = not_named(broken) {
                        wrong.lock().expect("no panic").push(found);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no panic");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the check printed instead of naming it.
fn not_named(BrokenServer { changes, promise, seen }: &BrokenServer) -> Option<String> {
    let server = changed(changes)?;
    let (code, printed, _) = checked(&server, "5");
    let named =
        printed.split_once(&format!("BROKEN  {promise}\n")).map(|(_, after)| after.lines().next().unwrap_or_default());
    let is_named = code == Some(1) && named.is_some_and(|problem| problem.contains(seen));
    (!is_named).then(|| format!("{changes:?} {promise}: {named:?}\n{printed}"))
}
