//! Which of a customer's overrides applies to a config: the most specific; among equals a deny; among those the newest
//! (API.md section 4, override resolution).

use std::cmp::Reverse;

use super::context::EligibilityContext;
use crate::customer_override::{CustomerOverride, OverrideMode};
use crate::ids::ConfigId;
use crate::provider_config::ProviderConfig;

/// How exactly an override names a config. Larger is more specific.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Specificity {
    Provider,
    ProviderAndMethod,
    Config,
}

pub(super) fn decisive<'o>(
    overrides: &'o [CustomerOverride],
    context: &EligibilityContext<'_>,
    config: &ProviderConfig,
    method: &str,
) -> Option<&'o CustomerOverride> {
    let matching = overrides.iter().filter_map(|known| {
        let specificity = match_of(known, context, config, method)?;
        let denies = match known.mode {
            OverrideMode::Deny => true,
            OverrideMode::Allow => false,
        };
        Some(((Reverse(specificity), Reverse(denies), Reverse(known.created_time), Reverse(known.id)), known))
    });
    matching.min_by_key(|(rank, _)| *rank).map(|(_, known)| known)
}

/// Brand, provider and a named method must agree also where the override names the config itself, so that "deny card"
/// denies no other method. The brand is the customer's; there is no override for every brand.
fn match_of(
    known: &CustomerOverride,
    context: &EligibilityContext<'_>,
    config: &ProviderConfig,
    method: &str,
) -> Option<Specificity> {
    let customer = &context.account.customer;
    let matches = known.is_live(context.now)
        && known.customer_id == customer.customer_id
        && known.brand == customer.brand
        && known.provider == config.provider
        && (known.method.is_empty() || *known.method == *method);
    if !matches {
        None
    } else if known.provider_config_id == config.id {
        Some(Specificity::Config)
    } else if known.provider_config_id != ConfigId(0) {
        None
    } else if known.method.is_empty() {
        Some(Specificity::Provider)
    } else {
        Some(Specificity::ProviderAndMethod)
    }
}
