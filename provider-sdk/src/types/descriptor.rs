//! A module's description of itself, read before any config exists: the host lists it, limits egress to its
//! hosts and builds the settings form from it.

/// A module's description of itself. Complete it with `..Descriptor::default()`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// The provider's code, 1 to 64 of `[a-z0-9_]`: the `{provider}` of the webhook path.
    pub code: String,
    /// The name shown to customers.
    pub name: String,
    /// One sentence for the manager's list of modules; may be empty.
    pub description: String,
    /// The module's own version, usually `env!("CARGO_PKG_VERSION")`.
    pub version: String,
    /// How the customer pays.
    pub payment_mode: PaymentMode,
    /// The payment methods it supports, such as `card`; at least one. The first is the default.
    pub methods: Vec<String>,
    /// Currencies that it can be paid in, upper case, such as `EUR`; empty if it takes every currency. An account in
    /// another currency is not offered this provider. What depends on the amount is for
    /// [`check_order`](crate::PaymentProvider::check_order).
    pub currencies: Vec<String>,
    /// The optional calls it implements.
    pub capabilities: Capabilities,
    /// The kind of [`ProviderRef`](super::ProviderRef) that is displayed as the provider's payment id.
    pub primary_ref_kind: String,
    /// Hosts that requests may go to, such as `api.stripe.com`, with the port unless it is 443. A setting
    /// marked `endpoint` may select one of these or an exception that the operator allows.
    pub hosts: Vec<String>,
    /// How long the provider returns its first answer for a repeated idempotency key, in seconds; 0 if it
    /// ignores keys.
    pub idempotency_window_seconds: u32,
    /// How long the customer may take to pay, in seconds; 0 for the host's default.
    pub expiry_seconds: u32,
    /// The settings a config must or may have. The keys `merchant_id`, `public_key`, `secret_key` and
    /// `webhook_secret` are fields of [`ProviderConfig`](super::ProviderConfig); all others are in its `settings`.
    pub settings: Vec<SettingSpec>,
    /// The events that a merchant subscribes to at the provider, by the provider's own names; empty if it sends every one
    /// to the address that it was given.
    pub webhook_events: Vec<String>,
}

/// How the customer pays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PaymentMode {
    /// On a page of the provider.
    #[default]
    Redirect,
    /// By following instructions: bank details, a blockchain address.
    Instructions,
    /// Inside the broker's page, with the provider's script.
    Embedded,
}

impl PaymentMode {
    /// The name used in lists and cases.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Redirect => "redirect",
            Self::Instructions => "instructions",
            Self::Embedded => "embedded",
        }
    }

    /// The mode of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Redirect, Self::Instructions, Self::Embedded].into_iter().find(|mode| mode.as_str() == name)
    }
}

/// The optional calls that the module implements. The host makes no other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Capabilities {
    /// `advance_payment`.
    pub advance: bool,
    /// `query_status`.
    pub query: bool,
    /// `cancel_payment`.
    pub cancel: bool,
    /// `refund_payment`.
    pub refund: bool,
    /// Whether `refund_payment` may return less than the payment; needs `refund`.
    pub partial_refund: bool,
}

/// One field of the settings form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingSpec {
    /// The key in the config, unique in the descriptor.
    pub key: String,
    /// The form's label.
    pub label: String,
    /// What values it takes.
    pub kind: SettingKind,
    /// Stored encrypted and never displayed.
    pub secret: bool,
    /// An enabled config without it is refused.
    pub required: bool,
    /// Decides where requests go: a change of it requires the secrets to be entered again.
    pub endpoint: bool,
    /// The value if nothing is set; `None` for secrets.
    pub default: Option<String>,
    /// Values under which the customer pays in another way than [`Descriptor::payment_mode`], each with that way.
    pub payment_modes: Vec<(String, PaymentMode)>,
}

impl SettingSpec {
    /// An optional text setting.
    pub fn text(key: impl Into<String>, label: impl Into<String>) -> Self {
        Self { key: key.into(), label: label.into(), ..Self::default() }
    }

    /// A secret that an enabled config must have.
    pub fn required_secret(key: impl Into<String>, label: impl Into<String>) -> Self {
        Self { secret: true, required: true, ..Self::text(key, label) }
    }

    /// A base URL that decides where requests go.
    pub fn endpoint(key: impl Into<String>, label: impl Into<String>, default: impl Into<String>) -> Self {
        Self { kind: SettingKind::Url, endpoint: true, default: Some(default.into()), ..Self::text(key, label) }
    }
}

/// What values a setting takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SettingKind {
    /// Any text.
    #[default]
    Text,
    /// A whole number, see [`ProviderSettings::integer`](super::ProviderSettings::integer).
    Integer,
    /// True or false, see [`ProviderSettings::flag`](super::ProviderSettings::flag).
    Flag,
    /// A URL.
    Url,
    /// One of these texts.
    Choice(Vec<String>),
}
