//! One brand's settings for one provider: a row that operators edit and a gateway is opened with. Credentials are opaque
//! text here; the module reads them.

use std::fmt;

use crate::ids::ConfigId;
use crate::money::Limit;
use crate::time::UnixTime;

/// How long a replaced webhook secret is accepted: 7 days in seconds (API.md section 2).
pub const REPLACED_SECRET_SECONDS: i64 = 7 * 24 * 60 * 60;

/// Replaced webhook secrets of one config that are accepted: a forged notice is compared with each, so that more would let its
/// sender take the time of verified ones.
pub const REPLACED_SECRETS_MAX: usize = 3;

/// Text that must never be shown: no readable Debug, no Display; sealed on disk, empty in answers.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text itself, for the module and the seal alone.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "Secret(empty)" } else { "Secret(***)" })
    }
}

/// A sealed column of a stored row that does not open: its key is missing, or its bytes or what they are bound to changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableColumn {
    pub column: &'static str,
    /// As stored, and written back so until the column is given again or wiped: with its key it opens again.
    pub sealed: Box<[u8]>,
    /// Whether a text is missed: an empty one is not.
    pub holds_text: bool,
    /// Whether its key was there: then its bytes or what they are bound to changed, and no key that comes opens it.
    pub had_key: bool,
    /// Why it does not open, with the id of its key.
    pub why: Box<str>,
}

/// The name of the sealed column of replaced secrets: nobody can give them again.
pub const REPLACED_SECRETS: &str = "replaced_secrets";

/// A webhook secret that was replaced and is accepted until a time; a negative one is the length of a window that begins once
/// the clock is plausible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplacedSecret {
    pub secret: Secret,
    pub until: UnixTime,
}

impl ReplacedSecret {
    pub fn is_accepted(&self, now: UnixTime) -> bool {
        self.is_postponed() || now < self.until
    }

    fn is_postponed(&self) -> bool {
        self.until < UnixTime::UNSET
    }
}

/// A provider config row (API.md section 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderConfig {
    pub id: ConfigId,
    pub provider: Box<str>,
    /// Empty serves every brand.
    pub brand: Box<str>,
    /// Empty means any.
    pub method: Box<str>,
    /// Empty means any.
    pub country: Box<str>,
    /// Empty means any.
    pub currency: Box<str>,
    pub merchant_id: Box<str>,
    pub public_key: Box<str>,
    pub secret_key: Secret,
    pub webhook_secret: Secret,
    /// Newest first.
    pub replaced_webhook_secrets: Vec<ReplacedSecret>,
    /// A JSON object as text: the module's non-secret settings.
    pub settings_json: Box<str>,
    /// A JSON object as text whose keys win over the credential fields; may hold secrets.
    pub config_json: Secret,
    pub min_amount: Limit,
    pub max_amount: Limit,
    pub sandbox: bool,
    pub enabled: bool,
    pub sort_index: i64,
    pub created_time: UnixTime,
    pub updated_time: UnixTime,
    /// The version at which credentials, settings or mode last changed: an order made under other terms is not sent
    /// again (API.md section 5, unknown is never failed).
    pub terms_version: u64,
    /// Counts changes; an [`crate::eligibility::Eligible`] of an older version is stale.
    pub version: u64,
    /// While it is disabled, names of the fields that were changed without a second person since it last served: enabling it
    /// counts as changing them.
    pub unapproved: Vec<Box<str>>,
    /// When it was deleted; enabling it ends that. Its secrets are wiped once no update of its payments may still arrive.
    pub deleted_time: UnixTime,
    /// Fingerprints of what identifies its merchant account, which stay when the secrets are lost or wiped. Nobody edits them.
    pub account_marks: Vec<Box<str>>,
    /// Sealed columns that do not open; each is empty above. The config has no gateway while there are any.
    pub unreadable: Vec<UnreadableColumn>,
}

impl ProviderConfig {
    /// Why it cannot be served whatever its module does: row, columns and key of what does not open.
    pub fn broken(&self) -> Option<String> {
        let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
        for unreadable in &self.unreadable {
            match groups.iter_mut().find(|(why, _)| *why == &*unreadable.why) {
                Some((_, columns)) => columns.push(unreadable.column),
                None => groups.push((&unreadable.why, vec![unreadable.column])),
            }
        }
        let said: Vec<String> =
            groups.into_iter().map(|(why, columns)| format!("{}: {why}", columns.join(", "))).collect();
        (!said.is_empty()).then(|| format!("provider_config {}: {}", self.id, said.join("; ")))
    }

    /// Unreadable columns whose text only a person can give again.
    pub fn missing(&self) -> impl Iterator<Item = &UnreadableColumn> {
        self.unreadable.iter().filter(|unreadable| unreadable.holds_text && unreadable.column != REPLACED_SECRETS)
    }

    /// Whether it holds anything secret, readable or not.
    pub fn holds_secrets(&self) -> bool {
        let is_blank = |text: &Secret| matches!(text.expose(), "" | "{}");
        let readable =
            [&self.secret_key, &self.webhook_secret, &self.config_json].into_iter().any(|text| !is_blank(text));
        readable || !self.replaced_webhook_secrets.is_empty() || !self.unreadable.is_empty()
    }

    /// The row without any secret, as nothing is served under it any more.
    pub fn without_secrets(&self, now: UnixTime) -> Self {
        let version = self.version.saturating_add(1);
        Self {
            secret_key: Secret::default(),
            webhook_secret: Secret::default(),
            config_json: Secret::default(),
            replaced_webhook_secrets: Vec::new(),
            unreadable: Vec::new(),
            updated_time: now,
            terms_version: version,
            version,
            ..self.clone()
        }
    }

    /// Puts a secret that was just replaced in front. One that is accepted as the current one, or stands there twice, is kept
    /// once; beyond [`REPLACED_SECRETS_MAX`] the oldest are dropped before their time.
    pub(crate) fn keep_replaced(&mut self, replaced: ReplacedSecret, current: &str) {
        let secrets = &mut self.replaced_webhook_secrets;
        secrets.retain(|known| known.secret != replaced.secret && known.secret.expose() != current);
        secrets.insert(0, replaced);
        secrets.truncate(REPLACED_SECRETS_MAX);
    }

    /// How many of its replaced secrets `after` dropped although it keeps as many as may be.
    pub fn dropped_secrets(&self, after: &Self, now: UnixTime) -> usize {
        if after.replaced_webhook_secrets.len() < REPLACED_SECRETS_MAX {
            return 0;
        }
        let kept = |secret: &Secret| {
            after.webhook_secret == *secret
                || after.replaced_webhook_secrets.iter().any(|known| known.secret == *secret)
        };
        let accepted = self.replaced_webhook_secrets.iter().filter(|known| known.is_accepted(now));
        accepted.filter(|known| !kept(&known.secret)).count()
    }

    /// Leaves open when the secrets end that were replaced at `now`, because an implausible clock stamped it.
    pub fn postpone_windows(&mut self, now: UnixTime) {
        for replaced in &mut self.replaced_webhook_secrets {
            if replaced.until == now.plus(REPLACED_SECRET_SECONDS) {
                replaced.until = UnixTime(-REPLACED_SECRET_SECONDS);
            }
        }
    }

    /// The row with a whole window from `now`, a plausible time, for each replaced secret whose window was postponed, or ends
    /// later than that: it was stamped by a clock that was ahead. `None` where there is none.
    pub fn with_windows_begun(&self, now: UnixTime) -> Option<Self> {
        let latest = now.plus(REPLACED_SECRET_SECONDS);
        let to_begin = |replaced: &ReplacedSecret| replaced.is_postponed() || replaced.until > latest;
        if !self.replaced_webhook_secrets.iter().any(to_begin) {
            return None;
        }
        let mut begun = self.clone();
        for replaced in begun.replaced_webhook_secrets.iter_mut().filter(|replaced| to_begin(replaced)) {
            replaced.until = latest;
        }
        Some(begun)
    }

    /// A row of this provider with every other field at its default; it has no id yet.
    pub fn blank(provider: Box<str>, now: UnixTime) -> Self {
        Self {
            id: ConfigId(0),
            provider,
            brand: Box::default(),
            method: Box::default(),
            country: Box::default(),
            currency: Box::default(),
            merchant_id: Box::default(),
            public_key: Box::default(),
            secret_key: Secret::default(),
            webhook_secret: Secret::default(),
            replaced_webhook_secrets: Vec::new(),
            settings_json: "{}".into(),
            config_json: Secret::default(),
            min_amount: Limit::NONE,
            max_amount: Limit::NONE,
            sandbox: false,
            enabled: false,
            sort_index: 0,
            created_time: now,
            updated_time: now,
            terms_version: 0,
            version: 0,
            unapproved: Vec::new(),
            deleted_time: UnixTime::UNSET,
            account_marks: Vec::new(),
            unreadable: Vec::new(),
        }
    }
}
