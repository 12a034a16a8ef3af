//! The table provider_config. Both secrets, the replaced secrets and config_json are sealed; settings_json is clear.

use cashier_core::ids::ConfigId;
use cashier_core::provider_config::{ProviderConfig, Secret};

use super::writer::RowWriter;
use crate::ports::Fault;
use crate::strand::columns::{ColumnReader, Put, sql_fault};
use crate::strand::json;
use crate::strand::seal::{Seal, SealContext};

pub(in crate::strand) const TABLE: &str = "provider_config";

macro_rules! columns {
    () => {
        "id, provider, brand, method, country, currency, merchant_id, public_key, secret_key_sealed, \
         webhook_secret_sealed, replaced_secrets_sealed, settings_json, config_json_sealed, min_amount, max_amount, \
         sandbox, enabled, sort_index, created_time, updated_time, terms_version, version"
    };
}

const PUT: &str =
    concat!("REPLACE INTO provider_config (", columns!(), ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");

pub(in crate::strand) const READ_ALL: &str = concat!("SELECT ", columns!(), " FROM provider_config ORDER BY id");

// The column that each sealed value is bound to; after a change of one of these no stored row opens.
const SECRET_KEY: &str = "secret_key";
const WEBHOOK_SECRET: &str = "webhook_secret";
const REPLACED_SECRETS: &str = "replaced_secrets";
const CONFIG_JSON: &str = "config_json";

fn context(id: ConfigId, column: &'static str) -> SealContext {
    SealContext { table: TABLE, column, row: id.0 }
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
    let put = || {
        Put::prepare(writer.connection, PUT)?
            .id(row.id.0)
            .text(&row.provider)
            .text(&row.brand)
            .text(&row.method)
            .text(&row.country)
            .text(&row.currency)
            .text(&row.merchant_id)
            .text(&row.public_key)
            .blob(&secret_key)
            .blob(&webhook_secret)
            .blob(&replaced)
            .text(&row.settings_json)
            .blob(&config_json)
            .limit(row.min_amount)
            .limit(row.max_amount)
            .flag(row.sandbox)
            .flag(row.enabled)
            .int(row.sort_index)
            .time(row.created_time)
            .time(row.updated_time)
            .id(row.terms_version)
            .id(row.version)
            .run()
    };
    put().map_err(sql_fault(TABLE))
}

pub(in crate::strand) fn read(columns: &mut ColumnReader<'_, '_>, seal: &Seal) -> Result<ProviderConfig, Fault> {
    let id = ConfigId(columns.id()?);
    let open = |column, sealed: &[u8]| seal.open(context(id, column), sealed);
    let secret = |column, sealed: &[u8]| open(column, sealed).map(|text| Secret::new(&text));
    Ok(ProviderConfig {
        id,
        provider: columns.text()?,
        brand: columns.text()?,
        method: columns.text()?,
        country: columns.text()?,
        currency: columns.text()?,
        merchant_id: columns.text()?,
        public_key: columns.text()?,
        secret_key: secret(SECRET_KEY, columns.blob()?)?,
        webhook_secret: secret(WEBHOOK_SECRET, columns.blob()?)?,
        replaced_webhook_secrets: {
            let text = open(REPLACED_SECRETS, columns.blob()?)?;
            json::read_replaced(&text)
                .map_err(|_| Fault::new(format!("{TABLE} {id}: the replaced secrets cannot be read")))?
        },
        settings_json: columns.text()?,
        config_json: secret(CONFIG_JSON, columns.blob()?)?,
        min_amount: columns.limit()?,
        max_amount: columns.limit()?,
        sandbox: columns.flag()?,
        enabled: columns.flag()?,
        sort_index: columns.int()?,
        created_time: columns.time()?,
        updated_time: columns.time()?,
        terms_version: columns.id()?,
        version: columns.id()?,
    })
}
