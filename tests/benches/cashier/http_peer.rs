//! A trading server behind the cashier's own protocol (docs/trading-server.md), as a broker could have one: signed both ways, every
//! posting under its key, in memory and without a sync. It counts what it is asked for. It shares no code with the adapter.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cashier_core::operation::OperationKey;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::full_server::{CUSTOMERS, LOGIN_BASE};
use crate::stub::whole;
use crate::{BenchResult, print, rows};

/// The secret of both sides, of the pages.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

const INSTANCE: &str = "83d68852ef88401d";
/// Seconds that both clocks may differ.
const TOLERANCE: u64 = 300;
/// Order numbers of what was posted before it ran are below this.
const ORDERS_FROM: u64 = 1_000_000_000;

/// Serves until killed; prints its address first. It has the credits of the deposits 1 to this of `rows` already.
pub(crate) fn serve(stored: &str) -> BenchResult<()> {
    let peer = HttpPeer::new(stored.parse()?)?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        // Calls, and questions about what was called, at one address.
        let address = listener.local_addr()?.to_string();
        print(&address);
        print(&address);
        let peer = Rc::new(RefCell::new(peer));
        let serving = tokio::task::LocalSet::new();
        serving
            .run_until(async move {
                loop {
                    let (stream, _) = listener.accept().await?;
                    let peer = Rc::clone(&peer);
                    tokio::task::spawn_local(async move {
                        // The caller notices a broken connection.
                        let _ = answer_all(stream, |request| peer.borrow_mut().answer(request)).await;
                    });
                }
            })
            .await
    })
}

async fn answer_all(mut stream: TcpStream, answer: impl Fn(&[u8]) -> BenchResult<String>) -> BenchResult<()> {
    stream.set_nodelay(true)?;
    let mut received = Vec::with_capacity(8 * 1024);
    loop {
        let Some(total) = whole(&received) else {
            if stream.read_buf(&mut received).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let request: Vec<u8> = received.drain(..total).collect();
        stream.write_all(answer(&request)?.as_bytes()).await?;
    }
}

/// What is recorded under a key.
struct Recorded {
    /// As it was received.
    posting: Value,
    outcome: PeerOutcome,
}

enum PeerOutcome {
    Posted { order: u64 },
    Refused { reason: String },
}

struct HttpPeer {
    secret: Vec<u8>,
    /// Minor units, by customer.
    balances: HashMap<u64, i64>,
    /// Credits of `rows` that were posted before.
    stored: u64,
    recorded: Vec<Recorded>,
    by_key: HashMap<String, usize>,
    posted_count: u64,
    calls: BTreeMap<String, u64>,
    rows_listed: u64,
    /// When it was asked about postings first and last.
    checked: Option<(Instant, Instant)>,
}

impl HttpPeer {
    fn new(stored: u64) -> BenchResult<Self> {
        Ok(Self {
            secret: STANDARD.decode(SECRET.trim_start_matches("whsec_"))?,
            balances: (1..=CUSTOMERS).map(|customer| (customer, 0)).collect(),
            stored,
            recorded: Vec::new(),
            by_key: HashMap::new(),
            posted_count: stored,
            calls: BTreeMap::new(),
            rows_listed: 0,
            checked: None,
        })
    }

    /// The whole answer to a request. `GET` answers what it was asked for so far, and is not counted.
    fn answer(&mut self, request: &[u8]) -> BenchResult<String> {
        if request.starts_with(b"GET ") {
            let moved: i64 = self.balances.values().sum();
            let checked = self.checked.map_or(0, |(first, last)| last.duration_since(first).as_micros() as u64);
            let (calls, rows, posted) = (&self.calls, self.rows_listed, self.posted_count - self.stored);
            return Ok(reply(
                200,
                "",
                &json!({"calls": calls, "rows": rows, "posted": posted, "moved": moved, "checked_us": checked})
                    .to_string(),
            ));
        }
        let end = request.windows(4).position(|window| window == b"\r\n\r\n").ok_or("no head")?;
        let (head, body) = request.split_at(end + 4);
        let head = std::str::from_utf8(head)?;
        let header = |name: &str| {
            let of = |line: &'_ str| line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
            head.lines().find(|line| of(line)).and_then(|line| Some(line.split_once(':')?.1.trim()))
        };
        let (Some(id), Some(timestamp), Some(signature)) =
            (header("webhook-id:"), header("webhook-timestamp:"), header("webhook-signature:"))
        else {
            return Ok(reply(401, "", r#"{"error":"bad_signature"}"#));
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        if id.contains('.') || !signature.split(' ').any(|one| self.is_signed(one, id, timestamp, body)) {
            return Ok(reply(401, "", r#"{"error":"bad_signature"}"#));
        }
        if timestamp.parse::<u64>()?.abs_diff(now) > TOLERANCE {
            return Ok(reply(401, "", r#"{"error":"old_timestamp"}"#));
        }
        let request: Value = serde_json::from_slice(body)?;
        let call = request.get("call").and_then(Value::as_str).unwrap_or_default();
        *self.calls.entry(call.to_owned()).or_default() += 1;
        if matches!(call, "postings" | "find") {
            let now = Instant::now();
            self.checked = Some((self.checked.map_or(now, |(first, _)| first), now));
        }
        if call != "identity" && request.get("instance").and_then(Value::as_str) != Some(INSTANCE) {
            return Ok(reply(421, "", r#"{"error":"wrong_instance"}"#));
        }
        let Some(answer) = self.judge(call, &request) else {
            return Ok(reply(400, "", r#"{"error":"malformed"}"#));
        };
        let (id, body) = (format!("{id}.answer"), answer.to_string());
        let signature = STANDARD.encode(self.mac(&id, &now.to_string(), body.as_bytes()).finalize().into_bytes());
        let signed = format!("webhook-id: {id}\r\nwebhook-timestamp: {now}\r\nwebhook-signature: v1,{signature}\r\n");
        Ok(reply(200, &signed, &body))
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
        // HMAC takes keys of every length.
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.secret).unwrap_or_else(|_| unreachable!("HMAC takes any key"));
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac
    }

    fn is_signed(&self, signature: &str, id: &str, timestamp: &str, body: &[u8]) -> bool {
        let stated = signature.strip_prefix("v1,").and_then(|text| STANDARD.decode(text).ok());
        stated.is_some_and(|stated| self.mac(id, timestamp, body).verify_slice(&stated).is_ok())
    }

    /// The result of a call; `None` where it is not of its form.
    fn judge(&mut self, call: &str, request: &Value) -> Option<Value> {
        let number = |name: &str| request.get(name).and_then(Value::as_u64);
        let posting = request.get("posting");
        Some(match call {
            "identity" => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
                json!({"result": "identity", "name": "bench", "instance": INSTANCE, "protocol": 1, "time": now})
            }
            "health" => json!({"result": "ready"}),
            "customer" => match number("customer_id")? {
                id if self.balances.contains_key(&id) => json!({"result": "customer", "customer": customer(id)}),
                _ => json!({"result": "none"}),
            },
            "account" => {
                let login = number("login")?;
                let id = login.checked_sub(LOGIN_BASE)?;
                match self.balances.get(&id) {
                    Some(balance) => {
                        json!({"result": "account", "customer": customer(id), "group": group(), "account": {
                            "login": login, "customer_id": id, "group": "demo-usd", "enable": 1, "balance": decimal(*balance),
                        }})
                    }
                    None => json!({"result": "none"}),
                }
            }
            "groups" => json!({"result": "groups", "groups": [group()]}),
            "rate" => json!({"result": "none"}),
            "post" => self.post(posting?)?,
            "find" => self
                .known(posting?)?
                .unwrap_or_else(|| json!({"result": "none", "key": posting.and_then(|posting| posting.get("key"))})),
            "void" => {
                let reason = request.get("reason")?.as_str()?.to_owned();
                match self.known(posting?)? {
                    Some(known) => known,
                    None => self.record(posting?, PeerOutcome::Refused { reason })?,
                }
            }
            "postings" => self.list(request)?,
            _ => return None,
        })
    }

    fn post(&mut self, posting: &Value) -> Option<Value> {
        if let Some(known) = self.known(posting)? {
            return Some(known);
        }
        let customer = posting.get("customer_id")?.as_u64()?;
        let refused = |reason: &str| PeerOutcome::Refused { reason: reason.to_owned() };
        let owner = posting.get("login")?.as_u64()?.checked_sub(LOGIN_BASE)?;
        let amount = minor(posting.get("amount")?.as_str()?)?;
        let is_out = posting.get("cmd")?.as_u64()? == 8;
        let outcome = match self.balances.get(&owner) {
            _ if amount == 0 || (amount < 0) != is_out => refused("INVALID_AMOUNT"),
            None => refused("ACCOUNT_NOT_FOUND"),
            Some(_) if owner != customer => refused("OWNER_MISMATCH"),
            Some(_) if posting.get("currency")?.as_str()? != "USD" => refused("CURRENCY_MISMATCH"),
            Some(_) if posting.get("only_on").and_then(Value::as_u64) == Some(1) => refused("LIVE_ON_DEMO_ACCOUNT"),
            Some(balance) if balance + amount < 0 => refused("INSUFFICIENT_BALANCE"),
            Some(_) => PeerOutcome::Posted { order: ORDERS_FROM + self.posted_count },
        };
        if matches!(outcome, PeerOutcome::Posted { .. }) {
            *self.balances.get_mut(&owner)? += amount;
            self.posted_count += 1;
        }
        self.record(posting, outcome)
    }

    fn record(&mut self, posting: &Value, outcome: PeerOutcome) -> Option<Value> {
        let key = posting.get("key")?.as_str()?.to_owned();
        let answer = answer_of(&key, &outcome);
        self.by_key.insert(key, self.recorded.len());
        self.recorded.push(Recorded { posting: posting.clone(), outcome });
        Some(answer)
    }

    /// What is recorded under the key of a posting, whose values are compared.
    fn known(&self, posting: &Value) -> Option<Option<Value>> {
        const COMPARED: [&str; 7] = ["transaction_id", "login", "customer_id", "currency", "amount", "cmd", "purpose"];
        let key = posting.get("key")?.as_str()?;
        let earlier = match self.by_key.get(key).and_then(|place| self.recorded.get(*place)) {
            Some(Recorded { posting, outcome }) => (posting.clone(), answer_of(key, outcome)),
            None => match self.stored(posting.get("transaction_id")?.as_u64()?) {
                Some((stored, order)) if stored.get("key") == posting.get("key") => {
                    (stored, answer_of(key, &PeerOutcome::Posted { order }))
                }
                _ => return Some(None),
            },
        };
        let is_same = COMPARED.iter().all(|name| earlier.0.get(*name) == posting.get(*name));
        Some(Some(if is_same { earlier.1 } else { json!({"result": "conflict", "key": key}) }))
    }

    /// The credit of a deposit of `rows` as it was received, and its order.
    fn stored(&self, id: u64) -> Option<(Value, u64)> {
        if !(1..=self.stored).contains(&id) {
            return None;
        }
        let (deposit, credit) = (rows::deposit(id), rows::credit(id));
        let posting = json!({
            "key": OperationKey::of(&deposit.reference, &credit).as_str(), "transaction_id": id, "operation_id": credit.id.0,
            "login": credit.login.0, "customer_id": deposit.customer_id.0, "currency": "USD",
            "amount": credit.amount.to_wire(), "cmd": 6, "purpose": "deposit", "comment": format!("cashier {id}"),
            "created_time": credit.created_time.0,
        });
        Some((posting, credit.trade_order))
    }

    fn list(&mut self, request: &Value) -> Option<Value> {
        let after = request.get("after")?.as_str()?;
        let limit = request.get("limit")?.as_u64().filter(|limit| (1..=500).contains(limit))?;
        let first: u64 = if after.is_empty() { 0 } else { after.parse().ok()? };
        let all = self.stored + self.recorded.len() as u64;
        let last = all.min(first + limit);
        let postings: Option<Vec<Value>> = (first..last)
            .map(|place| {
                if let Some((posting, order)) = self.stored(place + 1) {
                    return Some(json!({"result": "posted", "order": order, "posting": posting}));
                }
                let Recorded { posting, outcome } = self.recorded.get(usize::try_from(place - self.stored).ok()?)?;
                Some(match outcome {
                    PeerOutcome::Posted { order } => json!({"result": "posted", "order": order, "posting": posting}),
                    PeerOutcome::Refused { reason } => {
                        json!({"result": "refused", "reason": reason, "posting": posting})
                    }
                })
            })
            .collect();
        self.rows_listed += last.saturating_sub(first);
        let next = if last > first { last.to_string() } else { after.to_owned() };
        let count = self.posted_count;
        Some(
            json!({"result": "postings", "postings": postings?, "next": next, "more": last < all, "posted_count": count}),
        )
    }
}

fn answer_of(key: &str, outcome: &PeerOutcome) -> Value {
    match outcome {
        PeerOutcome::Posted { order } => json!({"result": "posted", "key": key, "order": order}),
        PeerOutcome::Refused { reason } => json!({"result": "refused", "key": key, "reason": reason}),
    }
}

fn customer(id: u64) -> Value {
    json!({"customer_id": id, "country": "DE", "brand": "ion4", "status": 0, "deposit_allowed": 1, "withdrawal_allowed": 1})
}

fn group() -> Value {
    json!({"group": "demo-usd", "brand": "ion4", "currency": "USD", "account_mode": 0, "enable": 1})
}

fn reply(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Bench\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )
}

/// Cents of a decimal as the cashier writes it.
fn minor(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{}", format!("{fraction:0<2}").get(..2)?).parse().ok()
}

fn decimal(minor: i64) -> String {
    format!("{}{}.{:02}", if minor < 0 { "-" } else { "" }, minor.abs() / 100, minor.abs() % 100)
}
