//! A provider stub on this machine: answers Stripe's create call and nothing else. As thin as possible, because it runs on
//! the cores that are being measured.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::{BenchResult, print};

/// Serves until killed; prints its address first.
pub(crate) fn serve() -> BenchResult<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        print(&listener.local_addr()?.to_string());
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(async move {
                // The caller notices a broken connection.
                let _ = answer_all(stream).await;
            });
        }
    })
}

async fn answer_all(mut stream: TcpStream) -> BenchResult<()> {
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
        let answer = created(&String::from_utf8_lossy(&request));
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nrequest-id: req_1\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        stream.write_all([head, answer].concat().as_bytes()).await?;
    }
}

/// The length of the first request in the buffer, once all of it is there.
pub(crate) fn whole(received: &[u8]) -> Option<usize> {
    let head = received.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(received.get(..head)?).ok()?.to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    let total = head + length.unwrap_or(0);
    (received.len() >= total).then_some(total)
}

/// A session whose id contains the reference, so that a webhook can be made from the deposit's answer alone.
fn created(request: &str) -> String {
    let reference = field(request, "client_reference_id=");
    let amount = field(request, "unit_amount%5D=");
    format!(
        r#"{{"id":"{}","object":"checkout.session","amount_subtotal":{amount},"amount_total":{amount},"client_reference_id":"{reference}","created":1795159000,"currency":"usd","customer":null,"expires_at":4102444800,"livemode":false,"metadata":{{"transaction_id":"{reference}"}},"mode":"payment","payment_intent":null,"payment_method_types":["card"],"payment_status":"unpaid","status":"open","url":"https://checkout.stripe.com/c/pay/{}"}}"#,
        session_of(reference),
        session_of(reference),
    )
}

/// The session id of a reference.
pub(crate) fn session_of(reference: &str) -> String {
    format!("cs_test_{reference}a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9")
}

/// The reference within a session id.
pub(crate) fn reference_of(session: &str) -> Option<&str> {
    session.strip_prefix("cs_test_")?.get(..20)
}

fn field<'a>(request: &'a str, name: &str) -> &'a str {
    let rest = request.split_once(name).map_or("", |(_, rest)| rest);
    rest.split('&').next().unwrap_or_default()
}
