//! `cashier token`: prints a session token, for trials and for the broker's own systems.

use std::time::Duration;

use cashier_core::ids::ID_MAX;
use cashier_core::printable::check_code;
use cashier_core::session::Role;
use clap::{Args, ValueEnum};

use super::settings_args::SettingsArgs;
use super::terminal::{CliError, print_line, print_note};
use crate::app::session_rules;
use crate::http::session::{NewToken, SessionKeys};
use crate::ports::{Clock, Entropy, Fault};
use crate::settings::Settings;
use crate::system::{SystemClock, SystemEntropy};

/// Longest lifetime of a token made here: a year, so that a forgotten one expires.
const TTL_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    /// Whose session it is.
    #[arg(long)]
    role: RoleArg,
    /// The customer's or manager's id.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=ID_MAX))]
    id: u64,
    /// Its lifetime: seconds, or a number with s, m, h or d.
    #[arg(long, default_value = "1h", value_parser = lifetime)]
    ttl: Duration,
    /// Scope a manager token to one brand.
    #[arg(long, value_parser = code)]
    brand: Option<String>,
    /// Say in a manager token that it is of every brand, where the settings ask for a brand.
    #[arg(long, conflicts_with = "brand")]
    every_brand: bool,
    /// Print on standard error by which name the token can be revoked.
    #[arg(long)]
    show_jti: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleArg {
    Customer,
    Manager,
    Dealer,
    Admin,
    CrmManager,
    CrmAdmin,
}

impl RoleArg {
    fn role(self) -> Role {
        match self {
            Self::Customer => Role::Customer,
            Self::Manager => Role::Manager,
            Self::Dealer => Role::Dealer,
            Self::Admin => Role::Admin,
            Self::CrmManager => Role::CrmManager,
            Self::CrmAdmin => Role::CrmAdmin,
        }
    }
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 's')) => (text.get(..at), 1),
        Some((at, 'm')) => (text.get(..at), 60),
        Some((at, 'h')) => (text.get(..at), 60 * 60),
        Some((at, 'd')) => (text.get(..at), 24 * 60 * 60),
        Some(_) | None => (Some(text), 1),
    };
    let number: u64 = digits.unwrap_or("").parse().map_err(|_| "write 90, 90s, 15m, 1h or 7d".to_owned())?;
    let ttl = Duration::from_secs(number.saturating_mul(unit));
    if ttl.is_zero() || ttl > TTL_MAX { Err("must be between 1s and 366d".to_owned()) } else { Ok(ttl) }
}

fn code(text: &str) -> Result<String, &'static str> {
    check_code(text).map(|()| text.to_owned())
}

/// A name of its own for a token: 128 bits, so that none is used twice.
fn jti(entropy: &dyn Entropy) -> String {
    format!("{:032x}", entropy.bits())
}

/// The secrets of the settings, with the rules that their server checks: what they sign is valid there.
pub(super) fn keys(settings: &Settings) -> Result<SessionKeys, Fault> {
    let keys = SessionKeys::parse(&settings.session_keys);
    let keys = keys.map_err(|fault| fault.during(settings.session_key_source()))?;
    Ok(keys.with_rules(session_rules(settings)))
}

pub(super) fn token(args: &TokenArgs) -> Result<(), CliError> {
    let settings = args.settings.read()?;
    let keys = keys(&settings)?;
    let jti = jti(&SystemEntropy);
    let new = NewToken {
        role: args.role.role(),
        id: args.id,
        brand: args.brand.as_deref(),
        every_brand: args.every_brand,
        break_glass: false,
        ttl_seconds: i64::try_from(args.ttl.as_secs()).unwrap_or(i64::MAX),
        jti: Some(&jti),
    };
    let token = keys.issue(new, SystemClock::new().now())?;
    if args.show_jti {
        // Beside the token, which a script takes from standard output.
        print_note(&format!("jti {jti}: a line of revoked_tokens_file ends this token alone"));
    }
    print_line(&token);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_a_number_with_an_optional_unit() {
        let seconds = |text| lifetime(text).map(|ttl| ttl.as_secs());
        assert_eq!(["90", "90s", "15m", "1h", "7d"].map(seconds), [90, 90, 900, 3600, 604_800].map(Ok));
        for wrong in ["", "0", "h", "1w", "-1h", "400d", "1 h"] {
            assert!(lifetime(wrong).is_err(), "{wrong}");
        }
    }
}
