//! Questions about notices: only what was signed with one of our secrets, byte for byte and on
//! time, is genuine; without a secret nobody can tell.

use cashier_provider_sdk::host::{Instance, ModuleV1};
use cashier_provider_sdk::signature::TOLERANCE_SECONDS;
use cashier_provider_sdk::{PaymentProvider, Secret, Step, WebhookNotice, WebhookVerdict};
use serde_json::Value;

use crate::harness::{ConformanceError, Harness, SigningSecret, configured, ensure};

/// Positions tried in a body; beyond, they are spread evenly. Keeps large samples quick.
const POSITIONS_MAX: usize = 400;

/// Every sample notice, signed, is genuine.
pub fn a_signed_notice_is_verified<P: PaymentProvider>(harness: &Harness) -> Result<(), ConformanceError> {
    ensure(!harness.notices.is_empty(), || "the harness brings no notice".into())?;
    let instance = harness.instance::<P>()?;
    harness.signed().iter().try_for_each(|notice| verified(&instance, notice, "a signed notice"))
}

/// A replaced webhook secret verifies as long as the host keeps it.
pub fn a_previous_secret_still_verifies<P: PaymentProvider>(harness: &Harness) -> Result<(), ConformanceError> {
    if harness.signing_secret != SigningSecret::Webhook {
        // One secret for everything has no predecessors.
        return Ok(());
    }
    let mut config = harness.config.clone();
    let replaced = std::mem::replace(&mut config.webhook_secret, other_secret(harness.secret()));
    config.previous_webhook_secrets = vec![replaced.clone()];
    let instance = configured::<P>(&config)?;
    for secret in [&replaced, &config.webhook_secret] {
        for notice in harness.signed_with(secret, 0) {
            verified(&instance, &notice, "one of several secrets")?;
        }
    }
    config.previous_webhook_secrets.clear();
    let instance = configured::<P>(&config)?;
    for notice in harness.signed_with(&replaced, 0) {
        rejected(&instance, &notice, "a secret that was revoked")?;
    }
    Ok(())
}

/// Without a secret the verdict is `Undetermined`, or there is no configuration at all.
pub fn a_notice_is_undetermined_without_a_secret<P: PaymentProvider>(
    harness: &Harness,
) -> Result<(), ConformanceError> {
    let Ok(instance) = ModuleV1::of::<P>().configure(&harness.config_without_secret()) else {
        return Ok(());
    };
    let signed_with_nothing = harness.signed_with(&Secret::default(), 0);
    for notice in harness.notices.iter().chain(&signed_with_nothing) {
        let step = instance.normalize_status(notice, &[]);
        ensure(matches!(&step, Step::Done(WebhookVerdict::Undetermined(_))), || {
            format!("without a secret: expected Undetermined, got {step:?}")
        })?;
    }
    Ok(())
}

/// A notice without any signature.
pub fn an_unsigned_notice_is_rejected<P: PaymentProvider>(harness: &Harness) -> Result<(), ConformanceError> {
    let instance = harness.instance::<P>()?;
    harness.notices.iter().try_for_each(|notice| rejected(&instance, notice, "no signature"))
}

/// A notice signed with a secret that is not ours, the empty one included.
pub fn a_notice_signed_with_another_secret_is_rejected<P: PaymentProvider>(
    harness: &Harness,
) -> Result<(), ConformanceError> {
    let instance = harness.instance::<P>()?;
    for secret in [other_secret(harness.secret()), Secret::default()] {
        for notice in harness.signed_with(&secret, 0) {
            rejected(&instance, &notice, "another secret")?;
        }
    }
    Ok(())
}

/// A signed notice whose body was cut anywhere.
pub fn a_truncated_notice_is_rejected<P: PaymentProvider>(harness: &Harness) -> Result<(), ConformanceError> {
    let instance = harness.instance::<P>()?;
    for notice in harness.signed() {
        let json = serde_json::from_slice::<Value>(&notice.body).is_ok();
        if !harness.covers_every_byte && !json {
            // The cut may fall behind the signed fields of a form.
            continue;
        }
        for length in positions(notice.body.len()) {
            let mut cut = notice.clone();
            cut.body.truncate(length);
            rejected(&instance, &cut, &format!("cut to {length} bytes"))?;
        }
    }
    Ok(())
}

/// A signed notice of which one bit was changed anywhere; where only chosen fields are signed, a
/// notice whose signature itself was changed.
pub fn a_modified_notice_is_rejected<P: PaymentProvider>(harness: &Harness) -> Result<(), ConformanceError> {
    if !harness.covers_every_byte {
        // Which bytes may change without harm is known to the provider's own cases alone.
        return Ok(());
    }
    let instance = harness.instance::<P>()?;
    for notice in harness.signed() {
        for position in positions(notice.body.len()) {
            let mut edited = notice.clone();
            if let Some(byte) = edited.body.get_mut(position) {
                *byte ^= 1;
            }
            rejected(&instance, &edited, &format!("byte {position} changed"))?;
        }
    }
    Ok(())
}

/// A signed notice whose JSON was parsed and written anew: other spaces, other order of keys.
pub fn a_reserialized_notice_is_rejected<P: PaymentProvider>(harness: &Harness) -> Result<(), ConformanceError> {
    if !harness.covers_every_byte {
        return Ok(());
    }
    let instance = harness.instance::<P>()?;
    for notice in harness.signed() {
        for (how, body) in written_anew(&notice.body) {
            if body == notice.body {
                continue;
            }
            let mut anew = notice.clone();
            anew.body = body;
            rejected(&instance, &anew, how)?;
        }
    }
    Ok(())
}

/// A notice signed longer ago than the tolerance, or as far ahead; at the edge it is genuine.
pub fn a_notice_outside_the_time_tolerance_is_rejected<P: PaymentProvider>(
    harness: &Harness,
) -> Result<(), ConformanceError> {
    if !harness.signs_time {
        return Ok(());
    }
    let instance = harness.instance::<P>()?;
    let edge = i64::try_from(TOLERANCE_SECONDS).unwrap_or(i64::MAX);
    let beyond = edge.saturating_add(1);
    for seconds in [edge, edge.saturating_neg()] {
        for notice in harness.signed_with(harness.secret(), seconds) {
            verified(&instance, &notice, &format!("signed {seconds} s after receipt"))?;
        }
    }
    for seconds in [beyond, beyond.saturating_neg(), 86_400, -86_400] {
        for notice in harness.signed_with(harness.secret(), seconds) {
            rejected(&instance, &notice, &format!("signed {seconds} s after receipt"))?;
        }
    }
    Ok(())
}

fn verified(instance: &Instance, notice: &WebhookNotice, what: &str) -> Result<(), ConformanceError> {
    let step = instance.normalize_status(notice, &[]);
    ensure(matches!(&step, Step::Done(WebhookVerdict::Verified { .. })), || {
        format!("{what}: expected Verified, got {step:?}\nbody: {}", text(notice))
    })
}

fn rejected(instance: &Instance, notice: &WebhookNotice, what: &str) -> Result<(), ConformanceError> {
    let step = instance.normalize_status(notice, &[]);
    ensure(matches!(&step, Step::Done(WebhookVerdict::Rejected(_))), || {
        format!("{what}: expected Rejected, got {step:?}\nbody: {}", text(notice))
    })
}

fn text(notice: &WebhookNotice) -> String {
    String::from_utf8_lossy(&notice.body).into_owned()
}

/// Another secret of the same form: hex stays hex, base64 stays base64, a prefix stays. The last
/// characters stay too, because base64 allows only some there.
fn other_secret(secret: &Secret) -> Secret {
    let text = secret.expose();
    let changed = text.len() / 2..text.len().saturating_sub(4);
    let other: String = text
        .char_indices()
        .map(|(at, c)| match c {
            _ if !changed.contains(&at) => c,
            '0' => '1',
            '1'..='9' => '0',
            'A' => 'B',
            'B'..='Z' => 'A',
            'a' => 'b',
            'b'..='z' => 'a',
            other => other,
        })
        .collect();
    if other == text {
        return Secret::new(format!("{text}-other"));
    }
    Secret::new(other)
}

fn positions(length: usize) -> impl Iterator<Item = usize> {
    let step = length.div_ceil(POSITIONS_MAX).max(1);
    (0..length).step_by(step)
}

fn written_anew(body: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut anew = vec![("a space behind", [body, b" "].concat()), ("a line end behind", [body, b"\n"].concat())];
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        anew.push(("written compactly", value.to_string().into_bytes()));
        if let Ok(pretty) = serde_json::to_vec_pretty(&value) {
            anew.push(("written with spaces", pretty));
        }
        anew.push(("keys in another order", crate::json::reversed(&value).into_bytes()));
    }
    anew
}
