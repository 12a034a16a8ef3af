//! The hosted page as HTML: self-contained, no script, everything escaped. Pure; does not build HTTP responses.

use std::fmt;

use crate::wire::{Payment, PaymentStatus};

/// The page loads nothing; only its own inline style applies. There is no `form-action`:
/// browsers apply it also to the redirect to the merchant after the form.
pub(crate) const CONTENT_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

const STYLE: &str = "\
:root{color-scheme:light dark;font-family:system-ui,sans-serif;line-height:1.5}\
body{margin:0;min-height:100vh;display:grid;place-items:center;background:Canvas;color:CanvasText}\
main{box-sizing:border-box;width:min(26rem,100%);padding:2rem;border:1px solid #8885;border-radius:12px}\
h1{font-size:1rem;margin:0;font-weight:600}\
.amount{font-size:2.25rem;font-weight:700;margin:.5rem 0;overflow-wrap:anywhere}\
dl{display:grid;grid-template-columns:auto 1fr;gap:.25rem 1rem;margin:1rem 0;font-size:.9rem}\
dt{opacity:.7}dd{margin:0;overflow-wrap:anywhere}\
form{margin:.5rem 0 0}\
button,.back{box-sizing:border-box;display:block;width:100%;padding:.75rem;font:inherit;text-align:center;\
border:1px solid #8888;border-radius:8px;background:transparent;color:inherit;cursor:pointer;text-decoration:none}\
.pay{background:#0a6b3d;border-color:#0a6b3d;color:#fff;font-weight:600}\
.note{font-size:.8rem;opacity:.7;margin:1rem 0 0}";

/// The page of a payment: buttons while it is pending, its result afterwards.
pub(crate) fn render(payment: &Payment, merchant: &str) -> String {
    let Payment { status, amount, currency, reference, method, description, payment_url, .. } = payment;
    let button = |action: &str, label: &str, class: &str| {
        format!(
            "<form method=\"post\" action=\"{}/{action}\"><button class=\"{class}\">{label}</button></form>",
            Escaped(payment_url)
        )
    };
    let (status_text, buttons) = match status {
        PaymentStatus::Pending => (
            "Waiting for payment".to_owned(),
            [button("pay", "Pay", "pay"), button("decline", "Decline", ""), button("cancel", "Cancel", "")].concat(),
        ),
        PaymentStatus::Failed => (
            format!("Declined: {}", Escaped(&payment.failure_reason)),
            [button("pay", "Try again", "pay"), button("cancel", "Cancel", "")].concat(),
        ),
        PaymentStatus::Confirmed => ("Paid".to_owned(), back(&payment.success_url)),
        PaymentStatus::Refunded => ("Refunded".to_owned(), back(&payment.success_url)),
        PaymentStatus::Chargeback => ("Charged back".to_owned(), back(&payment.failure_url)),
        PaymentStatus::Cancelled => ("Cancelled".to_owned(), back(&payment.failure_url)),
    };
    let detail = |name: &str, value: &str| match value {
        "" => String::new(),
        value => format!("<dt>{name}</dt><dd>{}</dd>", Escaped(value)),
    };
    let details = [
        detail("For", description),
        detail("Reference", reference),
        detail("Method", method),
        format!("<dt>Status</dt><dd>{status_text}</dd>"),
    ]
    .concat();
    document(&format!(
        "<h1>{}</h1><p class=\"amount\">{amount} {}</p><dl>{details}</dl>{buttons}",
        Escaped(merchant),
        Escaped(currency)
    ))
}

/// A page with a message only.
pub(crate) fn message_page(message: &str) -> String {
    document(&format!("<h1>{}</h1>", Escaped(message)))
}

fn back(url: &str) -> String {
    match url {
        "" => "<p>You may close this page.</p>".to_owned(),
        url => format!("<a class=\"back\" href=\"{}\" rel=\"noreferrer\">Back to the merchant</a>", Escaped(url)),
    }
}

fn document(inner: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>Sandbox payment</title>\
         <style>{STYLE}</style></head><body><main>{inner}\
         <p class=\"note\">This is a sandbox. No money moves.</p></main></body></html>"
    )
}

/// Text escaped for element content and for a double-quoted attribute.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                plain => fmt::Write::write_char(f, plain)?,
            }
        }
        Ok(())
    }
}
