#!/usr/bin/env python3
"""A trading server for the cashier, to copy from: docs/trading-server.md in Python 3's standard library alone.

Groups, customers and accounts come from a JSON roster, balances and postings live in one SQLite file. What matters:
the answer leaves after the commit is on disk, and a key is judged, recorded and its balance moved in one transaction.
"""
import argparse, base64, contextlib, hashlib, hmac, json, os, re, sqlite3, ssl, sys, threading, time, uuid
from decimal import Decimal, localcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CLOCK_TOLERANCE = 300      # seconds that the two clocks may differ
BODY_BYTES_MAX = 64 * 1024
PAGE_MAX = 500             # postings of one answer
ID_MAX = 2**53 - 1
MINOR_MAX = 10**15         # the largest balance, in minor units: beyond it the cashier does not read it
DECIMALS = {**dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF".split(), 0),
            **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
            "ADA": 6, "BCH": 8, "BNB": 8, "BTC": 8, "DAI": 8, "DASH": 8, "DOGE": 8, "DOT": 8, "ETH": 8, "LTC": 8, "SOL": 8, "TON": 8, "TRX": 6, "USDC": 6, "USDT": 6, "XMR": 8, "XRP": 6}  # of a currency; others have 2
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


class CallError(Exception):
    """Status, code and message. The call failed: nothing was judged, and for a posting the outcome stays what it was."""


def signature(secret, message_id, timestamp, body):
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


def verify(secrets, headers, body, restored_at):
    """Answers the request's id. Any secret may have signed, so that secrets can be replaced one side after the other."""
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", message_id) or not re.fullmatch(r"[0-9]{1,12}", timestamp):
        raise CallError(401, "bad_signature", "webhook-id or webhook-timestamp is missing or malformed")
    stated = headers.get("webhook-signature", "").encode("latin-1").split()
    expected = [signature(secret, message_id, timestamp, body).encode() for secret in secrets]
    if not any(hmac.compare_digest(one, other) for one in stated for other in expected):
        raise CallError(401, "bad_signature", "no signature is by a secret of ours")
    if abs(time.time() - int(timestamp)) > CLOCK_TOLERANCE:
        raise CallError(401, "old_timestamp", f"the timestamp is {timestamp}, the time here is {int(time.time())}")
    if int(timestamp) < restored_at + CLOCK_TOLERANCE:  # it may be of before, and its key may be lost
        raise CallError(401, "old_timestamp", f"the timestamp is {timestamp}, and a backup was put back at {restored_at}")
    return message_id


def require(holds, message):
    if not holds:
        raise CallError(400, "malformed", message)


def member(of, name, kind):
    value = of.get(name)
    require(type(value) is kind, f"{name} must be {kind.__name__}")
    return value


def an_id(of, name):
    require(1 <= member(of, name, int) <= ID_MAX, f"{name} must be from 1 to 2^53 - 1")
    return of[name]


def decimal(text):
    require(re.fullmatch(r"-?[0-9]{1,16}(\.[0-9]{1,8})?", text), "an amount must be a plain decimal in a string")
    return Decimal(text)


def checked(posting):
    """What is not of its form is an error of the call, before anything is recorded."""
    for name in ("transaction_id", "operation_id", "login", "customer_id"):
        an_id(posting, name)
    for name in ("key", "currency", "amount", "purpose"):
        member(posting, name, str)
    require(re.fullmatch(r"[0-9A-Za-z]{20}:[0-9]{1,10}|[0-9]{1,16}", posting["key"]), "key must be the key of an operation")
    decimals = -decimal(posting["amount"]).normalize().as_tuple().exponent
    require(decimals <= DECIMALS.get(posting["currency"], 2), "amount has more decimals than its currency")
    require(posting["purpose"] in ("deposit", "withdrawal", "reversal"), "purpose must be deposit, withdrawal or reversal")
    require(member(posting, "cmd", int) in (6, 8), "cmd must be 6 or 8")
    if "only_on" in posting:
        require(member(posting, "only_on", int) in (0, 1), "only_on must be 0 or 1, or be left out")
    return posting


def plain(value):
    return format(value, "f")


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
            self.load(roster)

    def load(self, roster):
        """Adds and updates rows. What an account's balance is in never changes: neither its group's currency, nor to another's."""
        for row in roster.get("groups", []):
            self.keep_currency(f"group {row['group']}", self.row("groups", "name", row["group"]), row)
            self.db.execute("INSERT OR REPLACE INTO groups VALUES (?, ?)", (row["group"], json.dumps(row)))
        for row in roster.get("customers", []):
            self.db.execute("INSERT OR REPLACE INTO customers VALUES (?, ?)", (row["customer_id"], json.dumps(row)))
        for row in roster.get("accounts", []):
            before = self.row("accounts", "login", row["login"])
            groups = [self.row("groups", "name", one["group"]) for one in (before or row, row)]
            if None in groups:  # its currency would be that of whichever group is defined so later
                raise SystemExit(f"account {row['login']} is of a group that is not known: {row['group']}")
            self.keep_currency(f"account {row['login']}", *groups)
            balance = plain(Decimal(str(row.pop("balance", "0"))))  # counts only when the account is created
            self.db.execute("INSERT INTO accounts VALUES (?, ?, ?) ON CONFLICT (login) DO UPDATE SET row = excluded.row",
                            (row["login"], json.dumps(row), balance))

    def keep_currency(self, of, before, now):
        if before and before["currency"] != now["currency"]:
            raise SystemExit(f"the currency of {of} is {before['currency']} and cannot become {now['currency']}")

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
        found = self.db.execute(f"SELECT row FROM {table} WHERE {column} = ?", (value,)).fetchone()
        return json.loads(found[0]) if found else None

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
        limit = min(max(member(request, "limit", int), 1), PAGE_MAX)
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


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"   # connections are used again
    disable_nagle_algorithm = True
    timeout = 60                    # a connection that sends nothing

    def do_POST(self):
        try:
            stated = self.headers.get("content-length", "")
            length = int(stated) if re.fullmatch(r"[0-9]{1,12}", stated) else -1
            if not 0 <= length <= BODY_BYTES_MAX:
                self.close_connection = True
                self.rfile.read(min(max(length, 0), 16 * BODY_BYTES_MAX))  # a client that is still sending sees the answer
                raise CallError(413, "too_large", f"a body needs a content-length of at most {BODY_BYTES_MAX} bytes")
            body = self.rfile.read(length)
            message_id = verify(self.server.secrets, self.headers, body, self.server.restored_at)
            try:
                request = json.loads(body)
            except ValueError as error:
                raise CallError(400, "malformed", f"the body is not JSON: {error}") from error
            require(type(request) is dict, "the body must be an object")
            self.reply(200, self.server.trading.answer(request), f"{message_id}.answer")
        except CallError as error:
            status, code, message = error.args
            self.reply(status, {"error": code, "message": message})
        except Exception as error:  # the database failed, or a defect: it is not known what became of the call
            self.log_error("call failed: %r", error)
            self.reply(500, {"error": "failed", "message": "see the server's log"})

    def reply(self, status, answer, message_id=None):
        body, now = json.dumps(answer).encode(), str(int(time.time()))
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        if self.close_connection:  # a body was not read: no other request may follow it
            self.send_header("connection", "close")
        if message_id is not None:  # every secret signs, so that the cashier may know either
            self.send_header("webhook-id", message_id)
            self.send_header("webhook-timestamp", now)
            signatures = [signature(secret, message_id, now, body) for secret in self.server.secrets]
            self.send_header("webhook-signature", " ".join(signatures))
        self.end_headers()
        self.wfile.write(body)


def main():
    parser = argparse.ArgumentParser(description="A trading server for the cashier, to copy from.")
    parser.add_argument("--listen", default="127.0.0.1:8095", help="address and port; port 0 takes a free one")
    parser.add_argument("--roster", required=True, help="JSON file with groups, customers, accounts and rates")
    parser.add_argument("--database", required=True, help="SQLite file; made where there is none")
    parser.add_argument("--secret-file", required=True, help="one whsec_… a line; several while they are replaced")
    parser.add_argument("--new-instance", action="store_true", help="for a copy, or after a backup was put back")
    parser.add_argument("--restored-at", type=int, default=0, metavar="SECONDS",
                        help="when a backup was put back, in Unix seconds: what was sent before that is refused")
    parser.add_argument("--tls-certificate", help="PEM chain; with --tls-key the server speaks HTTPS")
    parser.add_argument("--tls-key", help="PEM key")
    options = parser.parse_args()
    os.umask(0o077)  # the database is for its owner alone
    host, port = options.listen.rsplit(":", 1)
    with open(options.secret_file, encoding="ascii") as lines:
        secrets = [base64.b64decode(line.strip().removeprefix("whsec_"), validate=True) for line in lines
                   if line.strip() and not line.startswith("#")]
    if not secrets or min(map(len, secrets)) < 24:
        sys.exit("the secret file needs at least one whsec_ line of 24 bytes or more in base64")
    with open(options.roster, encoding="utf-8") as roster:
        trading = TradingServer(options.database, json.load(roster, parse_float=Decimal), options.new_instance)
    ThreadingHTTPServer.request_queue_size = 128
    server = ThreadingHTTPServer((host, int(port)), Handler)
    server.daemon_threads, server.trading, server.secrets, server.restored_at = True, trading, secrets, options.restored_at
    if options.tls_certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options.tls_certificate, options.tls_key)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(f"listening on {host}:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
