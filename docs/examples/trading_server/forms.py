"""What a value of a call must be. Money is Decimal everywhere, and its texts are plain."""
import re
from decimal import Decimal

ID_MAX = 2**53 - 1
DECIMALS = {**dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0),
            **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
            "CLF": 4, "UYW": 4, "ADA": 6, "BCH": 8, "BNB": 8, "BTC": 8, "DAI": 8, "DASH": 8, "DOGE": 8, "DOT": 8, "ETH": 8, "LTC": 8, "SOL": 8, "TON": 8, "TRX": 6, "USDC": 6, "USDT": 6, "XMR": 8, "XRP": 6}  # of a currency; others have 2


class CallError(Exception):
    """Status, code and message. The call failed: nothing was judged, and for a posting the outcome stays what it was."""


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
