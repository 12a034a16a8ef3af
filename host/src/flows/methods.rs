//! Which payment methods a customer may use with one of their accounts, in the order they are shown.

use std::sync::Arc;

use cashier_core::account::AccountFacts;
use cashier_core::eligibility::{self, ConfigCandidate, Eligible};
use cashier_core::ids::Login;
use cashier_core::money::Currency;
use cashier_core::provider_config::ProviderConfig;
use cashier_core::refusal::Refusal;
use cashier_core::session::CustomerSession;

use super::{Cashier, conversion};
use crate::ports::CatalogLine;

/// One method as a customer sees it.
#[derive(Debug, Clone)]
pub struct Method {
    pub config: Arc<ProviderConfig>,
    pub eligible: Eligible,
    pub payment_mode: Box<str>,
    pub display_name: Box<str>,
    pub description: Box<str>,
}

/// The methods for a login of this customer. Empty where the customer or the account may not deposit at all.
pub async fn list(cashier: &Cashier, session: &CustomerSession, login: Login) -> Result<Vec<Method>, Refusal> {
    let account = cashier.own_account(session, login).await?;
    let may_deposit = account.customer.is_active() && account.customer.deposit_allowed && account.account_open();
    if !may_deposit {
        return Ok(Vec::new());
    }
    let others = own_currencies(cashier, session, &account);
    let converted = conversion::converted_from(cashier, &account, others).await;
    let snapshot = cashier.snapshot();
    let candidates: Vec<ConfigCandidate<'_>> = snapshot.configs().map(|served| snapshot.candidate(served)).collect();
    let eligibility = snapshot.eligibility_context(&account, cashier.clock.now());
    let overrides = snapshot.overrides_of(session.customer_id());
    let shown = eligibility::shown(&eligibility, &candidates, overrides, |from| converted.contains(&from))
        .into_iter()
        .filter_map(|eligible| {
            let served = snapshot.config(eligible.config_id())?;
            let line = snapshot.module(&served.config.provider)?;
            let payment_mode = served.gateway.as_ref().ok().and_then(|gateway| gateway.payment_mode());
            Some(method(Arc::clone(&served.config), eligible, line, payment_mode))
        });
    Ok(shown.collect())
}

/// The currencies that configs are for which would serve the account if each of them were converted.
fn own_currencies(cashier: &Cashier, session: &CustomerSession, account: &AccountFacts) -> Vec<Currency> {
    let snapshot = cashier.snapshot();
    let candidates: Vec<ConfigCandidate<'_>> = snapshot.configs().map(|served| snapshot.candidate(served)).collect();
    let eligibility = snapshot.eligibility_context(account, cashier.clock.now());
    let overrides = snapshot.overrides_of(session.customer_id());
    let all = eligibility::shown(&eligibility, &candidates, overrides, |_| true);
    let served = all.iter().filter_map(|eligible| snapshot.config(eligible.config_id()));
    served.filter_map(|served| snapshot.candidate(served).own_currency()).collect()
}

fn method(config: Arc<ProviderConfig>, eligible: Eligible, line: &CatalogLine, mode: Option<&str>) -> Method {
    Method {
        config,
        eligible,
        payment_mode: mode.map_or_else(|| line.payment_mode.clone(), Box::from),
        display_name: line.name.clone(),
        description: line.description.clone(),
    }
}
