"""The rows of a JSON roster: groups, customers and accounts. What an account's balance is in never changes: neither its group's currency,
nor that of another group."""
import json
from decimal import Decimal

from forms import plain


def row(db, table, column, value):
    found = db.execute(f"SELECT row FROM {table} WHERE {column} = ?", (value,)).fetchone()
    return json.loads(found[0]) if found else None


def load(db, roster):
    """Adds and updates rows, within a transaction of its caller."""
    for group in roster.get("groups", []):
        keep_currency(f"group {group['group']}", row(db, "groups", "name", group["group"]), group)
        db.execute("INSERT OR REPLACE INTO groups VALUES (?, ?)", (group["group"], json.dumps(group)))
    for customer in roster.get("customers", []):
        db.execute("INSERT OR REPLACE INTO customers VALUES (?, ?)", (customer["customer_id"], json.dumps(customer)))
    for account in roster.get("accounts", []):
        before = row(db, "accounts", "login", account["login"])
        groups = [row(db, "groups", "name", one["group"]) for one in (before or account, account)]
        if None in groups:  # its currency would be that of whichever group is defined so later
            raise SystemExit(f"account {account['login']} is of a group that is not known: {account['group']}")
        keep_currency(f"account {account['login']}", *groups)
        balance = plain(Decimal(str(account.pop("balance", "0"))))  # counts only when the account is created
        db.execute("INSERT INTO accounts VALUES (?, ?, ?) ON CONFLICT (login) DO UPDATE SET row = excluded.row",
                   (account["login"], json.dumps(account), balance))


def keep_currency(of, before, now):
    if before and before["currency"] != now["currency"]:
        raise SystemExit(f"the currency of {of} is {before['currency']} and cannot become {now['currency']}")
