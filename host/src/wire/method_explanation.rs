//! Why a payment method is shown or hidden, on the wire (API.md section 4).

use std::borrow::Cow;

use cashier_core::account::{AccountFacts, AccountMode};
use cashier_core::customer_override::OverrideMode;
use cashier_core::eligibility::{ExplainedMethods, MethodExplanation, MethodsQuestion, Rule, TraceLine};
use cashier_core::ids::{Login, OverrideId};
use cashier_core::lengths::CODE_LENGTH_MAX;
use cashier_core::provider_config::ProviderConfig;
use cashier_core::refusal::Refusal;

use crate::json_object::{answer, request};
use crate::wire::deposit::or_empty;
use crate::wire::read::read as read_request;
use crate::wire::values::{Code, CurrencyCode, DecimalText, Flag, Id, LimitAmount, LoginId, Numbered};

request! {
    /// The deposit whose methods are explained.
    pub struct MethodsQuestionBody {
        login: LoginId, "trading account";
        amount: Option<DecimalText>, "amount of the deposit; without it no limit hides a method";
        currency: Option<CurrencyCode>, "currency of the amount; the account's where omitted";
        provider: Option<Code<CODE_LENGTH_MAX>>, "explain this provider's configs alone";
        method: Option<Code<CODE_LENGTH_MAX>>, "the method as the customer's request names it";
    }
}

answer! {
    /// The account that would be credited.
    pub struct ExplainedAccount<'a>(facts: &'a AccountFacts) {
        login: Id = Id(facts.account.login.0), "trading account";
        customer_id: Id = Id(facts.customer.customer_id.0), "its customer";
        brand: &'a str = &facts.customer.brand, "the customer's brand";
        country: &'a str = &facts.customer.country, "the customer's country";
        group: &'a str = &facts.account.group, "the account's group";
        currency: &'a str = facts.group.currency.code(), "the account's currency";
        demo: Flag = Flag(facts.group.account_mode == AccountMode::Demo), "1 for play money";
        trading_server: String = facts.server.to_string(), "the trading server that has the account";
        age_seconds: u32 = facts.age_seconds, "how long ago it stated all this";
    }

    /// A rule that hides the config.
    pub struct HidingRule<'a>(rule: &'a Rule) {
        rule: &'a str = rule.name(), "name of the rule, as reasons.md lists it";
        check: &'a str = rule.check().name(), "the check that it belongs to";
        message: String = rule.to_string(), "the rule with the values that it compared";
    }

    /// One check.
    pub struct CheckLine<'a>(line: &'a TraceLine) {
        check: &'a str = line.check.name(), "what was checked";
        passed: Flag = Flag(line.passed), "0 where it hides the config";
        message: &'a str = &line.sentence, "the result with the values that were compared";
    }

    /// Why one config is shown or hidden.
    pub struct ExplainedMethod<'a>(config: &'a ProviderConfig, found: &'a MethodExplanation) {
        provider_config_id: Id = Id(config.id.0), "provider config";
        provider: &'a str = &config.provider, "provider code";
        brand: &'a str = &config.brand, "brand of the config; empty for every brand";
        method: &'a str = &found.terms.method, "the method that a deposit would be recorded with";
        sandbox: Flag = Flag(config.sandbox), "1 for test money";
        sort_index: i64 = config.sort_index, "place in the customer's list";
        shown: Flag = Flag(found.is_shown()), "1 where the customer may deposit through it";
        rule: &'a str = found.rules.first().map_or("", Rule::name), "the first rule that hides it; empty where it is shown";
        because: Cow<'a, str> = because(found), "why it is shown, or what the first rule compared";
        rules: Vec<HidingRule<'a>> = found.rules.iter().map(HidingRule::new).collect(), "every rule that hides it";
        checks: Vec<CheckLine<'a>> = found.trace.iter().map(CheckLine::new).collect(), "every check in its order";
        min_amount: LimitAmount = LimitAmount(found.terms.min_amount), "least amount in force; 0 is no limit";
        max_amount: LimitAmount = LimitAmount(found.terms.max_amount), "greatest amount in force; 0 is no limit";
        override_id: Id = Id(decisive(found).0.0), "override that decides; 0 for none";
        override_mode: Numbered<OverrideMode> = Numbered(decisive(found).1), "0 allow, 1 deny";
    }

    /// Why each config is among the methods of an account, or is not.
    pub struct MethodsExplained<'a>(found: &'a ExplainedMethods) {
        account: ExplainedAccount<'a> = ExplainedAccount::new(&found.account), "the account that would be credited";
        refused: &'a str = found.refusal.as_ref().map_or("", |refusal| refusal.code.text()), "the error that a deposit ends with before any config is judged; empty for none";
        refused_because: &'a str = found.refusal.as_ref().map_or("", |refusal| &refusal.message), "its sentence";
        rows: Vec<ExplainedMethod<'a>> = found.rows.iter().map(|(config, found)| ExplainedMethod::new(config, found)).collect(), "the configs in the customer's order";
        count: u64 = found.rows.len() as u64, "how many they are";
    }
}

/// The override that decides, if any.
fn decisive(found: &MethodExplanation) -> (OverrideId, OverrideMode) {
    found.terms.matched.unwrap_or((OverrideId(0), OverrideMode::Allow))
}

fn because(found: &MethodExplanation) -> Cow<'static, str> {
    match (found.rules.first(), decisive(found).0) {
        (Some(rule), _) => Cow::Owned(rule.to_string()),
        (None, OverrideId(0)) => Cow::Borrowed("every check passed, without an override"),
        (None, id) => Cow::Owned(format!("override {id} allows it and every other check passed")),
    }
}

/// Reads the request.
///
/// # Errors
/// 400 INVALID_DATA naming the field.
pub fn read(json: &[u8]) -> Result<MethodsQuestion, Refusal> {
    let body: MethodsQuestionBody = read_request(json, "data")?;
    Ok(MethodsQuestion {
        login: Login(body.login.0),
        amount: body.amount.map(|amount| (*amount.0).into()),
        currency: body.currency.map(|currency| currency.0),
        provider: or_empty(body.provider),
        method: or_empty(body.method),
    })
}
