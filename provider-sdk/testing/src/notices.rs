//! Checks of webhook verification: only a webhook that is signed with one of the config's secrets, byte for byte and
//! within the tolerance, is verified. Without a secret the verdict is undetermined.

use cashier_provider_sdk::host::{Instance, ModuleV1};
use cashier_provider_sdk::signature::TOLERANCE_SECONDS;
use cashier_provider_sdk::{PaymentProvider, Secret, Step, WebhookNotice, WebhookVerdict};
use serde_json::Value;

use crate::harness::{ConformanceError, Harness, SigningSecret, configured, ensure};

/// Most positions that are tried in a body, spread evenly, so that large samples stay fast.
const POSITIONS_MAX: usize = 400;

/// Every sample webhook, signed, is verified.
pub fn a_signed_notice_is_verified<P: PaymentProvider>(harness: &Harness) -> Result<(), ConformanceError> {
    ensure(!harness.notices.is_empty(), || "the harness has no sample webhook".into())?;
    let instance = harness.instance::<P>()?;
    harness.signed().iter().try_for_each(|notice| verified(&instance, notice, "a signed webhook"))
}

/// A replaced webhook secret verifies until it is removed from the config.
pub fn a_previous_secret_still_verifies<P: PaymentProvider>(harness: &Harness) -> Result<(), ConformanceError> {
    if harness.signing_secret != SigningSecret::Webhook {
        // A single secret for everything has no predecessors.
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
        rejected(&instance, &notice, "a removed secret")?;
    }
    Ok(())
}

/// Without a secret the verdict is `Undetermined`, unless `configure` refuses the config.
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

/// A webhook without any signature.
pub fn an_unsigned_notice_is_rejected<P: PaymentProvider>(harness: &Harness) -> Result<(), ConformanceError> {
    let instance = harness.instance::<P>()?;
    harness.notices.iter().try_for_each(|notice| rejected(&instance, notice, "no signature"))
}

/// A webhook signed with a secret that is not in the config, including the empty one.
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

/// A signed webhook whose body is cut at any position.
pub fn a_truncated_notice_is_rejected<P: PaymentProvider>(harness: &Harness) -> Result<(), ConformanceError> {
    let instance = harness.instance::<P>()?;
    for notice in harness.signed() {
        let json = serde_json::from_slice::<Value>(&notice.body).is_ok();
        if !harness.covers_every_byte && !json {
            // The cut may be after the signed fields of a form.
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

/// A signed webhook with one bit changed at any position of the body.
pub fn a_modified_notice_is_rejected<P: PaymentProvider>(harness: &Harness) -> Result<(), ConformanceError> {
    if !harness.covers_every_byte {
        // Only the provider's own cases know which fields are signed.
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

/// A signed webhook whose JSON was parsed and serialized again: other whitespace, other order of keys.
pub fn a_reserialized_notice_is_rejected<P: PaymentProvider>(harness: &Harness) -> Result<(), ConformanceError> {
    if !harness.covers_every_byte {
        return Ok(());
    }
    let instance = harness.instance::<P>()?;
    for notice in harness.signed() {
        for (how, body) in reserialized(&notice.body) {
            if body == notice.body {
                continue;
            }
            let mut changed = notice.clone();
            changed.body = body;
            rejected(&instance, &changed, how)?;
        }
    }
    Ok(())
}

/// A webhook signed longer before or after its receipt than the tolerance is untimely; at the limit it is verified.
pub fn a_notice_outside_the_time_tolerance_is_rejected<P: PaymentProvider>(
    harness: &Harness,
) -> Result<(), ConformanceError> {
    if !harness.signs_time {
        return Ok(());
    }
    let instance = harness.instance::<P>()?;
    let limit = i64::try_from(TOLERANCE_SECONDS).unwrap_or(i64::MAX);
    let beyond = limit.saturating_add(1);
    for seconds in [limit, limit.saturating_neg()] {
        for notice in harness.signed_with(harness.secret(), seconds) {
            verified(&instance, &notice, &format!("signed {seconds} s after receipt"))?;
        }
    }
    for seconds in [beyond, beyond.saturating_neg(), 86_400, -86_400] {
        for notice in harness.signed_with(harness.secret(), seconds) {
            let step = instance.normalize_status(&notice, &[]);
            ensure(matches!(&step, Step::Done(WebhookVerdict::Untimely(_))), || {
                format!("signed {seconds} s after receipt: expected Untimely, got {step:?}")
            })?;
        }
    }
    Ok(())
}

/// A webhook that is signed over every byte and makes no sense is authentic and unreadable, never rejected and never a
/// failure: the provider would send it again for days and then switch the endpoint off.
pub fn a_signed_notice_that_cannot_be_read_is_unreadable<P: PaymentProvider>(
    harness: &Harness,
) -> Result<(), ConformanceError> {
    if !harness.covers_every_byte {
        // What covers selected fields proves nothing about the rest.
        return Ok(());
    }
    let instance = harness.instance::<P>()?;
    for notice in &harness.notices {
        let half = notice.body.get(..notice.body.len() / 2).unwrap_or_default();
        for body in [half, b"", b"\xff\xfe\x00", b"{\"", b"a=b&c"] {
            let mut unreadable = WebhookNotice { body: body.to_vec(), ..notice.clone() };
            (harness.sign)(&mut unreadable, harness.secret(), notice.received_unix);
            let step = instance.normalize_status(&unreadable, &[]);
            ensure(matches!(&step, Step::Done(WebhookVerdict::Unreadable(_))), || {
                format!("signed and unreadable: expected Unreadable, got {step:?}\nbody: {}", text(&unreadable))
            })?;
        }
    }
    Ok(())
}

/// A webhook that is signed over every byte, with one value of its JSON replaced, removed or of another type: read, ignored
/// or unreadable, never rejected and never a failure.
pub fn a_signed_notice_is_never_rejected_for_its_content<P: PaymentProvider>(
    harness: &Harness,
) -> Result<(), ConformanceError> {
    if !harness.covers_every_byte {
        return Ok(());
    }
    let instance = harness.instance::<P>()?;
    for notice in &harness.notices {
        let Ok(value) = serde_json::from_slice::<Value>(&notice.body) else { continue };
        for other in crate::json::mutations(&value) {
            let mut changed = WebhookNotice { body: other.to_string().into_bytes(), ..notice.clone() };
            (harness.sign)(&mut changed, harness.secret(), notice.received_unix);
            let step = instance.normalize_status(&changed, &[]);
            let accepted = matches!(
                &step,
                Step::Send { .. } | Step::Done(WebhookVerdict::Verified { .. } | WebhookVerdict::Unreadable(_))
            );
            ensure(accepted, || {
                format!("signed, with another content: expected no rejection, got {step:?}\nbody: {}", text(&changed))
            })?;
        }
    }
    Ok(())
}

/// A signed JSON webhook with a further member that `serde_json` cannot read means the same as without it: half of a
/// surrogate pair, Latin-1, `NaN`, a key written twice, a thousand nested lists; and a byte order mark in front.
pub fn an_odd_field_that_is_not_needed_changes_nothing<P: PaymentProvider>(
    harness: &Harness,
) -> Result<(), ConformanceError> {
    let instance = harness.instance::<P>()?;
    let deep = ["[".repeat(1000), "]".repeat(1000)].concat();
    let members = [br#""\ud83d""#.as_slice(), b"\"caf\xe9\"", b"NaN", b"1,\"kit-odd\":2", deep.as_bytes()];
    for notice in harness.notices.iter().filter(|_| harness.covers_every_byte) {
        let Some(rest) = notice.body.strip_prefix(b"{").filter(|rest| !rest.starts_with(b"}")) else {
            continue;
        };
        let outcome = |body: Vec<u8>| {
            let mut signed = WebhookNotice { body, ..notice.clone() };
            (harness.sign)(&mut signed, harness.secret(), notice.received_unix);
            instance.normalize_status(&signed, &[])
        };
        let expected = outcome(notice.body.clone());
        let odd = members.iter().map(|member| [b"{\"kit-odd\":", *member, b",", rest].concat());
        for body in odd.chain([[b"\xef\xbb\xbf", notice.body.as_slice(), b"\n\0"].concat()]) {
            let shown = String::from_utf8_lossy(&body).into_owned();
            let step = outcome(body);
            ensure(step == expected, || format!("an odd field: expected {expected:?}, got {step:?}\nbody: {shown}"))?;
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

/// Another secret of the same form: hex, base64 and prefixes remain valid. The last characters are unchanged, because
/// base64 allows only some of them there.
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

fn reserialized(body: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut variants =
        vec![("a space appended", [body, b" "].concat()), ("a line end appended", [body, b"\n"].concat())];
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        variants.push(("compact", value.to_string().into_bytes()));
        if let Ok(pretty) = serde_json::to_vec_pretty(&value) {
            variants.push(("with spaces", pretty));
        }
        variants.push(("keys in another order", crate::json::reversed(&value).into_bytes()));
    }
    variants
}
