//! The reference server, broken on purpose: for each promise of `cashier trading check` a server that breaks it.

/// What is written instead of parts of the script, and the promise that this breaks, with what must be said of it.
pub(crate) struct BrokenServer {
    pub(crate) changes: &'static [(&'static str, &'static str)],
    pub(crate) promise: &'static str,
    pub(crate) seen: &'static str,
}

macro_rules! broken_servers {
    ($name:ident: $($promise:literal, $seen:expr; $($part:expr => $instead:expr),+;)*) => {
        pub(crate) const $name: &[$crate::broken_servers::BrokenServer] = &[$(
            $crate::broken_servers::BrokenServer { changes: &[$(($part, $instead)),+], promise: $promise, seen: $seen },
        )*];
    };
}
pub(crate) use broken_servers;

broken_servers! { BROKEN_SERVERS:
    "identity: signed, protocol 1, its clock within the tolerance", ".answer behind it";
        r#"f"{message_id}.answer")"# => "message_id)";
    "health: it takes postings", "it is not ready";
        r#"{"result": "ready"}"# => r#"{"result": "not_ready"}"#;
    "a call without a signature is 401", "the status is 200";
        "if not any(hmac" => "if stated and not any(hmac";
    "a call with the signature of another one is 401", "the status is 200";
        "if not any(hmac.compare_digest(one, other) for one in stated for other in expected):" => "if not stated:";
    "a call whose body was altered is 401", "the status is 200";
        "if not any(hmac.compare_digest(one, other) for one in stated for other in expected):" => "if not stated:";
    "a call six minutes old is 401", "the status is 200";
        "abs(time.time() - int(timestamp)) > CLOCK_TOLERANCE" => "False";
    "a call six minutes ahead is 401", "the status is 200";
        "abs(time.time() - int(timestamp))" => "time.time() - int(timestamp)";
    // Its tolerance is for the way of a message alone.
    "a call four minutes old, or four minutes ahead, is answered", "the status is 401";
        "CLOCK_TOLERANCE = 300" => "CLOCK_TOLERANCE = 5";
    "an answer that is sent back as a request is 401", "the status is 200";
        r#"r"[A-Za-z0-9_-]{1,64}", message_id"# => r#"r"[A-Za-z0-9_.-]{1,64}", message_id"#;
    "an unknown call is 400", "the status is 404";
        r#"CallError(400, "unknown_call""# => r#"CallError(404, "unknown_call""#;
    "a body that is no JSON object is 400", "the status is 500";
        "require(type(request) is dict, " => "require(True, ";
    "a call without an instance is 400", "the status is 200";
        r#"member(request, "instance", str) != self.instance"# => r#"request.get("instance", self.instance) != self.instance"#;
    "postings: a cursor that is not the server's is 400", "the status is 200";
        r#"require(re.fullmatch(r"[0-9]{1,15}", after), "# => "require(True, ";
    "a body beyond 64 KiB is 413", "the status is 200";
        "BODY_BYTES_MAX = 64 * 1024" => "BODY_BYTES_MAX = 1024 * 1024";
    "a member that it does not know is passed over", "status 400";
        r#"call = member(request, "call", str)"# =>
        r#"call = member(request, "call", str)
        require("of_a_later_protocol" not in request, "it has an unknown member")"#;
    "a signature of another secret before the right one is passed over", "status 401";
        "for one in stated for" => "for one in stated[:1] for";
    "customer: the test customer, and none for an unknown one", "the answer is about another customer";
        r#"an_id(request, "customer_id"))"# => "5)";
    "customer: the test customer, and none for an unknown one", "it does not know customer 5";
        r#"if customer else {"result": "none"}"# => r#"if not customer else {"result": "none"}"#;
    "rate: exact, or none", "rate must be";
        r#"plain(Decimal(str(line["rate"])))"# => r#"float(line["rate"])"#;
    "account: the test login with its customer and group", "balance must be";
        "dict(json.loads(found[0]), balance=found[1])" => "dict(json.loads(found[0]), balance=float(found[1]))";
    "account: none for an unknown login", "status 404";
        r#"            return {"result": "none"}
        return {"result": "account""# =>
        r#"            raise CallError(404, "unknown", "there is no such login")
        return {"result": "account""#;
    "groups: the account's is among them", "demo-usd is not";
        r#"[json.loads(row) for row, in self.db.execute("SELECT row FROM groups")]"# => "[]";
    // It looks at the instance where nothing depends on it.
    "a call for another instance is 421, whichever it is", "post: the status is 200";
        r#"if call != "identity" and member"# =>
        r#"if call in ("health", "customer", "account", "groups") and member"#;
    "an amount that is a number is 400", "the status is 200";
        "require(type(value) is kind, " => "require(True, ", r#"-?[0-9]{1,16}(\.[0-9]{1,8})?", text)"# => r#".*", str(text))"#;
    "a posting that is not of its form is 400, and is not recorded", "cmd 7: the status is 200";
        r#"require(member(posting, "cmd", int) in (6, 8), "# => "require(True, ";
    "a posting that is not of its form is 400, and is not recorded", r#"amount "+1": the status is 200"#;
        r#"r"-?[0-9]{1,16}"# => r#"r"[+-]?[0-9]{1,16}"#;
    "a posting that is not of its form is 400, and is not recorded", "only_on null: the status is 200";
        r#"if "only_on" in posting"# => r#"if posting.get("only_on") is not None"#;
    "find: none for a key that was never sent", "conflict";
        r#"or {"result": "none", "key""# => r#"or {"result": "conflict", "key""#;
    "post: the amount is on the balance when it is answered", "grew by 0";
        r#""UPDATE accounts SET balance = ? WHERE login = ?""# => r#""SELECT ?, ?""#;
    "post: the same key again is the same answer, and moves nothing", "status 500";
        "            return known\n        facts" => "            pass\n        facts";
    "find and void: a posted key stays posted", r#"it answered {"result":"refused""#;
        r#"return known or self.record(posting, compared, "refused", reason)"# =>
        r#"return outcome(posting["key"], 0, "refused", reason) if known else self.record(posting, compared, "refused", reason)"#;
    "post, find and void: a known key with another value is a conflict", "another transaction_id";
        r#"COMPARED = ("transaction_id", "# => "COMPARED = (";
    "post, find and void: a known key with another value is a conflict", "another login";
        r#""login", "customer_id", "currency""# => r#""customer_id", "currency""#;
    "post, find and void: a known key with another value is a conflict", "another customer_id";
        r#""login", "customer_id", "currency""# => r#""login", "currency""#;
    "post, find and void: a known key with another value is a conflict", "another currency";
        r#""login", "customer_id", "currency""# => r#""login", "customer_id""#;
    "post, find and void: a known key with another value is a conflict", "another cmd";
        r#""cmd", "purpose")  #"# => r#""purpose")  #"#;
    "post, find and void: a known key with another value is a conflict", "another purpose";
        r#""cmd", "purpose")  #"# => r#""cmd")  #"#;
    "post, find and void: a known key with another value is a conflict", "another amount";
        r#"[plain(Decimal(posting["amount"]).normalize())]"# => "[]";
    "post and find: what is not compared may differ, and an amount is compared by value", "is answered with 2 times {\"result\":\"conflict\"}";
        "COMPARED = (" => r#"COMPARED = ("operation_id", "#;
    "post and find: what is not compared may differ, and an amount is compared by value", "another zero";
        r#"[plain(Decimal(posting["amount"]).normalize())]"# => r#"[posting["amount"]]"#;
    "void: an unknown key is refused for ever", r#"it answered {"result":"posted""#;
        r#"return known or self.record(posting, compared, "refused", reason)"# =>
        r#"return known or outcome(posting["key"], 0, "refused", reason)"#;
    "void: also of a login that is not known", r#"it answered {"result":"refused""#;
        r#"return known or self.record(posting, compared, "refused", reason)"# =>
        r#"reason = reason if self.facts(posting["login"]) else "ACCOUNT_NOT_FOUND"
        return known or self.record(posting, compared, "refused", reason)"#;
    "post: another customer's account is OWNER_MISMATCH, whatever the purpose", r#"it answered {"result":"posted""#;
        r#"account["customer_id"] != posting["customer_id"]"# => "False";
    "post: an unknown login is ACCOUNT_NOT_FOUND, whatever the purpose", r#"it answered {"result":"refused""#;
        r#"return "ACCOUNT_NOT_FOUND""# => r#"return "OWNER_MISMATCH""#;
    "post: only_on the other mode is refused by the account's, whatever the purpose", r#"it answered {"result":"posted""#;
        r#"posting.get("only_on", group["account_mode"]) != group["account_mode"]"# => "False";
    "post: more out than an account can have is INSUFFICIENT_BALANCE", r#"it answered {"result":"posted""#;
        r#"sign < 0 and Decimal(account["balance"]) + amount < 0"# => "False";
    "post: an amount of 0 is INVALID_AMOUNT", r#"it answered {"result":"posted""#;
        "amount * sign <= 0" => "amount * sign < 0";
    "post: an amount of the other sign is INVALID_AMOUNT", r#"it answered {"result":"posted""#;
        "amount * sign <= 0" => "amount == 0";
    "post: of several reasons it is the first, INVALID_AMOUNT before ACCOUNT_NOT_FOUND", "ACCOUNT_NOT_FOUND";
        "if amount * sign <= 0:" => "if facts and amount * sign <= 0:";
    "post: of several reasons it is the first, OWNER_MISMATCH before the mode's", "LIVE_ON_DEMO_ACCOUNT";
        r#"if account["customer_id"] != posting["customer_id"]:"# =>
        r#"if account["customer_id"] != posting["customer_id"] and posting.get("only_on", 0) == 0:"#;
    "post: another currency is CURRENCY_MISMATCH, whatever the purpose", r#"it answered {"result":"posted""#;
        r#"group["currency"] != posting["currency"]"# => "False";
    "post: a deposit without only_on is credited", "LIVE_ON_DEMO_ACCOUNT";
        r#"posting.get("only_on", group["account_mode"]) !="# => r#"posting.get("only_on", 1) !="#;
    "post: a withdrawal is taken out", "status 500";
        r#"        facts = self.facts(posting["login"])
"# =>
        r#"        if posting["purpose"] == "withdrawal":
            raise ValueError("no withdrawals")
        facts = self.facts(posting["login"])
"#;
    "post: a reversal of a withdrawal is credited", "status 500";
        r#"        facts = self.facts(posting["login"])
"# =>
        r#"        if posting["purpose"] == "reversal" and posting["cmd"] == 6:
            raise ValueError("none in")
        facts = self.facts(posting["login"])
"#;
    "post: a reversal of a deposit is taken out", "status 500";
        r#"        facts = self.facts(posting["login"])
"# =>
        r#"        if posting["purpose"] == "reversal" and posting["cmd"] == 8:
            raise ValueError("none out")
        facts = self.facts(posting["login"])
"#;
    "the balance is as before, once what is left of it was taken out", "status 500";
        r#"        facts = self.facts(posting["login"])
"# =>
        r#"        if posting["purpose"] == "reversal" and posting["cmd"] == 8:
            raise ValueError("none out")
        facts = self.facts(posting["login"])
"#;
    // The key is judged before the transaction that records it, and what was recorded meanwhile is written over.
    "post: the same key ten times at once is posted once", "orders [";
        r#"        facts = self.facts(posting["login"])
"# =>
        r#"        self.db.execute("COMMIT"); self.lock.release(); time.sleep(0.3 * (posting["amount"] == "0.01")); self.lock.acquire()
        self.db.execute("BEGIN IMMEDIATE")
        facts = self.facts(posting["login"])
"#,
        "INSERT INTO postings (key" => "INSERT OR REPLACE INTO postings (key";
    // What was posted meanwhile is written over.
    "post and void: of one key at once, twenty times, one outcome that the balance follows", "";
        r#"return known or self.record(posting, compared, "refused", reason)"# =>
        r#"if known:
            return known
        self.db.execute("COMMIT"); self.lock.release(); time.sleep(0.05)
        self.lock.acquire(); self.db.execute("BEGIN IMMEDIATE")
        self.db.execute("DELETE FROM postings WHERE key = ?", (posting["key"],))
        return self.record(posting, compared, "refused", reason)"#;
    // The balance is read before the transaction that writes it.
    "post: ten keys at once on one account are all on its balance", "grew by";
        r#"self.db.execute("UPDATE accounts SET"# =>
        r#"self.db.execute("COMMIT"); self.lock.release(); time.sleep(0.2 * (posting["amount"] == "0.01")); self.lock.acquire()
        self.db.execute("BEGIN IMMEDIATE")
        self.db.execute("UPDATE accounts SET"#;
    // The balance is judged before the transaction that changes it, and changed exactly.
    "post: ten withdrawals of the whole balance at once take it out once", "of them were posted";
        r#"        balance = Decimal(facts[0]["balance"]) + Decimal(posting["amount"])
"# =>
        r#"        self.db.execute("COMMIT"); self.lock.release(); time.sleep(0.2 * (posting["purpose"] == "withdrawal")); self.lock.acquire()
        self.db.execute("BEGIN IMMEDIATE")
        balance = Decimal(self.facts(posting["login"])[0]["balance"]) + Decimal(posting["amount"])
"#;
    "post: a refusal stays one when its reason is gone", r#"it answered {"result":"posted""#;
        "            return known\n        facts" =>
        r#"            if known.get("reason") != "INSUFFICIENT_BALANCE":
                return known
            self.db.execute("DELETE FROM postings WHERE key = ?", (posting["key"],))
        facts"#;
    "amounts are exact decimals: three tenths, and thirteen digits", "";
        r#"Decimal(facts[0]["balance"]) + Decimal(posting["amount"])"# =>
        r#"Decimal(str(float(facts[0]["balance"]) + float(posting["amount"])))"#;
    "postings: every key is listed once, with what came of it", "is not listed";
        "WHERE number > ? ORDER" => "WHERE result = 'posted' AND number > ? ORDER";
    "postings: every key is listed once, with what came of it", "posted_count is";
        r#""posted_count": count"# => r#""posted_count": count + 1"#;
    "postings: every key is listed once, with what came of it", "it lists";
        "posting=json.loads(posting))\n" => "posting=dict(json.loads(posting), created_time=limit))\n";
    "postings: every key is listed once, with what came of it", "it lists";
        "posting=json.loads(posting))\n" => r#"posting=dict(json.loads(posting), comment=""))
"#;
    "postings: every key is listed once, with what came of it", "it lists";
        "lines = [dict(outcome(None, number, result, reason)" => "lines = [dict(outcome(None, number + 1, result, reason)";
    "postings: every key is listed once, with what came of it", "it lists";
        "lines = [dict(outcome(None, number, result, reason)" => r#"lines = [dict(outcome(None, number, result, "X_" + reason)"#;
    "postings: every key is listed once, with what came of it", "what was recorded last is listed before";
        "ORDER BY number LIMIT ?" => "ORDER BY -number LIMIT ?", "limit + 1)).fetchall()" => "100000)).fetchall()",
        "rows[:limit]" => "rows", "len(rows) > limit" => "False";
    // Pages of three begin again and again.
    "postings: every key is listed once, with what came of it", "is listed twice";
        "        limit = member(" => r#"        after = str(int(after) % 6) if request["limit"] == 3 else after
        limit = member("#;
    // It goes from one cursor to the other and back.
    "postings: every key is listed once, with what came of it", "leads back to the cursor";
        "        rows = self.db" =>
        r#"        if limit == 500:
            line = {"key": str(time.time_ns() % 10**9), "transaction_id": 1, "operation_id": 1, "login": 1, "customer_id": 1, "currency": "USD", "amount": "1.0", "cmd": 6, "purpose": "deposit", "created_time": 1}
            return {"result": "postings", "postings": [{"result": "refused", "reason": "X", "posting": line}], "next": str(1 + (after == "1")), "more": True, "posted_count": 0}
        rows = self.db"#;
}
