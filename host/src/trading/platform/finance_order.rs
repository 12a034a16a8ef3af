//! A finance order as the platform has it, and whether it is about a posting: by our source and our whole key. Letter case counts in
//! neither. Pure; what is done with it is decided in `next_step`.

use cashier_core::ids::Login;
use cashier_core::money::parse_minor;
use cashier_core::operation::OperationKey;
use cashier_core::reason::ReasonCode;
use cashier_core::status::OperationCmd;
use sha2::{Digest, Sha256};

/// `state` of a finance order that moves nothing until it is approved.
pub(super) const PENDING: i64 = 17;
/// Of one that is approved, and not executed yet.
pub(super) const APPROVED: i64 = 10;
/// Of one that never moves a balance.
pub(super) const DECLINED: i64 = 18;

/// Stands between the key and the reason in the comment of an order that the cashier itself refuses.
pub(super) const REFUSED_MARK: &str = " refused ";

/// A reason that was cut is known by so many letters: two of ours begin alike for longer, and of fewer any word might be meant.
const REASON_PART_LENGTH: usize = 4;

/// How far a finance order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OrderState {
    Pending,
    Approved,
    Executed,
    Declined,
    /// A number that neither a page nor a setting explains.
    Unexplained(i64),
}

/// A finance order as the platform has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FinanceOrder {
    pub(super) order: u64,
    pub(super) login: Login,
    pub(super) cmd: Option<OperationCmd>,
    pub(super) state: OrderState,
    /// A decimal as it was sent, from the column that states one; empty where none does.
    pub(super) amount: Box<str>,
    pub(super) source: Box<str>,
    pub(super) uuid: Box<str>,
    pub(super) comment: Box<str>,
}

impl FinanceOrder {
    /// The amount in whole minor units, with the sign of the command, which some platforms leave out; `None` where it is not exact.
    pub(super) fn minor(&self, exponent: u8) -> Option<i64> {
        let minor = signed_minor(&self.amount, exponent)?;
        match self.cmd {
            Some(OperationCmd::BalanceOut) if minor > 0 => minor.checked_neg(),
            Some(OperationCmd::BalanceIn | OperationCmd::BalanceOut) | None => Some(minor),
        }
    }

    /// Whether it moves the same money as another one. Some platforms leave out the sign.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let unsigned = |order: &Self| order.amount.trim_start_matches('-').to_owned();
        (self.login, self.cmd) == (other.login, other.cmd) && unsigned(self) == unsigned(other)
    }
}

/// What an order of a posting has in `gw_source`, `gw_uuid` and its comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OrderKey {
    /// Empty where it is not known.
    pub(super) key: Box<str>,
    /// What stands in `gw_uuid`.
    pub(super) uuid: Box<str>,
    /// What stood there, or will, where the setting of its form is the other one: an order made before a change of it is found.
    pub(super) other_uuid: Box<str>,
    pub(super) source: Box<str>,
}

impl OrderKey {
    /// Whether the order is about this posting: our source, where one is stated, and the whole key, in `gw_uuid` or as a word of the
    /// comment; or made by hand.
    pub(super) fn is_about(&self, order: &FinanceOrder) -> bool {
        let may_be_ours = order.source.is_empty() || self.has_source(order);
        let has_key = self.has_uuid(&order.uuid) || has_word(&order.comment, &self.key);
        may_be_ours && has_key || self.is_by_hand(order)
    }

    /// Whether it has our whole key in the comment alone and another source: whoever credits by hand writes the key there, a tool of
    /// the dealers, or the platform itself, a source of its own. One that was declined is nothing of ours.
    fn is_by_hand(&self, order: &FinanceOrder) -> bool {
        let has_another_source = !order.source.is_empty() && !self.has_source(order);
        let has_key = has_word(&order.comment, &self.key) && !self.has_uuid(&order.uuid);
        has_another_source && has_key && order.state != OrderState::Declined
    }

    /// Whether it has our whole key in `gw_uuid` and another source: by whom it was made, only a person can find out.
    pub(super) fn is_foreign(&self, order: &FinanceOrder) -> bool {
        !order.source.is_empty() && !self.has_source(order) && self.has_uuid(&order.uuid)
    }

    /// Whether it is a request that we made, by our source and our whole key in `gw_uuid`.
    pub(super) fn is_our_own(&self, order: &FinanceOrder) -> bool {
        self.has_source(order) && self.has_uuid(&order.uuid)
    }

    pub(super) fn has_uuid(&self, uuid: &str) -> bool {
        !uuid.is_empty() && [&self.uuid, &self.other_uuid].iter().any(|known| uuid.eq_ignore_ascii_case(known))
    }

    /// Whether a text is the key, or has it as a word.
    pub(super) fn is_in(&self, text: &str) -> bool {
        self.has_uuid(text) || has_word(text, &self.key)
    }

    fn has_source(&self, order: &FinanceOrder) -> bool {
        order.source.eq_ignore_ascii_case(&self.source)
    }

    /// The reason that we wrote beside the key when we declined it; of an order that others made, or declined in other words, there is
    /// none. One that the platform cut is made whole where it can only be one.
    pub(super) fn refused_by_us<'o>(&self, order: &'o FinanceOrder) -> Option<&'o str> {
        let (key, rest) = order.comment.split_at_checked(self.key.len())?;
        let reason = rest.strip_prefix(REFUSED_MARK).filter(|reason| !reason.is_empty())?;
        (!key.is_empty() && key.eq_ignore_ascii_case(&self.key) && self.is_our_own(order)).then(|| whole_reason(reason))
    }
}

fn whole_reason(stated: &str) -> &str {
    if stated.len() < REASON_PART_LENGTH || ReasonCode::from_name(stated).is_some() {
        return stated;
    }
    let mut fitting = ReasonCode::ALL.iter().map(|code| code.name()).filter(|name| name.starts_with(stated));
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => only,
        (Some(_) | None, _) => stated,
    }
}

/// Whether a text has a key as a whole word: not as a part of a longer one.
fn has_word(text: &str, key: &str) -> bool {
    !key.is_empty() && words(text).any(|word| word.eq_ignore_ascii_case(key))
}

/// Whether a text has a key of some posting in it, or is a UUID, which may be made of one.
pub(super) fn may_be_key(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_hex = |part: &&str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_uuid = parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.iter().all(is_hex);
    is_uuid || has_key(text)
}

/// Whether a word of a text is a key.
pub(super) fn has_key(text: &str) -> bool {
    words(text).any(|word| word.contains(':') && OperationKey::read(&word.to_ascii_lowercase()).is_some())
}

/// The words of a comment that may be a key.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !(character.is_ascii_alphanumeric() || character == ':'))
}

/// A decimal with a sign as whole minor units; `None` where it is not exactly that.
pub(super) fn signed_minor(text: &str, exponent: u8) -> Option<i64> {
    match text.strip_prefix('-') {
        Some(plain) => parse_minor(plain, exponent).ok()?.checked_neg(),
        None => parse_minor(text, exponent).ok(),
    }
}

/// A UUID of version 8, made of a key.
pub(super) fn uuid_of(key: &str) -> Box<str> {
    let digest = Sha256::digest(format!("cashier:{key}"));
    let number = digest.iter().take(16).fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    let marked = number & !(0xf << 76) & !(0x3 << 62) | 0x8 << 76 | 0x2 << 62;
    let hex = format!("{marked:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| hex.get(part).unwrap_or_default());
    parts.join("-").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_uuid_of_version_8() {
        let (one, other) = (uuid_of("d0123456789abcdefghj:1"), uuid_of("d0123456789abcdefghj:2"));
        assert_ne!(one, other);
        for uuid in [&one, &other] {
            let parts: Vec<&str> = uuid.split('-').collect();
            assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{uuid}");
            assert!(parts[2].starts_with('8') && "89ab".contains(&parts[3][..1]), "{uuid}");
        }
        assert_eq!(&*one, "56c6f448-abc1-8c40-bd77-87771720fd3b");
    }
}
