//! The table provider_config. Both secrets, the replaced secrets and config_json are sealed, bound to the clear terms of the
//! row; settings_json is clear. A sealed column that does not open is kept as it is.

use cashier_core::ids::ConfigId;
use cashier_core::provider_config::{ProviderConfig, REPLACED_SECRETS, Secret};
use cashier_core::time::UnixTime;
use rusqlite::{Connection, OptionalExtension};

use super::writer::RowWriter;
use crate::ports::Fault;
use crate::strand::columns::{ColumnReader, sql_fault};
use crate::strand::json;
use crate::strand::seal::{self, Seal, SealContext, Terms};

pub(in crate::strand) const TABLE: &str = "provider_config";

macro_rules! columns {
    () => {
        "id, provider, brand, method, country, currency, merchant_id, public_key, secret_key_sealed, \
         webhook_secret_sealed, replaced_secrets_sealed, settings_json, config_json_sealed, min_amount, max_amount, \
         sandbox, enabled, sort_index, created_time, updated_time, terms_version, version, \
         unapproved_json, deleted_time, account_marks_json"
    };
}

/// How many columns of a row are sealed.
pub(in crate::strand) const SEALED_COLUMNS: usize = SEALED.len();

/// The sealed columns; `blank` is the text of one that holds nothing.
const SEALED: [(&str, &str); 4] =
    [(SECRET_KEY, ""), (WEBHOOK_SECRET, ""), (REPLACED_SECRETS, "[]"), (CONFIG_JSON, "{}")];

const PUT: &str = concat!(
    "REPLACE INTO provider_config (",
    columns!(),
    ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
);

const PUT_MARKS: &str = "UPDATE provider_config SET account_marks_json = ? WHERE id = ?";

pub(in crate::strand) const READ_ALL: &str = concat!("SELECT ", columns!(), " FROM provider_config ORDER BY id");

/// Rows above an id with a column whose first bytes are not these.
pub(in crate::strand) const READ_STALE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM provider_config WHERE id > ?1 AND (substr(secret_key_sealed, 1, 5) <> ?2 OR \
     substr(webhook_secret_sealed, 1, 5) <> ?2 OR substr(replaced_secrets_sealed, 1, 5) <> ?2 OR \
     substr(config_json_sealed, 1, 5) <> ?2) ORDER BY id LIMIT ?3"
);

/// The first bytes of every sealed value, with the row.
pub(in crate::strand) const READ_HEADERS: &str = "SELECT id, substr(secret_key_sealed, 1, 5), \
     substr(webhook_secret_sealed, 1, 5), substr(replaced_secrets_sealed, 1, 5), substr(config_json_sealed, 1, 5) \
     FROM provider_config ORDER BY id";

// The column that each sealed value is bound to; after a change of one of these no stored row opens.
const SECRET_KEY: &str = "secret_key";
const WEBHOOK_SECRET: &str = "webhook_secret";
const CONFIG_JSON: &str = "config_json";

/// Terms are bound as they are stored here, whatever a module makes of them.
fn terms(provider: &str, brand: &str, merchant_id: &str, sandbox: bool) -> Terms {
    Terms::of(&[provider, brand, merchant_id, if sandbox { "sandbox" } else { "live" }])
}

pub(super) fn delete(writer: &mut RowWriter<'_>, id: ConfigId) -> Result<(), Fault> {
    writer.touch('c', id.0);
    writer.put_over(TABLE, "DELETE FROM provider_config WHERE id = ?", |put| put.with(&id))
}

pub(in crate::strand) fn put(writer: &mut RowWriter<'_>, row: &ProviderConfig) -> Result<(), Fault> {
    writer.touch('c', row.id.0);
    let terms = terms(&row.provider, &row.brand, &row.merchant_id, row.sandbox);
    let seal = |column, text: &str| match row.unreadable.iter().find(|unreadable| unreadable.column == column) {
        Some(unreadable) => kept(writer.connection, row.id, column, &unreadable.sealed),
        None => writer.seal.seal(SealContext { table: TABLE, column, row: row.id.0, terms: &terms }, text),
    };
    let secret_key = seal(SECRET_KEY, row.secret_key.expose())?;
    let webhook_secret = seal(WEBHOOK_SECRET, row.webhook_secret.expose())?;
    let replaced = json::write_replaced(&row.replaced_webhook_secrets)
        .map_err(|_| Fault::new(format!("{TABLE} {}: the replaced secrets cannot be written", row.id)))?;
    let replaced = seal(REPLACED_SECRETS, &replaced)?;
    let config_json = seal(CONFIG_JSON, row.config_json.expose())?;
    writer.put_over(TABLE, PUT, |put| {
        put.with(&row.id)
            .with(&row.provider)
            .with(&row.brand)
            .with(&row.method)
            .with(&row.country)
            .with(&row.currency)
            .with(&row.merchant_id)
            .with(&row.public_key)
            .sql(secret_key)
            .sql(webhook_secret)
            .sql(replaced)
            .with(&row.settings_json)
            .sql(config_json)
            .with(&row.min_amount)
            .with(&row.max_amount)
            .with(&row.sandbox)
            .with(&row.enabled)
            .with(&row.sort_index)
            .with(&row.created_time)
            .with(&row.updated_time)
            .with(&row.terms_version)
            .with(&row.version)
            .with(&row.unapproved)
            .with(&row.deleted_time)
            .with(&row.account_marks)
    })
}

/// What is stored in a column that is kept: it may have been resealed since the row was read.
fn kept(connection: &Connection, id: ConfigId, column: &str, read: &[u8]) -> Result<Vec<u8>, Fault> {
    let sql = format!("SELECT {column}_sealed FROM provider_config WHERE id = ?");
    let stored = connection
        .prepare_cached(&sql)
        .and_then(|mut find| find.query_row([id.0.cast_signed()], |row| row.get(0)).optional());
    stored.map(|stored| stored.unwrap_or_else(|| read.to_vec())).map_err(sql_fault(TABLE))
}

/// Stores marks that were missing: no decision changes, so no version rises.
pub(in crate::strand) fn put_marks(writer: &mut RowWriter<'_>, row: &ProviderConfig) -> Result<(), Fault> {
    // The row moves where it grows.
    writer.put_over(TABLE, PUT_MARKS, |put| put.with(&row.account_marks).with(&row.id))
}

pub(in crate::strand) fn read(columns: &mut ColumnReader<'_, '_>, seal: &Seal) -> Result<ProviderConfig, Fault> {
    let mut row = ProviderConfig {
        id: columns.value()?,
        provider: columns.value()?,
        brand: columns.value()?,
        method: columns.value()?,
        country: columns.value()?,
        currency: columns.value()?,
        merchant_id: columns.value()?,
        public_key: columns.value()?,
        ..ProviderConfig::blank(Box::default(), UnixTime::UNSET)
    };
    let [secret_key, webhook_secret, replaced] = [columns.blob()?, columns.blob()?, columns.blob()?];
    row.settings_json = columns.value()?;
    let config_json = columns.blob()?;
    row.min_amount = columns.value()?;
    row.max_amount = columns.value()?;
    row.sandbox = columns.value()?;
    row.enabled = columns.value()?;
    row.sort_index = columns.value()?;
    row.created_time = columns.value()?;
    row.updated_time = columns.value()?;
    row.terms_version = columns.value()?;
    row.version = columns.value()?;
    row.unapproved = columns.value()?;
    row.deleted_time = columns.value()?;
    row.account_marks = columns.value()?;
    let terms = terms(&row.provider, &row.brand, &row.merchant_id, row.sandbox);
    for ((column, blank), sealed) in SEALED.into_iter().zip([secret_key, webhook_secret, replaced, config_json]) {
        let context = SealContext { table: TABLE, column, row: row.id.0, terms: &terms };
        let taken = seal.read(context, sealed, blank).and_then(|text| {
            take(&mut row, column, &text).map_err(|why| seal::unreadable(context, sealed, why, blank))
        });
        row.unreadable.extend(taken.err());
    }
    Ok(row)
}

/// Takes the text of a sealed column.
fn take(row: &mut ProviderConfig, column: &str, text: &str) -> Result<(), String> {
    match column {
        SECRET_KEY => row.secret_key = Secret::new(text),
        WEBHOOK_SECRET => row.webhook_secret = Secret::new(text),
        REPLACED_SECRETS => {
            // The parser's message could quote a secret.
            row.replaced_webhook_secrets = json::read_replaced(text).map_err(|_| "it holds no list of secrets")?;
        }
        _ => row.config_json = Secret::new(text),
    }
    Ok(())
}
