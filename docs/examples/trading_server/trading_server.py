#!/usr/bin/env python3
"""A trading server for the cashier, to copy from: docs/trading-server.md in Python 3's standard library alone.

Here are the calls, in signed_http.py the signatures, in forms.py what a value must be, in roster.py where groups,
customers and accounts come from. Balances and postings live in one SQLite file. What matters: the answer leaves after
the commit is on disk, and a key is judged, recorded and its balance moved in one transaction.
"""
import contextlib, json, re, sqlite3, sys, threading, time, uuid
from decimal import Decimal, localcontext

import roster as rosters
import signed_http
from forms import DECIMALS, CallError, an_id, checked, member, plain, require

PAGE_MAX = 500             # postings of one answer
MINOR_MAX = 10**15         # the largest balance, in minor units: beyond it the cashier does not read it
COMPARED = ("transaction_id", "login", "customer_id", "currency", "cmd", "purpose")  # and the amount, by value
CALLS = ("identity", "health", "customer", "account", "groups", "post", "find", "void", "postings", "rate")

SCHEMA = """
CREATE TABLE IF NOT EXISTS server (instance TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS groups (name TEXT PRIMARY KEY, row TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS customers (id INTEGER PRIMARY KEY, row TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS accounts (login INTEGER PRIMARY KEY, row TEXT NOT NULL, balance TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS postings (number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE,
  compared TEXT NOT NULL, posting TEXT NOT NULL, result TEXT NOT NULL, reason TEXT NOT NULL);
"""


class TradingServer:
    def __init__(self, database, roster, new_instance=False):
        self.lock = threading.Lock()
        self.db = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
        self.db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + SCHEMA)
        self.rates = {(line["from"], line["to"]): line for line in roster.get("rates", [])}
        if any(type(line.get("time")) is not int for line in self.rates.values()):
            sys.exit("each of the rates needs the time at which it was made: an old one must not look new")
        with self.transaction():
            if not self.db.execute("SELECT 1 FROM server").fetchone():
                self.db.execute("INSERT INTO server VALUES (?)", (uuid.uuid4().hex,))
            if new_instance:  # a copy, or a backup that was put back: a cashier that knew the former one posts nothing here
                self.db.execute("UPDATE server SET instance = ?", (uuid.uuid4().hex,))
            self.instance = self.db.execute("SELECT instance FROM server").fetchone()[0]
            rosters.load(self.db, roster)

    @contextlib.contextmanager
    def transaction(self):
        with self.lock:
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.db.execute("COMMIT")  # returns once the rows are on disk
            except BaseException:
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")
                raise

    def answer(self, request):
        call = member(request, "call", str)
        if call not in CALLS:
            raise CallError(400, "unknown_call", "there is no such call")
        if call != "identity" and member(request, "instance", str) != self.instance:
            raise CallError(421, "wrong_instance", f"this is the instance {self.instance}")
        with self.transaction(), localcontext() as context:
            context.prec = 60  # every sum of amounts is exact
            return getattr(self, call)(request)

    def identity(self, _):
        return {"result": "identity", "name": "reference server", "instance": self.instance, "protocol": 1,
                "time": int(time.time())}

    def health(self, _):
        return {"result": "ready"}  # the transaction around every call has shown that the database works

    def row(self, table, column, value):
        return rosters.row(self.db, table, column, value)

    def customer(self, request):
        customer = self.row("customers", "id", an_id(request, "customer_id"))
        return {"result": "customer", "customer": customer} if customer else {"result": "none"}

    def facts(self, login):
        found = self.db.execute("SELECT row, balance FROM accounts WHERE login = ?", (login,)).fetchone()
        account = dict(json.loads(found[0]), balance=found[1]) if found else {}
        group = self.row("groups", "name", account.get("group"))
        customer = self.row("customers", "id", account.get("customer_id"))
        return (account, customer, group) if account and customer and group else None

    def account(self, request):
        facts = self.facts(an_id(request, "login"))
        if facts is None:
            return {"result": "none"}
        return {"result": "account", "account": facts[0], "customer": facts[1], "group": facts[2]}

    def groups(self, _):
        return {"result": "groups", "groups": [json.loads(row) for row, in self.db.execute("SELECT row FROM groups")]}

    def known(self, posting):
        """What is recorded under the posting's key, and the values that are compared."""
        compared = json.dumps([posting[name] for name in COMPARED] + [plain(Decimal(posting["amount"]).normalize())])
        found = self.db.execute("SELECT number, compared, result, reason FROM postings WHERE key = ?",
                                (posting["key"],)).fetchone()
        if found is None:
            return None, compared
        number, before, result, reason = found
        return outcome(posting["key"], number, "conflict" if before != compared else result, reason), compared

    def record(self, posting, compared, result, reason):
        number = self.db.execute("INSERT INTO postings (key, compared, posting, result, reason) VALUES (?, ?, ?, ?, ?)",
                                 (posting["key"], compared, json.dumps(posting), result, reason)).lastrowid
        return outcome(posting["key"], number, result, reason)

    def post(self, request):
        posting = checked(member(request, "posting", dict))
        known, compared = self.known(posting)
        if known is not None:
            return known
        facts = self.facts(posting["login"])
        reason = refusal(facts, posting)
        if reason:
            return self.record(posting, compared, "refused", reason)
        balance = Decimal(facts[0]["balance"]) + Decimal(posting["amount"])
        self.db.execute("UPDATE accounts SET balance = ? WHERE login = ?", (plain(balance), posting["login"]))
        return self.record(posting, compared, "posted", "")

    def find(self, request):
        posting = checked(member(request, "posting", dict))
        return self.known(posting)[0] or {"result": "none", "key": posting["key"]}

    def void(self, request):
        posting, reason = checked(member(request, "posting", dict)), member(request, "reason", str)
        known, compared = self.known(posting)
        return known or self.record(posting, compared, "refused", reason)

    def postings(self, request):
        after = member(request, "after", str) or "0"
        require(re.fullmatch(r"[0-9]{1,15}", after), "after must be empty or a next of ours")
        limit = member(request, "limit", int)
        require(1 <= limit <= PAGE_MAX, f"limit must be from 1 to {PAGE_MAX}")
        rows = self.db.execute("SELECT number, posting, result, reason FROM postings WHERE number > ? ORDER BY number LIMIT ?",
                               (after, limit + 1)).fetchall()
        lines = [dict(outcome(None, number, result, reason), posting=json.loads(posting))
                 for number, posting, result, reason in rows[:limit]]
        count = self.db.execute("SELECT count(*) FROM postings WHERE result = 'posted'").fetchone()[0]
        return {"result": "postings", "postings": lines, "next": str(rows[:limit][-1][0]) if rows else after,
                "more": len(rows) > limit, "posted_count": count}

    def rate(self, request):
        pair = (member(request, "from", str), member(request, "to", str))
        line = self.rates.get(pair)
        if line is None:
            return {"result": "none"}
        return {"result": "rate", "from": pair[0], "to": pair[1], "rate": plain(Decimal(str(line["rate"]))),
                "time": line["time"], "source": line.get("source", "roster")}


def outcome(key, number, result, reason):
    key = {} if key is None else {"key": key}
    return {"result": result, **key, **{"posted": {"order": number}, "refused": {"reason": reason}}.get(result, {})}


def refusal(facts, posting):
    """Why a posting moves nothing; None where it may be made."""
    amount, sign = Decimal(posting["amount"]), {6: 1, 8: -1}.get(posting["cmd"], 0)
    if amount * sign <= 0:
        return "INVALID_AMOUNT"
    if facts is None:
        return "ACCOUNT_NOT_FOUND"
    account, _, group = facts
    if account["customer_id"] != posting["customer_id"]:
        return "OWNER_MISMATCH"
    if group["currency"] != posting["currency"]:
        return "CURRENCY_MISMATCH"
    if posting.get("only_on", group["account_mode"]) != group["account_mode"]:
        return "SANDBOX_ON_REAL_ACCOUNT" if group["account_mode"] == 1 else "LIVE_ON_DEMO_ACCOUNT"
    if posting["purpose"] == "withdrawal" and not (account["enable"] and group["enable"]):
        return "ACCOUNT_DISABLED"
    if sign < 0 and Decimal(account["balance"]) + amount < 0:
        return "INSUFFICIENT_BALANCE"
    if (Decimal(account["balance"]) + amount).scaleb(DECIMALS.get(group["currency"], 2)) > MINOR_MAX:
        return "X_BALANCE_TOO_LARGE"  # a reason of our own
    return None


if __name__ == "__main__":
    signed_http.main(TradingServer)
