//! The settings of a trading server that speaks the platform's TCP protocol. What no page of the platform states is a field here
//! without a guess: what is left out is a fault that names it, once it is needed.

use std::path::PathBuf;

use super::dial::PlatformTls;
use crate::ports::Fault;

/// Longest name of a source; the platform's own are shorter.
const SOURCE_LENGTH_MAX: usize = 32;

/// What a condition's templates put a column and a value in place of.
const COLUMN: &str = "{column}";
const VALUE: &str = "{value}";

/// All of them; `PlatformSettings::new` fills in the defaults.
#[derive(Debug, Clone)]
pub struct PlatformSettings {
    /// `host:port`.
    pub address: Box<str>,
    pub tls: PlatformTls,
    /// The session's token, in a file of its own; read again for each connection, which ends when it is replaced.
    pub token_file: PathBuf,
    /// How money is moved. Default: [`PlatformPhases::Two`].
    pub phases: PlatformPhases,
    /// `gw_source` of our finance requests. 1 to 32 letters, digits, `-` and `_`. Default `cashier`. Another cashier at the same
    /// platform needs another one.
    pub source: Box<str>,
    /// What stands in `gw_uuid`. Default: [`PlatformKeyForm::Key`].
    pub key_form: PlatformKeyForm,
    /// `state` of a finance order that has moved the balance. No page states the number: without one nothing is posted.
    pub executed_states: Vec<i64>,
    /// Further states, beside 18, of an order that never moves a balance: deleted, expired. Default none.
    pub declined_states: Vec<i64>,
    /// Codes and texts with which the server refuses a posting for good, such as a balance that is too small. Any other error
    /// leaves the outcome unknown. Default none.
    pub refusals: Vec<Box<str>>,
    /// Codes and texts with which it says that there is no such login; `200` where it answers such a question with success and no
    /// data. Anything else is a fault. Default none.
    pub missing_account: Vec<Box<str>>,
    /// The command that lists customers by filter. No page states it: without it no account can be shown to a customer.
    pub customers_command: Option<Box<str>>,
    /// Field of its `data` that takes the customer's number. Default `customer_id`.
    pub customers_filter: Box<str>,
    /// Field of a customer that is *the* country. Default `country_of_residence`.
    pub country_field: Box<str>,
    /// `groupFilter` that means every group. Default `*`.
    pub group_filter: Box<str>,
    /// How finance orders are searched. Default: not at all; then every order is read.
    pub search: Option<PlatformSearch>,
    /// The command that keeps an idle connection open. Default `GetGroups`.
    pub heartbeat: Box<str>,
}

/// How money is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlatformPhases {
    /// A finance request that moves nothing, then its approval.
    Two,
    /// One call, found again by its comment, never repeated by itself. For servers that allow no finance requests.
    One,
}

/// What stands in `gw_uuid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlatformKeyForm {
    /// Our key as it is.
    Key,
    /// A UUID made of it, for servers that take nothing else: the first 16 bytes of the SHA-256 of `cashier:` and the key, with the
    /// version 8 and the variant of RFC 9562. The key itself stands in the comment.
    Uuid,
}

/// How `MngGetTradesByFilter` is given a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformSearch {
    /// The field of `data` that takes the condition.
    pub field: Box<str>,
    /// A condition that a column equals a text or a number, with `{column}` and `{value}` in it, quotes included.
    pub equals: Box<str>,
    /// The same for a column that is at least a number.
    pub at_least: Box<str>,
    /// `orderBy` by `update_time`, the oldest first; empty: none is sent.
    pub order_by: Box<str>,
    /// Whether `gw_uuid` can be searched. Where not, the orders of the login are read.
    pub by_uuid: bool,
    /// `update_time` counts milliseconds; else seconds.
    pub in_milliseconds: bool,
}

impl PlatformSettings {
    pub fn new(address: &str, tls: PlatformTls, token_file: PathBuf) -> Self {
        Self {
            address: address.into(),
            tls,
            token_file,
            phases: PlatformPhases::Two,
            source: "cashier".into(),
            key_form: PlatformKeyForm::Key,
            executed_states: Vec::new(),
            declined_states: Vec::new(),
            refusals: Vec::new(),
            missing_account: Vec::new(),
            customers_command: None,
            customers_filter: "customer_id".into(),
            country_field: "country_of_residence".into(),
            group_filter: "*".into(),
            search: None,
            heartbeat: "GetGroups".into(),
        }
    }

    /// # Errors
    /// A value cannot be used; the fault names its field.
    pub fn check(&self) -> Result<(), Fault> {
        let port = self.address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
        if port.is_none_or(|(host, port)| host.is_empty() || port == 0) {
            return Err(Fault::new(format!("address must be host:port, not {:?}", self.address)));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if self.source.is_empty() || self.source.len() > SOURCE_LENGTH_MAX || !self.source.bytes().all(plain) {
            return Err(Fault::new("source must be 1 to 32 letters, digits, - and _"));
        }
        if self.executed_states.is_empty() {
            return Err(Fault::new(
                "executed_states must name the state of a finance order that has moved the balance",
            ));
        }
        let fixed = [super::finance_order::PENDING, super::finance_order::APPROVED, super::finance_order::DECLINED];
        let twice = |state: &&i64| fixed.contains(state) || self.declined_states.contains(state);
        if let Some(state) = self.executed_states.iter().find(twice) {
            return Err(Fault::new(format!("executed_states: {state} means something else")));
        }
        if let Some(state) = self.declined_states.iter().find(|state| fixed.contains(state)) {
            return Err(Fault::new(format!("declined_states: {state} has a meaning of its own")));
        }
        let is_blank = |texts: &[Box<str>]| texts.iter().any(|text| text.trim().is_empty());
        for (name, texts) in [("refusals", &self.refusals), ("missing_account", &self.missing_account)] {
            // An error without a text would be named by it.
            if is_blank(texts) {
                return Err(Fault::new(format!("{name} must have no blank entry")));
            }
        }
        match &self.search {
            Some(search) if search.field.is_empty() => Err(Fault::new("search.field must name a field")),
            Some(search)
                if [&search.equals, &search.at_least]
                    .iter()
                    .any(|template| !template.contains(COLUMN) || !template.contains(VALUE)) =>
            {
                Err(Fault::new("search.equals and search.at_least must have {column} and {value} in them"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl PlatformSearch {
    pub(super) fn equals(&self, column: &str, value: &str) -> String {
        filled(&self.equals, column, value)
    }

    pub(super) fn at_least(&self, column: &str, value: &str) -> String {
        filled(&self.at_least, column, value)
    }
}

/// Values are numbers and keys, which have no quotes.
fn filled(template: &str, column: &str, value: &str) -> String {
    template.replace(COLUMN, column).replace(VALUE, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> PlatformSettings {
        let settings = PlatformSettings::new("platform:4000", PlatformTls::Plain, "token".into());
        PlatformSettings { executed_states: vec![11], ..settings }
    }

    fn search() -> PlatformSearch {
        PlatformSearch {
            field: "where".into(),
            equals: "{column} = '{value}'".into(),
            at_least: "{column} >= {value}".into(),
            order_by: Box::default(),
            by_uuid: true,
            in_milliseconds: false,
        }
    }

    #[test]
    fn settings_that_cannot_be_used_are_named() {
        let table: [(&str, PlatformSettings); 11] = [
            ("", settings()),
            ("address must be host:port", PlatformSettings { address: "platform".into(), ..settings() }),
            ("address must be host:port", PlatformSettings { address: ":70000".into(), ..settings() }),
            ("source must be", PlatformSettings { source: "".into(), ..settings() }),
            ("source must be", PlatformSettings { source: "a b".into(), ..settings() }),
            ("executed_states must name", PlatformSettings { executed_states: vec![], ..settings() }),
            ("executed_states: 17", PlatformSettings { executed_states: vec![11, 17], ..settings() }),
            ("refusals", PlatformSettings { refusals: vec!["13".into(), " ".into()], ..settings() }),
            ("missing_account", PlatformSettings { missing_account: vec!["".into()], ..settings() }),
            ("declined_states: 10", PlatformSettings { declined_states: vec![10], ..settings() }),
            (
                "search.equals",
                PlatformSettings {
                    search: Some(PlatformSearch { equals: "{column}".into(), ..search() }),
                    ..settings()
                },
            ),
        ];
        for (problem, settings) in table {
            let found = settings.check().err().map(|fault| fault.what).unwrap_or_default();
            assert!(found.starts_with(problem) && found.is_empty() == problem.is_empty(), "{problem}: {found}");
        }
    }

    #[test]
    fn conditions_are_made_of_their_templates() {
        assert_eq!(search().equals("gw_uuid", "d123:1"), "gw_uuid = 'd123:1'");
        assert_eq!(search().at_least("update_time", "17"), "update_time >= 17");
    }
}
