//! The reference server, broken in one call, one direction of money, or beyond so many bits alone: what is kept in the usual case is
//! not kept in the other one.

use crate::broken_servers::broken_servers;

/// Judges every call but this one.
macro_rules! but_for {
    ($call:literal, $judged:literal) => {
        concat!("if b'\"call\":\"", $call, "\"' not in body and ", $judged)
    };
}

macro_rules! calls {
    ($name:ident, $promise:literal, $what:literal, $judged:literal: $($call:literal),*) => {
        broken_servers! { $name: $(
            $promise, concat!($call, $what, ": the status is 200");
                concat!("if ", $judged) => but_for!($call, $judged);
        )*}
    };
}

calls!(
    UNSIGNED_CALLS,
    "each of the ten calls is 401 with a wrong signature",
    " without a signature",
    "not any(hmac": "identity", "health", "groups", "post", "find", "void", "postings"
);
calls!(
    OLD_CALLS,
    "each of the ten calls is 401 six minutes from the server's clock",
    " six minutes old",
    "abs(time.time() - int(timestamp)) > CLOCK_TOLERANCE": "post", "void", "postings"
);

/// Where a key is looked up and where it is recorded, with what is kept of it.
macro_rules! kept_of_keys {
    ($($seen:literal: $kept:literal;)*) => {
        broken_servers! { CUT_KEYS: $(
            "post: of a key every character counts", $seen;
                r#"(posting["key"],)).fetchone()"# => concat!("(", $kept, ",)).fetchone()"),
                r#"(posting["key"], compared,"# => concat!("(", $kept, ", compared,");
        )*}
    };
}

kept_of_keys! {
    "whose last digit differs: it was never sent, and find answers": r#"posting["key"][:24]"#;
    "whose last digit differs: it was never sent": r#"posting["key"][:30]"#;
    "whose number differs by 2^8: it was never sent": r#"":".join(str(int(part) % 256) if at else part for at, part in enumerate(posting["key"].split(":")))"#;
    "whose number differs by 2^32: it was never sent": r#"":".join(str(int(part) % 2**32) if at else part for at, part in enumerate(posting["key"].split(":")))"#;
    "whose twentieth character differs: it was never sent": r#"posting["key"][:19] + posting["key"][20:]"#;
    "of digits alone, whose last one differs: it was never sent": r#"(posting["key"] if ":" in posting["key"] else str(float(posting["key"])))"#;
}

broken_servers! { NARROWLY_BROKEN:
    "each of the ten calls is 401 with a wrong signature", "with the letters of its signature in the other case: the status is 200";
        "compare_digest(one, other)" => "compare_digest(one.lower(), other.lower())";
    "each of the ten calls is 401 six minutes from the server's clock", "void six minutes ahead: the status is 200";
        "if abs(time.time() - int(timestamp)) >" => r#"if (int if b'"call":"void"' in body else abs)(time.time() - int(timestamp)) >"#;
    "post: of a key every character counts", "of digits alone: it did not understand the call (status 400";
        r#"|[0-9]{1,16}", posting"# => r#"", posting"#;
    "void: also with CONFIRMED_ABSENT, and of a posting out", r#"it answered {"result":"posted""#;
        r#"return known or self.record(posting, compared, "refused", reason)"# =>
        r#"if reason == "CONFIRMED_ABSENT" and not known:
            return outcome(posting["key"], 0, "refused", reason)
        return known or self.record(posting, compared, "refused", reason)"#;
    "void: also with CONFIRMED_ABSENT, and of a posting out", r#"it answered {"result":"posted""#;
        r#"return known or self.record(posting, compared, "refused", reason)"# =>
        r#"if posting["cmd"] == 8 and not known:
            return outcome(posting["key"], 0, "refused", reason)
        return known or self.record(posting, compared, "refused", reason)"#;
    // What was voided or refused answers its reason, whatever is asked with its key.
    "post, find and void: also of a key that was voided or refused", r#"another transaction_id: {"result":"refused""#;
        r#""conflict" if before != compared else result"# => r#""conflict" if before != compared and result == "posted" else result"#;
    // A voided key with other values is a new one.
    "post, find and void: also of a key that was voided or refused", r#"another transaction_id: {"result":"posted""#;
        "        if known is not None:\n            return known\n" =>
        r#"        if known and known["result"] == "conflict" and self.db.execute("DELETE FROM postings WHERE key = ? AND reason <> ''", (posting["key"],)).rowcount:
            known = None
        if known is not None:
            return known
"#;
    "post, find and void: a known key with another value is a conflict", "another amount, of the other sign";
        r#"[plain(Decimal(posting["amount"]).normalize())]"# => r#"[plain(abs(Decimal(posting["amount"])).normalize())]"#;
    "post, find and void: a known key with another value is a conflict", "another transaction_id, by 2^32";
        "[posting[name] for name in COMPARED]" => r#"[posting[name] % 2**32 if name == "transaction_id" else posting[name] for name in COMPARED]"#;
    "post, find and void: a known key with another value is a conflict", "another login, by 2^32";
        "[posting[name] for name in COMPARED]" => r#"[posting[name] % 2**32 if name == "login" else posting[name] for name in COMPARED]"#;
    "post, find and void: a known key with another value is a conflict", "another customer_id, by 2^32";
        "[posting[name] for name in COMPARED]" => r#"[posting[name] % 2**32 if name == "customer_id" else posting[name] for name in COMPARED]"#;
    "post and find: what is not compared may differ, and an amount is compared by value", "is answered with";
        "        if found is None:" => r#"        if found is None or posting["created_time"] < time.time() - 86400:"#,
        "INSERT INTO postings (key" => "INSERT OR REPLACE INTO postings (key";
    "post: another customer's account is OWNER_MISMATCH, whatever the purpose", r#"a withdrawal: it answered {"result":"posted""#;
        r#"account["customer_id"] != posting["customer_id"]"# => r#"posting["cmd"] == 6 and account["customer_id"] != posting["customer_id"]"#;
    "post: another customer's account is OWNER_MISMATCH, whatever the purpose", r#"a reversal of a deposit: it answered {"result":"posted""#;
        r#"account["customer_id"] != posting["customer_id"]"# => r#"posting["purpose"] != "reversal" and account["customer_id"] != posting["customer_id"]"#;
    "post: another currency is CURRENCY_MISMATCH, whatever the purpose", r#"a withdrawal: it answered {"result":"posted""#;
        r#"group["currency"] != posting["currency"]"# => r#"posting["cmd"] == 6 and group["currency"] != posting["currency"]"#;
    "post: another currency is CURRENCY_MISMATCH, whatever the purpose", r#"a reversal of a deposit: it answered {"result":"posted""#;
        r#"group["currency"] != posting["currency"]"# => r#"posting["purpose"] != "reversal" and group["currency"] != posting["currency"]"#;
    "post: only_on the other mode is refused by the account's, whatever the purpose", r#"a withdrawal: it answered {"result":"posted""#;
        r#"posting.get("only_on", group["account_mode"]) !="# => r#"posting["cmd"] == 6 and posting.get("only_on", group["account_mode"]) !="#;
    "post: only_on the other mode is refused by the account's, whatever the purpose", r#"a reversal of a deposit: it answered {"result":"posted""#;
        r#"posting.get("only_on", group["account_mode"]) !="# => r#"posting["purpose"] != "reversal" and posting.get("only_on", group["account_mode"]) !="#;
    "post: an unknown login is ACCOUNT_NOT_FOUND, whatever the purpose", r#"a reversal of a withdrawal: it answered {"result":"refused","reason":"X_CLOSED"}"#;
        r#"return "ACCOUNT_NOT_FOUND""# => r#"return "X_CLOSED" if posting["purpose"] == "reversal" and sign > 0 else "ACCOUNT_NOT_FOUND""#;
    "post: one minor unit more out than there is is INSUFFICIENT_BALANCE", r#"a withdrawal: it answered {"result":"posted""#;
        r#"Decimal(account["balance"]) + amount < 0"# => r#"Decimal(account["balance"]) + amount < Decimal("-0.01")"#;
    "post: one minor unit more out than there is is INSUFFICIENT_BALANCE", r#"a reversal: it answered {"result":"posted""#;
        r#"sign < 0 and Decimal"# => r#"posting["purpose"] == "withdrawal" and Decimal"#;
    "account and post: a login has 53 bits", r#"a deposit: it answered {"result":"posted""#;
        r#"facts = self.facts(posting["login"])"# => r#"facts = self.facts(posting["login"] % 2**32)"#;
    "account and post: a login has 53 bits", "account of 4296967305: the answer is about another login";
        r#"self.facts(an_id(request, "login"))"# => r#"self.facts(an_id(request, "login") % 2**32)"#;
    "customer and post: a customer id has 53 bits", r#"a deposit: it answered {"result":"posted""#;
        r#"!= posting["customer_id"]:"# => r#"!= posting["customer_id"] % 2**32:"#;
    "customer and post: a customer id has 53 bits", "customer 4294967301: the answer is about another customer";
        r#"an_id(request, "customer_id"))"# => r#"an_id(request, "customer_id") % 2**32)"#;
    "post and find: a transaction id has 53 bits", "status 400";
        "        an_id(posting, name)\n" => r#"        require(an_id(posting, name) < 2**31 or name != "transaction_id", "too large")
"#;
    "post and find: a transaction id has 53 bits", "find with 9007194959773695 answers";
        "[posting[name] for name in COMPARED]" => r#"[posting[name] % 2**32 if name == "transaction_id" else posting[name] for name in COMPARED]"#;
    "postings: every key is listed once, with what came of it", "transaction_id 4294967295 instead of 9007199254740991";
        "posting=json.loads(posting))\n" => r#"posting=dict(json.loads(posting), transaction_id=json.loads(posting)["transaction_id"] % 2**32))
"#;
    "post: a deposit with an empty comment is credited", "status 400";
        r#"    for name in ("key", "currency""# => r#"    require(posting.get("comment"), "it has no comment")
    for name in ("key", "currency""#;
    "post: an operation that was planned two days ago is posted", "X_TOO_OLD";
        "    if facts is None:\n        return" => r#"    if posting["created_time"] < time.time() - 86400:
        return "X_TOO_OLD"
    if facts is None:
        return"#;
    // What came in while a withdrawal was judged is lost.
    "post: deposits and withdrawals of one account at once are all on its balance", "grew by";
        r#"        facts = self.facts(posting["login"])
"# =>
        r#"        facts = self.facts(posting["login"])
        if posting["amount"] == "-0.01":
            self.db.execute("COMMIT"); self.lock.release(); time.sleep(0.003); self.lock.acquire()
            self.db.execute("BEGIN IMMEDIATE")
"#;
}
