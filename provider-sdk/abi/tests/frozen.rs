//! The layouts of contract 1, printed and compared. They are frozen: if this test fails, restore the layout, do not
//! update the expectation. Additions become a `v2`.
#![expect(clippy::expect_used, reason = "a test may fail loudly")]

use std::any::type_name;
use std::fmt::Write;
use std::mem::offset_of;

use cashier_provider_abi::codes::{
    CapabilityBits, FailureCode, MethodCode, NextCode, PaymentModeCode, ReachCode, SettingBits, SettingCode,
    StatusCode, StepCode, VerdictCode,
};
use cashier_provider_abi::v1::{
    AcknowledgementV1, AmountRefV1, AmountV1, ConfigErrorV1, ConfigV1, CreatedV1, DescriptorV1, DisputeV1, FailureV1,
    KeepV1, NoticeV1, OrderV1, PairRefV1, PairV1, PaymentV1, ProviderModuleV1, RefundOrderV1, RefundV1, ReplyV1,
    RequestV1, SettingV1, StepV1, UpdateV1, VerdictV1,
};
use expect_test::expect;

/// One line per field: offset, name, type. A field that is missing here does not compile.
macro_rules! layouts {
    ($($record:ident $(<$arg:tt>)? { $($field:ident),* })*) => {{
        let mut text = String::new();
        $({
            type Record = $record $(<$arg>)?;
            // Does not compile unless every field is named.
            let _ = |record: Record| { let $record { $($field: _),* } = record; };
            let fields = [$((
                offset_of!(Record, $field),
                stringify!($field),
                type_of(|record: &Record| &record.$field),
            )),*];
            write_layout::<Record>(&mut text, &fields);
        })*
        text
    }};
}

#[test]
#[cfg(target_pointer_width = "64")]
fn input_record_layouts_are_unchanged() {
    expect![[r#"
        PairRefV1<'_>: 32 bytes, aligned to 8
             0 name: RStr<'_>
            16 value: RStr<'_>
        AmountRefV1<'_>: 32 bytes, aligned to 8
             0 minor: i64
             8 exponent: u8
            16 currency: RStr<'_>
        ConfigV1<'_>: 224 bytes, aligned to 8
             0 id: i64
             8 provider: RStr<'_>
            24 brand: RStr<'_>
            40 method: RStr<'_>
            56 country: RStr<'_>
            72 currency: RStr<'_>
            88 merchant_id: RStr<'_>
           104 public_key: RStr<'_>
           120 secret_key: RStr<'_>
           136 webhook_secret: RStr<'_>
           152 previous_webhook_secrets: RSlice<'_, RStr<'_>>
           168 settings_json: RStr<'_>
           184 sandbox: bool
           192 notify_url: RStr<'_>
           208 bag: RSlice<'_, PairRefV1<'_>>
        OrderV1<'_>: 296 bytes, aligned to 8
             0 reference: RStr<'_>
            16 amount: AmountRefV1<'_>
            48 customer_id: RStr<'_>
            64 login: RStr<'_>
            80 brand: RStr<'_>
            96 country: RStr<'_>
           112 locale: RStr<'_>
           128 ip: RStr<'_>
           144 method: RStr<'_>
           160 idempotency_key: RStr<'_>
           176 notify_url: RStr<'_>
           192 success_url: RStr<'_>
           208 failure_url: RStr<'_>
           224 metadata_json: RStr<'_>
           240 description: RStr<'_>
           256 now_unix: i64
           264 nonce: RStr<'_>
           280 bag: RSlice<'_, PairRefV1<'_>>
        NoticeV1<'_>: 152 bytes, aligned to 8
             0 provider: RStr<'_>
            16 path: RStr<'_>
            32 method: RStr<'_>
            48 headers: RSlice<'_, PairRefV1<'_>>
            64 body: RSlice<'_, u8>
            80 raw_query: RStr<'_>
            96 content_type: RStr<'_>
           112 received_unix: i64
           120 nonce: RStr<'_>
           136 bag: RSlice<'_, PairRefV1<'_>>
        PaymentV1<'_>: 248 bytes, aligned to 8
             0 reference: RStr<'_>
            16 refs: RSlice<'_, PairRefV1<'_>>
            32 payment_id: ROption<RStr<'_>>
            56 amount: AmountRefV1<'_>
            88 customer_id: RStr<'_>
           104 login: RStr<'_>
           120 brand: RStr<'_>
           136 country: RStr<'_>
           152 method: RStr<'_>
           168 created_unix: i64
           176 idempotency_key: RStr<'_>
           192 notify_url: RStr<'_>
           208 now_unix: i64
           216 nonce: RStr<'_>
           232 bag: RSlice<'_, PairRefV1<'_>>
        RefundOrderV1<'_>: 368 bytes, aligned to 8
             0 payment: PaymentV1<'_>
           248 refund_reference: RStr<'_>
           264 amount: AmountRefV1<'_>
           296 refunded_before: AmountRefV1<'_>
           328 completes: bool
           336 reason: RStr<'_>
           352 bag: RSlice<'_, PairRefV1<'_>>
        ReplyV1<'_>: 56 bytes, aligned to 8
             0 status: u16
             8 headers: RSlice<'_, PairRefV1<'_>>
            24 body: RSlice<'_, u8>
            40 bag: RSlice<'_, PairRefV1<'_>>
    "#]].assert_eq(&layouts! {
        PairRefV1<'static> { name, value }
        AmountRefV1<'static> { minor, exponent, currency }
        ConfigV1<'static> { id, provider, brand, method, country, currency, merchant_id, public_key, secret_key, webhook_secret, previous_webhook_secrets, settings_json, sandbox, notify_url, bag }
        OrderV1<'static> { reference, amount, customer_id, login, brand, country, locale, ip, method, idempotency_key, notify_url, success_url, failure_url, metadata_json, description, now_unix, nonce, bag }
        NoticeV1<'static> { provider, path, method, headers, body, raw_query, content_type, received_unix, nonce, bag }
        PaymentV1<'static> { reference, refs, payment_id, amount, customer_id, login, brand, country, method, created_unix, idempotency_key, notify_url, now_unix, nonce, bag }
        RefundOrderV1<'static> { payment, refund_reference, amount, refunded_before, completes, reason, bag }
        ReplyV1<'static> { status, headers, body, bag }
    });
}

#[test]
#[cfg(target_pointer_width = "64")]
fn output_record_layouts_are_unchanged() {
    expect![[r#"
        StepV1<CreatedV1>: 1112 bytes, aligned to 8
             0 kind: StepCode
             8 send: ROption<RequestV1>
           160 keep: ROption<KeepV1>
           208 done: ROption<CreatedV1>
           920 failed: ROption<FailureV1>
          1080 bag: RVec<PairV1>
        StepV1<VerdictV1>: 632 bytes, aligned to 8
             0 kind: StepCode
             8 send: ROption<RequestV1>
           160 keep: ROption<KeepV1>
           208 done: ROption<VerdictV1>
           440 failed: ROption<FailureV1>
           600 bag: RVec<PairV1>
        StepV1<UpdateV1>: 976 bytes, aligned to 8
             0 kind: StepCode
             8 send: ROption<RequestV1>
           160 keep: ROption<KeepV1>
           208 done: ROption<UpdateV1>
           784 failed: ROption<FailureV1>
           944 bag: RVec<PairV1>
        RequestV1: 144 bytes, aligned to 8
             0 method: MethodCode
             8 url: RString
            40 headers: RVec<PairV1>
            72 body: RVec<u8>
           104 safe_to_repeat: bool
           112 bag: RVec<PairV1>
        KeepV1: 40 bytes, aligned to 8
             0 name: RString
            32 seconds: u32
        CreatedV1: 704 bytes, aligned to 8
             0 status: StatusCode
             8 refs: RVec<PairV1>
            40 next: NextCode
            48 next_text: RString
            80 update: ROption<UpdateV1>
           656 expires_unix: ROption<i64>
           672 bag: RVec<PairV1>
        VerdictV1: 224 bytes, aligned to 8
             0 kind: VerdictCode
             8 updates: RVec<UpdateV1>
            40 event_id: ROption<RString>
            80 acknowledgement: ROption<AcknowledgementV1>
           160 reason: RString
           192 bag: RVec<PairV1>
        AcknowledgementV1: 72 bytes, aligned to 8
             0 status: u16
             8 headers: RVec<PairV1>
            40 body: RVec<u8>
        UpdateV1: 568 bytes, aligned to 8
             0 event_id: ROption<RString>
            40 reference: ROption<RString>
            80 refs: RVec<PairV1>
           112 status: StatusCode
           120 payment_id: ROption<RString>
           160 amount: ROption<AmountV1>
           216 refund: ROption<RefundV1>
           360 dispute: ROption<DisputeV1>
           456 raw_status: RString
           488 reason: ROption<RString>
           528 sandbox: ROption<bool>
           530 mode_conflict: bool
           531 advance: bool
           536 bag: RVec<PairV1>
        RefundV1: 136 bytes, aligned to 8
             0 id: ROption<RString>
            40 amount: AmountV1
            88 reach: ReachCode
            96 requested: ROption<RString>
        DisputeV1: 88 bytes, aligned to 8
             0 id: RString
            32 amount: ROption<AmountV1>
        AmountV1: 48 bytes, aligned to 8
             0 minor: i64
             8 exponent: u8
            16 currency: RString
        FailureV1: 152 bytes, aligned to 8
             0 kind: FailureCode
             8 code: RString
            40 field: RString
            72 message: RString
           104 retryable: bool
           108 retry_after_seconds: ROption<u32>
           120 bag: RVec<PairV1>
        ConfigErrorV1: 96 bytes, aligned to 8
             0 field: RString
            32 message: RString
            64 bag: RVec<PairV1>
        DescriptorV1: 376 bytes, aligned to 8
             0 code: RString
            32 name: RString
            64 description: RString
            96 version: RString
           128 payment_mode: PaymentModeCode
           136 methods: RVec<RString>
           168 currencies: RVec<RString>
           200 capabilities: CapabilityBits
           208 primary_ref_kind: RString
           240 hosts: RVec<RString>
           272 idempotency_window_seconds: u32
           276 expiry_seconds: u32
           280 settings: RVec<SettingV1>
           312 webhook_events: RVec<RString>
           344 bag: RVec<PairV1>
        SettingV1: 184 bytes, aligned to 8
             0 key: RString
            32 label: RString
            64 kind: SettingCode
            72 choices: RVec<RString>
           104 bits: SettingBits
           112 default: ROption<RString>
           152 bag: RVec<PairV1>
        PairV1: 64 bytes, aligned to 8
             0 name: RString
            32 value: RString
    "#]].assert_eq(&layouts! {
        StepV1<CreatedV1> { kind, send, keep, done, failed, bag }
        StepV1<VerdictV1> { kind, send, keep, done, failed, bag }
        StepV1<UpdateV1> { kind, send, keep, done, failed, bag }
        RequestV1 { method, url, headers, body, safe_to_repeat, bag }
        KeepV1 { name, seconds }
        CreatedV1 { status, refs, next, next_text, update, expires_unix, bag }
        VerdictV1 { kind, updates, event_id, acknowledgement, reason, bag }
        AcknowledgementV1 { status, headers, body }
        UpdateV1 { event_id, reference, refs, status, payment_id, amount, refund, dispute, raw_status, reason, sandbox, mode_conflict, advance, bag }
        RefundV1 { id, amount, reach, requested }
        DisputeV1 { id, amount }
        AmountV1 { minor, exponent, currency }
        FailureV1 { kind, code, field, message, retryable, retry_after_seconds, bag }
        ConfigErrorV1 { field, message, bag }
        DescriptorV1 { code, name, description, version, payment_mode, methods, currencies, capabilities, primary_ref_kind, hosts, idempotency_window_seconds, expiry_seconds, settings, webhook_events, bag }
        SettingV1 { key, label, kind, choices, bits, default, bag }
        PairV1 { name, value }
    });
}

#[test]
#[cfg(target_pointer_width = "64")]
fn the_function_table_layout_is_unchanged() {
    expect![[r#"
        ProviderModuleV1: 80 bytes, aligned to 8
             0 descriptor: extern "C" fn() -> RResult<DescriptorV1, FailureV1>
             8 configure: extern "C" fn(&'_ ConfigV1<'_>) -> RResult<HandleV1, ConfigErrorV1>
            16 check_order: unsafe extern "C" fn(HandleV1, &'_ OrderV1<'_>) -> RResult<(), FailureV1>
            24 create_payment: unsafe extern "C" fn(HandleV1, &'_ OrderV1<'_>, RSlice<'_, ReplyV1<'_>>) -> StepV1<CreatedV1>
            32 normalize_status: unsafe extern "C" fn(HandleV1, &'_ NoticeV1<'_>, RSlice<'_, ReplyV1<'_>>) -> StepV1<VerdictV1>
            40 advance_payment: unsafe extern "C" fn(HandleV1, &'_ PaymentV1<'_>, RSlice<'_, ReplyV1<'_>>) -> StepV1<UpdateV1>
            48 query_status: unsafe extern "C" fn(HandleV1, &'_ PaymentV1<'_>, RSlice<'_, ReplyV1<'_>>) -> StepV1<UpdateV1>
            56 cancel_payment: unsafe extern "C" fn(HandleV1, &'_ PaymentV1<'_>, RSlice<'_, ReplyV1<'_>>) -> StepV1<UpdateV1>
            64 refund_payment: unsafe extern "C" fn(HandleV1, &'_ RefundOrderV1<'_>, RSlice<'_, ReplyV1<'_>>) -> StepV1<UpdateV1>
            72 release: unsafe extern "C" fn(HandleV1)
    "#]].assert_eq(&layouts! {
        ProviderModuleV1 { descriptor, configure, check_order, create_payment, normalize_status, advance_payment, query_status, cancel_payment, refund_payment, release }
    });
}

#[test]
fn code_numbers_are_unchanged() {
    let codes = [
        ("step", vec![StepCode::SEND.0, StepCode::DONE.0, StepCode::FAILED.0, StepCode::UNSUPPORTED.0]),
        (
            "failure",
            vec![
                FailureCode::DECLINED.0,
                FailureCode::REFUSED_REQUEST.0,
                FailureCode::NOT_FOUND.0,
                FailureCode::UNREADABLE_ANSWER.0,
                FailureCode::TEMPORARY.0,
                FailureCode::STALE_REPLY.0,
                FailureCode::PANICKED.0,
                FailureCode::CREDENTIALS_REFUSED.0,
            ],
        ),
        (
            "status",
            vec![
                StatusCode::UNKNOWN.0,
                StatusCode::PENDING.0,
                StatusCode::CONFIRMED.0,
                StatusCode::FAILED.0,
                StatusCode::CANCELLED.0,
                StatusCode::REFUNDED.0,
                StatusCode::CHARGEBACK.0,
                StatusCode::CHARGEBACK_REVERSED.0,
                StatusCode::MANUAL_REVIEW.0,
                StatusCode::IN_REVIEW.0,
                StatusCode::REFUND_FAILED.0,
            ],
        ),
        (
            "verdict",
            vec![
                VerdictCode::VERIFIED.0,
                VerdictCode::REJECTED.0,
                VerdictCode::UNDETERMINED.0,
                VerdictCode::UNREADABLE.0,
                VerdictCode::UNTIMELY.0,
            ],
        ),
        ("next", vec![NextCode::NONE.0, NextCode::REDIRECT.0, NextCode::INSTRUCTIONS.0, NextCode::WAIT.0]),
        ("reach", vec![ReachCode::DELTA.0, ReachCode::TOTAL_SO_FAR.0]),
        (
            "method",
            vec![MethodCode::GET.0, MethodCode::POST.0, MethodCode::PUT.0, MethodCode::PATCH.0, MethodCode::DELETE.0],
        ),
        ("mode", vec![PaymentModeCode::REDIRECT.0, PaymentModeCode::INSTRUCTIONS.0, PaymentModeCode::EMBEDDED.0]),
        (
            "setting",
            vec![
                SettingCode::TEXT.0,
                SettingCode::INTEGER.0,
                SettingCode::FLAG.0,
                SettingCode::URL.0,
                SettingCode::CHOICE.0,
            ],
        ),
        ("setting bits", vec![SettingBits::SECRET.0, SettingBits::REQUIRED.0, SettingBits::ENDPOINT.0]),
    ];
    for (name, numbers) in codes {
        let expected: Vec<u8> = match name {
            "setting bits" => vec![1, 2, 4],
            _ => (0..).take(numbers.len()).collect(),
        };
        assert_eq!(numbers, expected, "{name}");
    }
    let capabilities = [
        CapabilityBits::ADVANCE.0,
        CapabilityBits::QUERY.0,
        CapabilityBits::CANCEL.0,
        CapabilityBits::REFUND.0,
        CapabilityBits::PARTIAL_REFUND.0,
    ];
    assert_eq!(capabilities, [1, 2, 4, 8, 16]);
}

#[test]
fn the_crate_version_is_1_x() {
    assert!(env!("CARGO_PKG_VERSION").starts_with("1."));
    assert_eq!(cashier_provider_abi::CONTRACT, 1);
}

fn write_layout<R>(text: &mut String, fields: &[(usize, &str, &str)]) {
    let name = without_paths(type_name::<R>());
    let (size, align) = (size_of::<R>(), align_of::<R>());
    writeln!(text, "{name}: {size} bytes, aligned to {align}").expect("writing to a string succeeds");
    for (offset, name, kind) in fields {
        let kind = without_paths(kind);
        writeln!(text, "  {offset:>4} {name}: {kind}").expect("writing to a string succeeds");
    }
}

fn type_of<R, F>(_field: impl Fn(&R) -> &F) -> &'static str {
    type_name::<F>()
}

/// `a::b::C<d::E>` as `C<E>`.
fn without_paths(name: &str) -> String {
    let mut short = String::new();
    for part in name.split_inclusive("::") {
        match part.strip_suffix("::") {
            Some(path) => {
                let prefix = path.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_');
                short.push_str(prefix);
            }
            None => short.push_str(part),
        }
    }
    short
}
