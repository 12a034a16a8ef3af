//! Rows with encrypted columns that do not open, in one list for everybody who asks. It reads none.

use cashier_core::approval::Approval;
use cashier_core::provider_config::ProviderConfig;

/// A row with an encrypted column that does not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableRow {
    /// Row, columns and key.
    pub what: String,
    /// What a person can do.
    pub remedy: &'static str,
}

/// Those of every table that has encrypted columns.
pub fn unreadable_rows<'r>(
    configs: impl Iterator<Item = &'r ProviderConfig>,
    approvals: impl Iterator<Item = &'r Approval>,
    closed_keys: &[String],
) -> Vec<UnreadableRow> {
    let with = |remedy| move |what| UnreadableRow { what, remedy };
    let of_config = "it has no gateway; put the seal key back, or save the config again with these secrets";
    let of_key = "put the seal key back; the next start without it makes another";
    let configs = configs.filter_map(ProviderConfig::broken).map(with(of_config));
    let approvals = approvals.filter_map(Approval::broken).map(with("it can be rejected alone"));
    configs.chain(approvals).chain(closed_keys.iter().cloned().map(with(of_key))).collect()
}
