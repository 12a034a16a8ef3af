//! `cashier trading check` against the reference server, which keeps every promise, and against servers that each break one.

use std::process::Command;

use cashier_tests::artifacts;
use cashier_tests::reference_server::{LOGIN, ReferenceServer};
use cashier_tests::waiting::skipped;

/// Exit code, what was printed, and what was printed on standard error.
fn checked(server: &ReferenceServer, customer: &str) -> (Option<i32>, String, String) {
    let output = Command::new(artifacts::cashier())
        .args(["trading", "check", "--server", &format!("http://127.0.0.1:{}/", server.port())])
        .args(["--login", &LOGIN.to_string(), "--customer", customer, "--currency", "USD", "--secret-file"])
        .arg(server.secret_file())
        .output()
        .expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn started(change: impl FnOnce(String) -> String) -> Option<ReferenceServer> {
    ReferenceServer::start_with(change).map_err(|why| skipped(&why)).ok()
}

#[test]
fn the_reference_server_keeps_every_promise_also_the_second_time() {
    let Some(server) = started(|script| script) else { return };
    for _ in 0..2 {
        let (code, printed, error) = checked(&server, "5");
        assert_eq!((code, &*error), (Some(0), ""), "{printed}{error}");
        assert!(printed.ends_with("promises are kept\n") && !printed.contains("BROKEN"), "{printed}");
        assert!(printed.lines().count() > 30, "{printed}");
    }
}

#[test]
fn a_wrong_customer_is_a_broken_promise_and_nothing_is_posted() {
    let Some(server) = started(|script| script) else { return };
    let (code, printed, error) = checked(&server, "6");
    assert_eq!(code, Some(1));
    assert!(printed.contains("BROKEN  account") && printed.contains("the login is customer 5's, not 6's"), "{printed}");
    assert!(!printed.contains("post:") && error.contains("promises are broken"), "{printed}{error}");
}

#[test]
fn a_real_account_is_posted_to_only_where_the_person_says_so() {
    let real = |script: String| script.replace("\"group\": facts[2]}", "\"group\": dict(facts[2], account_mode=1)}");
    let Some(server) = started(real) else { return };
    let (code, printed, _) = checked(&server, "5");
    assert_eq!(code, Some(1));
    assert!(printed.contains("it is a real account") && !printed.contains("post:"), "{printed}");
}

/// What is written instead of a part of the script, and the promise that this breaks.
const BREAKS: [(&str, &str, &str); 17] = [
    ("f\"{message_id}.answer\")", "message_id)", "identity: signed"),
    ("abs(time.time() - int(timestamp)) > CLOCK_TOLERANCE", "False", "a call six minutes old is 401"),
    (
        "if not any(hmac.compare_digest(one, other) for one in stated for other in expected):",
        "if not stated:",
        "a call whose body was altered is 401",
    ),
    ("member(request, \"instance\", str) != self.instance", "False", "a call for another instance is 421"),
    ("\"conflict\" if before != compared else result", "result", "a known key with another value is a conflict"),
    (
        "            return known\n        facts",
        "            pass\n        facts",
        "post: the same key again is the same answer",
    ),
    (
        "return known or self.record(posting, compared, \"refused\", reason)",
        "return known or outcome(posting[\"key\"], 0, \"refused\", reason)",
        "void: an unknown key is refused for ever",
    ),
    (
        "Decimal(facts[0][\"balance\"]) + Decimal(posting[\"amount\"])",
        "Decimal(str(float(facts[0][\"balance\"]) + float(posting[\"amount\"])))",
        "amounts are exact decimals",
    ),
    (
        "account[\"customer_id\"] != posting[\"customer_id\"]",
        "False",
        "post: another customer's account is OWNER_MISMATCH",
    ),
    (
        "sign < 0 and Decimal(account[\"balance\"]) + amount < 0",
        "False",
        "post: more out than there is is INSUFFICIENT_BALANCE",
    ),
    (
        "\"more\": len(rows) > limit, \"posted_count\": count",
        "\"more\": False, \"posted_count\": count + 1",
        "postings: every key is listed once",
    ),
    ("type(value) is not kind", "False", "an amount that is a number is 400"),
    // What was posted meanwhile is written over.
    (
        "return known or self.record(posting, compared, \"refused\", reason)",
        "if known:\n            return known\n        self.db.execute(\"COMMIT\"); self.lock.release(); time.sleep(0.01)\n        \
         self.lock.acquire(); self.db.execute(\"BEGIN IMMEDIATE\")\n        \
         self.db.execute(\"DELETE FROM postings WHERE key = ?\", (posting[\"key\"],))\n        \
         return self.record(posting, compared, \"refused\", reason)",
        "post and void: of one key at once",
    ),
    // The balance is read before the transaction that writes it.
    (
        "self.db.execute(\"UPDATE accounts SET",
        "self.db.execute(\"COMMIT\"); self.lock.release(); time.sleep(0.01); self.lock.acquire()\n        \
         self.db.execute(\"BEGIN IMMEDIATE\")\n        self.db.execute(\"UPDATE accounts SET",
        "post: ten keys at once on one account",
    ),
    (
        "            return known\n        facts",
        "            if known.get(\"reason\") != \"INSUFFICIENT_BALANCE\":\n                return known\n            \
         self.db.execute(\"DELETE FROM postings WHERE key = ?\", (posting[\"key\"],))\n        facts",
        "post: a refusal stays one when its reason is gone",
    ),
    (
        "dict(outcome(None, number, result, reason), posting=json.loads(posting))",
        "dict(outcome(None, number, result, reason), posting=dict(json.loads(posting), created_time=limit))",
        "postings: every key is listed once",
    ),
    (
        "return known or self.record(posting, compared, \"refused\", reason)",
        "reason = reason if self.facts(posting[\"login\"]) else \"ACCOUNT_NOT_FOUND\"\n        \
         return known or self.record(posting, compared, \"refused\", reason)",
        "void: also of a login that is not known",
    ),
];

#[test]
fn a_server_that_forgets_the_keys_of_earlier_checks_is_named_by_the_promise() {
    let Some(mut server) = started(|script| script) else { return };
    let (code, printed, error) = checked(&server, "5");
    assert_eq!(code, Some(0), "{printed}{error}");
    server.forget_keys();
    server.restart();
    let (code, printed, _) = checked(&server, "5");
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("BROKEN  post: the oldest key of an earlier check is known as it was"), "{printed}");
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

#[test]
fn a_server_that_breaks_a_promise_is_named_by_the_promise() {
    for (part, instead, promise) in BREAKS {
        let change = |script: String| {
            assert!(script.contains(part), "the script has no {part}");
            script.replace(part, instead)
        };
        let Some(server) = started(change) else { return };
        let (code, printed, _) = checked(&server, "5");
        let broken: Vec<&str> = printed.lines().filter_map(|line| line.strip_prefix("BROKEN  ")).collect();
        assert_eq!(code, Some(1), "{instead}: {printed}");
        assert!(broken.iter().any(|line| line.contains(promise)), "{instead}: {broken:?}\n{printed}");
    }
}
