"""HTTP with the signatures of Standard Webhooks in both directions. What a call means is not its business."""
import argparse, base64, hashlib, hmac, json, os, re, ssl, sys, time
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from forms import CallError, require

CLOCK_TOLERANCE = 300      # seconds that the two clocks may differ
BODY_BYTES_MAX = 64 * 1024


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


def main(make):
    """Reads the options and serves what `make` returns for a database, a roster and whether it is a new instance."""
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
        trading = make(options.database, json.load(roster, parse_float=Decimal), options.new_instance)
    ThreadingHTTPServer.request_queue_size = 128
    server = ThreadingHTTPServer((host, int(port)), Handler)
    server.daemon_threads, server.trading, server.secrets, server.restored_at = True, trading, secrets, options.restored_at
    if options.tls_certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options.tls_certificate, options.tls_key)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(f"listening on {host}:{server.server_address[1]}", flush=True)
    server.serve_forever()
