//! What a module says of itself before it is configured: the host lists it, limits egress by it
//! and draws the settings form from it.

/// The module's own card. Fill it with `..Descriptor::default()`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// The provider's code, lower case, `[a-z0-9_]`, at most 64: the `{provider}` of the webhook path.
    pub code: String,
    /// The name customers read.
    pub name: String,
    pub description: String,
    /// The module's own version, usually `env!("CARGO_PKG_VERSION")`.
    pub version: String,
    pub payment_mode: PaymentMode,
    /// The methods it offers, such as `card`. The first one is the default.
    pub methods: Vec<String>,
    pub capabilities: Capabilities,
    /// The kind of `ProviderRef` that is shown as the provider's payment id.
    pub primary_ref_kind: String,
    /// Hosts its requests may go to, such as `api.stripe.com`; a port is part of the name where it
    /// is not 443. A setting marked `endpoint` chooses among these and the operator's exceptions.
    pub hosts: Vec<String>,
    /// For how long the provider answers a repeated key with its first answer; 0 is never.
    pub idempotency_window_seconds: u32,
    /// How long a customer may take before the payment is closed; 0 leaves it to the host.
    pub expiry_seconds: u32,
    /// What the configuration must or may carry. The keys `merchant_id`, `public_key`, `secret_key`
    /// and `webhook_secret` name the columns of the configuration, all others its settings.
    pub settings: Vec<SettingSpec>,
}

/// How the customer pays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PaymentMode {
    /// On a page of the provider.
    #[default]
    Redirect,
    /// By following instructions: bank details, an address of a chain.
    Instructions,
    /// Inside the broker's page, with the provider's own script.
    Embedded,
}

impl PaymentMode {
    /// The word for lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Redirect => "redirect",
            Self::Instructions => "instructions",
            Self::Embedded => "embedded",
        }
    }
}

/// The optional calls that the module really makes. The host offers no other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Capabilities {
    pub advance: bool,
    pub query: bool,
    pub cancel: bool,
    pub refund: bool,
    /// Whether a refund may be smaller than the payment.
    pub partial_refund: bool,
}

/// One line of the settings form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingSpec {
    pub key: String,
    pub label: String,
    pub kind: SettingKind,
    /// Sealed on disk, never shown again.
    pub secret: bool,
    /// An enabled configuration without it is refused.
    pub required: bool,
    /// Decides where requests go: changing it demands the secrets anew.
    pub endpoint: bool,
    /// What holds where nothing is set; never for secrets.
    pub default: Option<String>,
}

impl SettingSpec {
    /// A plain text setting that may be left out.
    pub fn text(key: impl Into<String>, label: impl Into<String>) -> Self {
        Self { key: key.into(), label: label.into(), ..Self::default() }
    }

    /// A secret that an enabled configuration must carry.
    pub fn required_secret(key: impl Into<String>, label: impl Into<String>) -> Self {
        Self { secret: true, required: true, ..Self::text(key, label) }
    }

    /// A base URL that decides where requests go.
    pub fn endpoint(key: impl Into<String>, label: impl Into<String>, default: impl Into<String>) -> Self {
        Self { kind: SettingKind::Url, endpoint: true, default: Some(default.into()), ..Self::text(key, label) }
    }
}

/// What a setting may hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SettingKind {
    #[default]
    Text,
    Integer,
    Flag,
    Url,
    /// One of these words.
    Choice(Vec<String>),
}
