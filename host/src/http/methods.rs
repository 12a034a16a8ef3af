//! `GET /cashier/methods?login=`: through what a customer may deposit to one of their accounts.

use cashier_core::ids::Login;
use cashier_core::refusal::Refusal;

use crate::flows::methods::{self, Method};
use crate::http::asked::Asked;
use crate::http::customers::Customers;
use crate::http::query;
use crate::http::reply::Answer;
use crate::wire::filter::Parameters;
use crate::wire::method::{self, Row};
use crate::wire::read::missing;
use crate::wire::write;

pub(super) async fn answer(customers: &Customers, asked: Asked) -> Result<Answer, Refusal> {
    let session = customers.session(&asked)?;
    let mut parameters = query::parse(&asked.raw_query)?;
    let login = login(&mut parameters)?.ok_or_else(|| missing("login"))?;
    parameters.finish()?;
    let shown = methods::list(&customers.house, &session, login).await?;
    Ok(Answer::fine(|out| {
        write::object(out, |fields| {
            fields.array("rows", &shown, |out, shown| method::write(out, row(shown)));
            fields.number("count", shown.len() as u64);
        });
    }))
}

/// The `login` parameter, which must be an id where it is given.
pub(super) fn login(parameters: &mut Parameters) -> Result<Option<Login>, Refusal> {
    let Some(text) = parameters.take("login")? else { return Ok(None) };
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let login = if plain { text.parse().ok() } else { None };
    let login = login.filter(|login| (1..=cashier_core::ids::ID_MAX).contains(login));
    login.map(|login| Some(Login(login))).ok_or_else(|| Refusal::invalid("login must be the number of an account"))
}

fn row(shown: &Method) -> Row<'_> {
    let (min_amount, max_amount) = shown.eligible.limits();
    Row {
        config: &shown.config,
        method: shown.eligible.method(),
        payment_mode: &shown.payment_mode,
        display_name: &shown.display_name,
        description: &shown.description,
        min_amount,
        max_amount,
        matched_override: shown.eligible.matched_override(),
    }
}
