//! Why each config is, or is not, among the payment methods of a customer's account. The judgement is `core::eligibility`'s, the
//! same that shows a customer the methods and chooses one for a deposit.

use std::sync::Arc;

use cashier_core::eligibility::{self, ConfigCandidate, ExplainedMethods, MethodsQuestion};
use cashier_core::provider_config::ProviderConfig;
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::ManagerSession;

use super::{Cashier, conversion};

/// Explains the configs that this session sees: those of its brand and those of every brand.
///
/// # Errors
/// 404 for a login that does not exist for the session; 400 for an amount that its currency cannot have; 503 where the trading
/// server does not answer.
pub async fn explain(
    cashier: &Cashier,
    session: &ManagerSession,
    question: &MethodsQuestion,
) -> Result<ExplainedMethods, Refusal> {
    let account = cashier.account(question.login).await?.filter(|known| session.sees(&known.customer.brand));
    let account = account.ok_or_else(|| Refusal::new(RefusalCode::NotFound, "there is no such login"))?;
    let currency = question.currency(&account);
    let stated = conversion::stated(cashier, currency, &account).await?;
    let (amount, refusal) =
        question.judged(&account, stated.as_ref(), &cashier.rules.conversion, cashier.clock.now())?;
    let snapshot = cashier.snapshot();
    let visible = |config: &ProviderConfig| {
        (config.brand.is_empty() || session.sees(&config.brand))
            && (question.provider.is_empty() || config.provider == question.provider)
    };
    let served = snapshot.configs().filter(|served| visible(&served.config));
    let candidates: Vec<ConfigCandidate<'_>> = served.map(|served| snapshot.candidate(served)).collect();
    let context = snapshot.eligibility_context(&account, cashier.clock.now());
    let overrides = snapshot.overrides_of(account.customer.customer_id);
    let explained = eligibility::explain(&context, &candidates, overrides, currency, amount, &question.method);
    let rows = explained.into_iter().filter_map(|mut explanation| {
        let config = Arc::clone(&snapshot.config(explanation.config_id)?.config);
        if !session.sees(&config.brand) {
            explanation.conceal_module();
        }
        Some((config, explanation))
    });
    let rows = rows.collect();
    Ok(ExplainedMethods { account, refusal, rows })
}
