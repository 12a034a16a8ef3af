//! The table provider_config. Both secrets, the replaced secrets and config_json are sealed; settings_json is clear.

use cashier_core::ids::ConfigId;
use cashier_core::provider_config::{ProviderConfig, Secret};

use super::writer::RowWriter;
use crate::ports::Fault;
use crate::strand::columns::ColumnReader;
use crate::strand::json;
use crate::strand::seal::{Seal, SealContext};

pub(in crate::strand) const TABLE: &str = "provider_config";

macro_rules! columns {
    () => {
        "id, provider, brand, method, country, currency, merchant_id, public_key, secret_key_sealed, \
         webhook_secret_sealed, replaced_secrets_sealed, settings_json, config_json_sealed, min_amount, max_amount, \
         sandbox, enabled, sort_index, created_time, updated_time, terms_version, version, \
         unapproved_json"
    };
}

const PUT: &str =
    concat!("REPLACE INTO provider_config (", columns!(), ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");

pub(in crate::strand) const READ_ALL: &str = concat!("SELECT ", columns!(), " FROM provider_config ORDER BY id");

// The column that each sealed value is bound to; after a change of one of these no stored row opens.
const SECRET_KEY: &str = "secret_key";
const WEBHOOK_SECRET: &str = "webhook_secret";
const REPLACED_SECRETS: &str = "replaced_secrets";
const CONFIG_JSON: &str = "config_json";

fn context(id: ConfigId, column: &'static str) -> SealContext {
    SealContext { table: TABLE, column, row: id.0 }
}

pub(super) fn delete(writer: &mut RowWriter<'_>, id: ConfigId) -> Result<(), Fault> {
    writer.touch('c', id.0);
    writer.put(TABLE, "DELETE FROM provider_config WHERE id = ?", |put| put.with(&id))
}

pub(super) fn put(writer: &mut RowWriter<'_>, row: &ProviderConfig) -> Result<(), Fault> {
    writer.touch('c', row.id.0);
    let seal = |column, text: &str| writer.seal.seal(context(row.id, column), text);
    let secret_key = seal(SECRET_KEY, row.secret_key.expose())?;
    let webhook_secret = seal(WEBHOOK_SECRET, row.webhook_secret.expose())?;
    let replaced = json::write_replaced(&row.replaced_webhook_secrets)
        .map_err(|_| Fault::new(format!("{TABLE} {}: the replaced secrets cannot be written", row.id)))?;
    let replaced = seal(REPLACED_SECRETS, &replaced)?;
    let config_json = seal(CONFIG_JSON, row.config_json.expose())?;
    writer.put(TABLE, PUT, |put| {
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
    })
}

pub(in crate::strand) fn read(columns: &mut ColumnReader<'_, '_>, seal: &Seal) -> Result<ProviderConfig, Fault> {
    let id = columns.value()?;
    let open = |column, sealed: &[u8]| seal.open(context(id, column), sealed);
    let secret = |column, sealed: &[u8]| open(column, sealed).map(|text| Secret::new(&text));
    Ok(ProviderConfig {
        id,
        provider: columns.value()?,
        brand: columns.value()?,
        method: columns.value()?,
        country: columns.value()?,
        currency: columns.value()?,
        merchant_id: columns.value()?,
        public_key: columns.value()?,
        secret_key: secret(SECRET_KEY, columns.blob()?)?,
        webhook_secret: secret(WEBHOOK_SECRET, columns.blob()?)?,
        replaced_webhook_secrets: {
            let text = open(REPLACED_SECRETS, columns.blob()?)?;
            json::read_replaced(&text)
                .map_err(|_| Fault::new(format!("{TABLE} {id}: the replaced secrets cannot be read")))?
        },
        settings_json: columns.value()?,
        config_json: secret(CONFIG_JSON, columns.blob()?)?,
        min_amount: columns.value()?,
        max_amount: columns.value()?,
        sandbox: columns.value()?,
        enabled: columns.value()?,
        sort_index: columns.value()?,
        created_time: columns.value()?,
        updated_time: columns.value()?,
        terms_version: columns.value()?,
        version: columns.value()?,
        unapproved: columns.value()?,
    })
}
