//! The table provider_config. Both secrets, the replaced secrets and config_json are sealed; settings_json is clear.

use cashier_core::ids::ConfigId;
use cashier_core::provider_config::{ProviderConfig, Secret};

use super::Writer;
use crate::ports::Fault;
use crate::strand::columns::{Cells, Put, sql_fault};
use crate::strand::json;
use crate::strand::seal::{Place, Seal};

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

// What each sealed value is bound to; changing one of these shuts every row on disk.
const SECRET_KEY: &str = "secret_key";
const WEBHOOK_SECRET: &str = "webhook_secret";
const REPLACED_SECRETS: &str = "replaced_secrets";
const CONFIG_JSON: &str = "config_json";

fn place(id: ConfigId, column: &'static str) -> Place {
    Place { table: TABLE, column, row: id.0 }
}

pub(super) fn put(writer: &mut Writer<'_>, row: &ProviderConfig) -> Result<(), Fault> {
    writer.touch('c', row.id.0);
    let seal = |column, text: &str| writer.seal.close(place(row.id, column), text);
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

pub(in crate::strand) fn read(cells: &mut Cells<'_, '_>, seal: &Seal) -> Result<ProviderConfig, Fault> {
    let id = ConfigId(cells.id()?);
    let open = |column, sealed: &[u8]| seal.open(place(id, column), sealed);
    let secret = |column, sealed: &[u8]| open(column, sealed).map(|text| Secret::new(&text));
    Ok(ProviderConfig {
        id,
        provider: cells.text()?,
        brand: cells.text()?,
        method: cells.text()?,
        country: cells.text()?,
        currency: cells.text()?,
        merchant_id: cells.text()?,
        public_key: cells.text()?,
        secret_key: secret(SECRET_KEY, cells.blob()?)?,
        webhook_secret: secret(WEBHOOK_SECRET, cells.blob()?)?,
        replaced_webhook_secrets: {
            let text = open(REPLACED_SECRETS, cells.blob()?)?;
            json::read_replaced(&text)
                .map_err(|_| Fault::new(format!("{TABLE} {id}: the replaced secrets cannot be read")))?
        },
        settings_json: cells.text()?,
        config_json: secret(CONFIG_JSON, cells.blob()?)?,
        min_amount: cells.limit()?,
        max_amount: cells.limit()?,
        sandbox: cells.flag()?,
        enabled: cells.flag()?,
        sort_index: cells.int()?,
        created_time: cells.time()?,
        updated_time: cells.time()?,
        terms_version: cells.id()?,
        version: cells.id()?,
    })
}
