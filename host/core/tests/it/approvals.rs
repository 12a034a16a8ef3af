//! What needs a second person, and who may be that person.

use cashier_core::approval::{APPROVAL_SECONDS, Approval, ApprovalState};
use cashier_core::edit::{
    AuditedValue, DeclaredSettings, EditContext, FieldChange, FieldClass, SecondPerson, UNAPPROVED_LENGTH_MAX,
    changed_fields, put_into_service, unapproved,
};
use cashier_core::ids::{ApprovalId, ConfigId, ManagerId};
use cashier_core::provider_config::{ProviderConfig, ReplacedSecret, Secret};
use cashier_core::refusal::RefusalCode;
use cashier_core::session::{ManagerSession, Role};
use cashier_core::time::UnixTime;

use crate::edit::{keys, parse, without};
use crate::samples::{NOW, config, limit};

const ALL: SecondPerson =
    SecondPerson { credentials: true, endpoints: true, enabling: true, manual: true, refunds: true, resolving: true };

/// The changed fields with their classes; the module declares the endpoint `base_url` and the secret `api_key`.
fn changes(before: Option<&ProviderConfig>, after: &ProviderConfig, available: bool) -> Vec<(String, FieldClass)> {
    let (endpoints, secrets) = (["base_url".into()], ["api_key".into()]);
    let module = Some(DeclaredSettings { available, keys: &keys(), endpoints: &endpoints, secrets: &secrets });
    let context = EditContext { has_transactions: true, module, parse: &parse, without: &without, now: NOW };
    let found = changed_fields(before, after, &context).unwrap();
    found.into_iter().map(|change| (change.field.into(), change.class)).collect()
}

#[test]
fn each_changed_field_is_listed_with_its_class() {
    use FieldClass::{Credential, CredentialOrEndpoint, Enabling, Endpoint, Other};
    type Row = (fn(&mut ProviderConfig), &'static str, FieldClass);
    let table: Vec<Row> = vec![
        (|row| row.provider = "paypal".into(), "provider", CredentialOrEndpoint),
        (|row| row.brand = "other".into(), "brand", Enabling),
        (|row| row.method = "card".into(), "method", Other),
        (|row| row.country = "DE".into(), "country", Other),
        (|row| row.currency = "USD".into(), "currency", Other),
        (|row| row.merchant_id = "acct_2".into(), "merchant_id", Credential),
        (|row| row.public_key = "pk_2".into(), "public_key", Credential),
        (|row| row.secret_key = Secret::new("sk_2"), "secret_key", Credential),
        (|row| row.webhook_secret = Secret::new("whsec_2"), "webhook_secret", Credential),
        (|row| row.sandbox = true, "sandbox", Credential),
        (|row| row.min_amount = limit("5"), "min_amount", Other),
        (|row| row.max_amount = limit("5"), "max_amount", Other),
        (|row| row.enabled = false, "enabled", Other),
        (|row| row.sort_index = 4, "sort_index", Other),
        (|row| row.settings_json = "color=red".into(), "settings_json.color", Other),
        (|row| row.settings_json = "base_url=https://other".into(), "settings_json.base_url", Endpoint),
        (|row| row.config_json = Secret::new("base_url=https://other"), "config_json.base_url", Endpoint),
        (|row| row.config_json = Secret::new("api_key=x"), "config_json.api_key", Credential),
        (|row| row.config_json = Secret::new("webhook_secret=x"), "config_json.webhook_secret", Credential),
        (|row| row.config_json = Secret::new("merchant_id=x"), "config_json.merchant_id", Credential),
        (
            |row| row.replaced_webhook_secrets = vec![ReplacedSecret { secret: Secret::new("x"), until: NOW }],
            "replaced_webhook_secrets",
            Other,
        ),
    ];
    let before = config(1);
    assert_eq!(changes(Some(&before), &before, true), []);
    for (change, field, class) in table {
        let mut after = before.clone();
        change(&mut after);
        assert_eq!(changes(Some(&before), &after, true), [(field.to_owned(), class)], "{field}");
    }
    for (key, class) in
        [("api_key", Other), ("webhook_secret", Other), ("merchant_id", Credential), ("public_key", Credential)]
    {
        let with = ProviderConfig { config_json: Secret::new(&format!("{key}=x")), ..config(1) };
        let field = format!("config_json.{key}");
        assert_eq!(
            changes(Some(&with), &before, true),
            [(field, class)],
            "what is no secret gives way to an older one"
        );
    }
    let off = ProviderConfig { enabled: false, ..config(1) };
    let moved = ProviderConfig { brand: "other".into(), ..off.clone() };
    assert_eq!(changes(Some(&off), &moved, true), [("brand".to_owned(), Other)], "it serves no brand");
    assert_eq!(changes(Some(&off), &config(1), true), [("enabled".to_owned(), Enabling)]);
    let red = ProviderConfig { settings_json: "color=red".into(), ..config(1) };
    let unknown = changes(Some(&before), &red, false);
    assert_eq!(
        unknown,
        [("settings_json.color".to_owned(), CredentialOrEndpoint)],
        "without its module it may be either"
    );
    let created: Vec<String> = changes(None, &config(1), true).into_iter().map(|(field, _)| field).collect();
    let own = ["provider", "brand", "merchant_id", "public_key", "enabled", "secret_key", "webhook_secret"];
    assert_eq!(created, own, "a new config is compared with a blank one");
}

#[test]
fn secrets_are_hidden_values_and_settings_in_clear_are_not() {
    let context = EditContext { has_transactions: false, module: None, parse: &parse, without: &without, now: NOW };
    let after = ProviderConfig {
        webhook_secret: Secret::new("canary"),
        config_json: Secret::new("color=canary"),
        settings_json: "color=red".into(),
        ..config(1)
    };
    let found = changed_fields(Some(&config(1)), &after, &context).unwrap();
    assert!(!format!("{found:?}").contains("canary"));
    let clear = AuditedValue::Clear("red".into());
    assert!(found.iter().any(|change| &*change.field == "settings_json.color" && change.after == clear));
}

#[test]
fn a_second_person_is_needed_for_what_the_settings_name() {
    let change = |change: fn(&mut ProviderConfig)| {
        let (endpoints, secrets) = (["base_url".into()], []);
        let module =
            Some(DeclaredSettings { available: true, keys: &keys(), endpoints: &endpoints, secrets: &secrets });
        let context = EditContext { has_transactions: true, module, parse: &parse, without: &without, now: NOW };
        let before = ProviderConfig { enabled: false, ..config(1) };
        let mut after = before.clone();
        change(&mut after);
        changed_fields(Some(&before), &after, &context).unwrap()
    };
    let credential = change(|row| row.secret_key = Secret::new("x"));
    let endpoint = change(|row| row.settings_json = "base_url=https://other".into());
    let enabling = change(|row| row.enabled = true);
    let other = change(|row| row.sort_index = 3);
    let needed = |settings: SecondPerson, is_draft| {
        [&credential, &endpoint, &enabling, &other]
            .map(|changes| settings.is_needed(changes.iter().map(|change| change.class), is_draft))
    };
    assert_eq!(needed(SecondPerson::default(), false), [false; 4]);
    assert_eq!(needed(ALL, false), [true, true, true, false]);
    assert_eq!(needed(ALL, true), [false, false, true, false], "a draft receives nothing until it is enabled");
    let of = change;
    let revoked = |change: fn(&mut ProviderConfig)| {
        let changes = of(change);
        ALL.is_needed(changes.iter().map(|change| change.class), false)
    };
    let revokes: [fn(&mut ProviderConfig); 3] = [
        |row| row.secret_key = Secret::new(""),
        |row| row.webhook_secret = Secret::new(""),
        |row| (row.webhook_secret, row.enabled) = (Secret::new(""), false),
    ];
    assert_eq!(revokes.map(revoked), [false; 3], "a secret is revoked by one person");
    assert!(revoked(|row| (row.webhook_secret, row.secret_key) = (Secret::new(""), Secret::new("x"))));
    let only = |name| SecondPerson::from_names([name]).unwrap();
    assert_eq!(needed(only("credentials"), false), [true, false, false, false]);
    assert_eq!(needed(only("endpoints"), false), [false, true, false, false]);
    assert_eq!(needed(only("enabling"), false), [false, false, true, false]);
    let either = |settings: SecondPerson| settings.is_needed([FieldClass::CredentialOrEndpoint], false);
    assert_eq!(["credentials", "endpoints", "enabling"].map(|name| either(only(name))), [true, true, false]);
    assert_eq!(SecondPerson::from_names(SecondPerson::NAMES), Ok(ALL));
    assert_eq!(SecondPerson::from_names(["credentials", "secrets"]), Err("secrets"));
}

/// A config edited step by step, each time by one person or with a second one's approval; and what an edit would put into
/// service beside its own changes.
struct Edited(ProviderConfig);

impl Edited {
    fn draft() -> Self {
        let mut edited = Self(ProviderConfig { enabled: false, ..ProviderConfig::blank("".into(), NOW) });
        edited.edit(true, |row| *row = ProviderConfig { enabled: false, ..config(1) });
        edited
    }

    fn changes(&self, after: &ProviderConfig, is_loaded: bool) -> (Vec<FieldChange>, Vec<(Box<str>, FieldClass)>) {
        let (endpoints, secrets) = (["base_url".into()], ["api_key".into()]);
        let keys = keys();
        let module = is_loaded.then_some(DeclaredSettings {
            available: true,
            keys: &keys,
            endpoints: &endpoints,
            secrets: &secrets,
        });
        let context = EditContext { has_transactions: false, module, parse: &parse, without: &without, now: NOW };
        let changes = changed_fields(Some(&self.0), after, &context).unwrap();
        let earlier = put_into_service(Some(&self.0), after, &changes, &context);
        (changes, earlier)
    }

    fn edit(&mut self, is_approved: bool, change: impl FnOnce(&mut ProviderConfig)) {
        let mut after = self.0.clone();
        change(&mut after);
        let (changes, _) = self.changes(&after, true);
        after.unapproved = unapproved(Some(&self.0), &after, &changes, is_approved);
        self.0 = after;
    }

    fn enabled_with(&self, is_loaded: bool) -> Vec<(String, FieldClass)> {
        let after = ProviderConfig { enabled: true, ..self.0.clone() };
        let (_, earlier) = self.changes(&after, is_loaded);
        earlier.into_iter().map(|(field, class)| (field.into(), class)).collect()
    }
}

#[test]
fn enabling_puts_into_service_what_one_person_changed_while_the_config_was_disabled() {
    use FieldClass::{Credential, CredentialOrEndpoint, Endpoint, Other};
    let mut edited = Edited::draft();
    assert_eq!(edited.enabled_with(true), [], "what was approved is not asked about again");
    edited.edit(false, |row| row.sort_index = 5);
    edited.edit(false, |row| row.secret_key = Secret::new("sk_2"));
    edited.edit(false, |row| row.config_json = Secret::new("api_key=x"));
    edited.edit(false, |row| row.settings_json = "base_url=https://other".into());
    let named = |fields: &[(&str, FieldClass)]| -> Vec<(String, FieldClass)> {
        fields.iter().map(|(field, class)| ((*field).to_owned(), *class)).collect()
    };
    let all = named(&[
        ("sort_index", Other),
        ("secret_key", Credential),
        ("config_json.api_key", Credential),
        ("settings_json.base_url", Endpoint),
    ]);
    assert_eq!(edited.enabled_with(true), all);
    let unknown = edited.enabled_with(false).into_iter().filter(|(_, class)| *class == CredentialOrEndpoint);
    assert_eq!(unknown.count(), 2, "a module that is not loaded now declares nothing");

    edited.edit(true, |row| row.secret_key = Secret::new("sk_3"));
    assert_eq!(edited.enabled_with(true).len(), 3, "a second person approved one of them");
    edited.edit(false, |row| row.secret_key = Secret::new("sk_2"));
    assert_eq!(edited.enabled_with(true).len(), 4, "it was changed since");
    edited.edit(true, |row| row.enabled = true);
    edited.edit(false, |row| row.enabled = false);
    assert_eq!(edited.enabled_with(true), [], "what served and was not changed since takes nobody more");
    edited.edit(false, |row| row.sort_index = 6);
    let disabled = ProviderConfig { merchant_id: "acct_2".into(), ..edited.0.clone() };
    assert_eq!(edited.changes(&disabled, true).1, [], "what stays disabled is put into no service");
    assert_eq!(Edited::draft().changes(&config(1), true).1, [], "a created config has only its own changes");
}

#[test]
fn the_names_of_unapproved_fields_stay_within_their_limit_and_lose_no_class() {
    let mut edited = Edited::draft();
    for n in 0..2 * UNAPPROVED_LENGTH_MAX / "config_json.key_0".len() {
        edited.edit(false, |row| row.config_json = Secret::new(&format!("key_{n}=x")));
    }
    let length: usize = edited.0.unapproved.iter().map(|field| field.len()).sum();
    assert!(length <= UNAPPROVED_LENGTH_MAX, "{length}");
    let whole = ("config_json".to_owned(), FieldClass::CredentialOrEndpoint);
    assert!(edited.enabled_with(true).contains(&whole), "{:?}", edited.0.unapproved);
}

#[test]
fn names_of_exactly_the_limit_are_kept_and_one_byte_more_leaves_the_column() {
    assert_eq!(UNAPPROVED_LENGTH_MAX, 4_096, "4 KiB");
    let longest = UNAPPROVED_LENGTH_MAX - "config_json.".len();
    for (length, class) in [(longest, FieldClass::Other), (longest + 1, FieldClass::CredentialOrEndpoint)] {
        let mut edited = Edited::draft();
        let name = "k".repeat(length);
        edited.edit(false, |row| row.config_json = Secret::new(&format!("{name}=x")));
        let field = if class == FieldClass::Other { format!("config_json.{name}") } else { "config_json".into() };
        assert_eq!(edited.enabled_with(true), [(field, class)], "{length}");
    }
}

fn asked() -> Approval {
    Approval {
        id: ApprovalId(9),
        command: "MngUpdateCashierProviderConfig".into(),
        config_id: ConfigId(1),
        brand: "ion4".into(),
        ground: 3,
        transaction_id: cashier_core::ids::TransactionId(0),
        amount: None,
        request: Secret::new("{}"),
        unreadable: None,
        fields: "secret_key".into(),
        asked_by: ManagerId(7),
        asked_time: NOW,
        expires_time: NOW.plus(APPROVAL_SECONDS),
        state: ApprovalState::Open,
        decided_by: ManagerId(0),
        decided_time: UnixTime::UNSET,
    }
}

#[test]
fn an_approval_is_decided_once_by_another_person_while_the_config_is_as_it_was() {
    let by = |id| ManagerSession::assertion(ManagerId(id), Role::Manager, None);
    let check = |approval: &Approval, id, version, now| {
        approval.check_approver(&by(id), version, now).err().map(|refusal| refusal.code)
    };
    let last = NOW.plus(APPROVAL_SECONDS - 1);
    assert_eq!(check(&asked(), 8, 3, NOW), None);
    assert_eq!(check(&asked(), 8, 3, last), None);
    assert_eq!(check(&asked(), 7, 3, NOW), Some(RefusalCode::PermissionDenied));
    assert_eq!(check(&asked(), 8, 4, NOW), Some(RefusalCode::ApprovalStale));
    assert_eq!(check(&asked(), 8, 3, last.plus(1)), Some(RefusalCode::ApprovalStale));
    for state in [ApprovalState::Approved, ApprovalState::Rejected] {
        let decided = Approval { state, decided_by: ManagerId(8), ..asked() };
        assert_eq!(check(&decided, 9, 3, NOW), Some(RefusalCode::Duplicate), "{state:?}");
        assert_eq!(decided.state_at(last.plus(1)), state, "a decision does not expire");
        let message = decided.check_open(NOW).unwrap_err().message;
        assert_eq!(&*message, format!("the approval is {} already, by 8", state.name()));
    }
    assert!(asked().check_open(last).is_ok() && asked().check_open(last.plus(1)).is_err());
    // Asked by a clock that was ahead and was set right since.
    let soon = asked().asked_time.plus(-APPROVAL_SECONDS);
    assert_eq!(
        (asked().state_at(soon), asked().state_at(soon.plus(-1))),
        (ApprovalState::Open, ApprovalState::Expired)
    );
}
