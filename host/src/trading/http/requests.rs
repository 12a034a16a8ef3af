//! What the cashier sends to a broker's own trading server: one described type for each call, with the forms that a server may rely
//! on. It sends nothing.

use cashier_core::account::AccountMode;
use cashier_core::ids::{CustomerId, ID_MAX, Login};
use cashier_core::lengths::{CODE_LENGTH_MAX, COMMENT_LENGTH_MAX};
use cashier_core::money::CODE_LENGTH_MAX as CURRENCY_LENGTH_MAX;
use serde::Serialize;

use super::values::{
    AccountWord, CommandNumber, CustomerWord, DECIMAL_PATTERN, FindWord, GroupsWord, HealthWord, IdentityWord,
    KEY_PATTERN, LATEST_TIME, PostWord, PostingsWord, Purpose, RateWord, VoidWord,
};
use crate::json_object::schema::{self, with};
use crate::json_object::{Described, Schema, answer};
use crate::ports::Posting;

/// Postings asked for at once; a page of them is some 300 KiB.
pub(super) const PAGE_POSTINGS_MAX: usize = 500;

/// Values as the cashier sends them, each with its form.
macro_rules! sent_values {
    ($($name:ident$(<$lt:lifetime>)?($inner:ty), $schema:expr;)*) => {$(
        #[derive(Serialize)]
        #[serde(transparent)]
        pub struct $name$(<$lt>)?(pub $inner);

        impl$(<$lt>)? Described for $name$(<$lt>)? {
            fn schema() -> Schema {
                $schema
            }
        }
    )*};
}

/// A text that is as long as it may be, or shorter, of one pattern.
fn patterned(length_max: usize, pattern: &str) -> Schema {
    with(&schema::text(length_max), "pattern", pattern)
}

/// A sign, 16 digits, a point and 8 decimals.
const AMOUNT_LENGTH: usize = 26;

sent_values! {
    SentId(u64), schema::whole(1, ID_MAX.cast_signed());
    SentInstance<'r>(&'r str), patterned(CODE_LENGTH_MAX, "^[A-Za-z0-9_-]+$");
    SentCursor<'r>(&'r str), patterned(CODE_LENGTH_MAX, "^[A-Za-z0-9_-]*$");
    SentKey(String), patterned(CODE_LENGTH_MAX, KEY_PATTERN);
    SentAmount(String), patterned(AMOUNT_LENGTH, DECIMAL_PATTERN);
    SentCurrency<'r>(&'r str), patterned(CURRENCY_LENGTH_MAX, "^[A-Z0-9]{3,8}$");
    SentMode(u16), schema::whole(0, 1);
    SentComment<'r>(&'r str), schema::text(COMMENT_LENGTH_MAX);
    SentTime(i64), schema::whole(0, LATEST_TIME);
    SentReason(&'static str), patterned(CODE_LENGTH_MAX, "^[A-Z][A-Z0-9_]*$");
    SentLimit(u32), schema::whole(1, i64::try_from(PAGE_POSTINGS_MAX).unwrap_or(1));
}

answer! {
    /// Who the server is. The one call without an instance.
    pub struct IdentityRequest<>() {
        call: IdentityWord = IdentityWord, "the call";
    }

    /// Whether postings can be made now.
    pub struct HealthRequest<'r>(instance: &'r str) {
        call: HealthWord = HealthWord, "the call";
        instance: SentInstance<'r> = SentInstance(instance), "the instance that the cashier believes the server to be";
    }

    /// Who a customer is.
    pub struct CustomerRequest<'r>(instance: &'r str, customer: CustomerId) {
        call: CustomerWord = CustomerWord, "the call";
        instance: SentInstance<'r> = SentInstance(instance), "the instance that the cashier believes the server to be";
        customer_id: SentId = SentId(customer.0), "customer id";
    }

    /// Account, customer and group of a login.
    pub struct AccountRequest<'r>(instance: &'r str, login: Login) {
        call: AccountWord = AccountWord, "the call";
        instance: SentInstance<'r> = SentInstance(instance), "the instance that the cashier believes the server to be";
        login: SentId = SentId(login.0), "trading account login";
    }

    /// Every group that deposits may go to.
    pub struct GroupsRequest<'r>(instance: &'r str) {
        call: GroupsWord = GroupsWord, "the call";
        instance: SentInstance<'r> = SentInstance(instance), "the instance that the cashier believes the server to be";
    }

    /// A balance operation.
    pub struct SentPosting<'r>(posting: &'r Posting) {
        key: SentKey = SentKey(posting.key().to_string()), "key of the operation; posted at most once";
        transaction_id: SentId = SentId(posting.operation.transaction_id.0), "the cashier's transaction";
        operation_id: SentId = SentId(posting.operation.id.0), "the cashier's operation; not compared";
        login: SentId = SentId(posting.operation.login.0), "trading account login";
        customer_id: SentId = SentId(posting.customer_id.0), "the customer who must own the account";
        currency: SentCurrency<'r> = SentCurrency(posting.operation.amount.currency.code()), "the currency that the account must have";
        amount: SentAmount = SentAmount(posting.operation.amount.to_wire()), "a plain decimal in a string: what is added to the balance, negative for cmd 8";
        cmd: CommandNumber = CommandNumber(posting.operation.cmd), "6 in, 8 out";
        purpose: Purpose = Purpose(posting.operation.reason), "what the money is";
        only_on: Option<SentMode> = posting.only_on.map(|mode| SentMode(u16::from(mode.number()))),
            "the only account_mode that may receive it, 0 demo or 1 real; absent: any; not compared";
        comment: SentComment<'r> = SentComment(&posting.comment), "for people, at most 512 bytes, also empty; not compared";
        created_time: SentTime = SentTime(posting.operation.created_time.0), "when the operation was planned, in Unix seconds; not compared";
    }

    /// Post a balance operation, unless its key is known.
    pub struct PostRequest<'r>(instance: &'r str, posting: &'r Posting) {
        call: PostWord = PostWord, "the call";
        instance: SentInstance<'r> = SentInstance(instance), "the instance that the cashier believes the server to be";
        posting: SentPosting<'r> = SentPosting::new(posting), "the operation";
    }

    /// What is recorded under a key.
    pub struct FindRequest<'r>(instance: &'r str, posting: &'r Posting) {
        call: FindWord = FindWord, "the call";
        instance: SentInstance<'r> = SentInstance(instance), "the instance that the cashier believes the server to be";
        posting: SentPosting<'r> = SentPosting::new(posting), "the operation";
    }

    /// Refuse every later posting of a key, unless it is known.
    pub struct VoidRequest<'r>(instance: &'r str, posting: &'r Posting, reason: &'static str) {
        call: VoidWord = VoidWord, "the call";
        instance: SentInstance<'r> = SentInstance(instance), "the instance that the cashier believes the server to be";
        posting: SentPosting<'r> = SentPosting::new(posting), "the operation";
        reason: SentReason = SentReason(reason), "the reason with which the key is refused from now on";
    }

    /// Everything recorded under keys, in the order in which it was recorded.
    pub struct PostingsRequest<'r>(instance: &'r str, after: &'r str, limit: u32) {
        call: PostingsWord = PostingsWord, "the call";
        instance: SentInstance<'r> = SentInstance(instance), "the instance that the cashier believes the server to be";
        after: SentCursor<'r> = SentCursor(after), "a cursor of the server; empty for the first";
        limit: SentLimit = SentLimit(limit), "most postings to answer, from 1 to 500";
    }

    /// The price of one unit of a currency in another.
    pub struct RateRequest<'r>(instance: &'r str, from: &'r str, to: &'r str) {
        call: RateWord = RateWord, "the call";
        instance: SentInstance<'r> = SentInstance(instance), "the instance that the cashier believes the server to be";
        from: SentCurrency<'r> = SentCurrency(from), "currency code";
        to: SentCurrency<'r> = SentCurrency(to), "currency code";
    }
}

/// The numbers of `only_on`.
const _: () = assert!(AccountMode::Demo.number() == 0 && AccountMode::Real.number() == 1, "the pages state them");

#[cfg(test)]
mod tests {
    use cashier_core::money::MINOR_MAX;

    use super::super::openapi::document;
    use super::super::tests::posting;
    use super::*;
    use crate::json_object::validation::assert_answer;

    #[test]
    fn what_is_sent_has_its_schema_also_where_every_value_is_as_long_as_it_can_be() {
        let mut longest = posting(-MINOR_MAX);
        longest.operation.transaction_id.0 = ID_MAX;
        longest.operation.ordinal = u32::MAX;
        longest.comment = "x".repeat(COMMENT_LENGTH_MAX).into();
        let shortest = Posting { comment: "".into(), only_on: None, ..posting(1) };
        for sent in [posting(25_000), longest, shortest] {
            assert_answer(&PostRequest::schema(), &json(&PostRequest::new("i-1", &sent)));
            assert_answer(&FindRequest::schema(), &json(&FindRequest::new("i-1", &sent)));
            assert_answer(&VoidRequest::schema(), &json(&VoidRequest::new("i-1", &sent, "WITHHELD")));
        }
        assert_answer(&PostingsRequest::schema(), &json(&PostingsRequest::new("i-1", "", 500)));
        assert_answer(&RateRequest::schema(), &json(&RateRequest::new("i-1", "EUR", "USDT")));
    }

    #[test]
    fn members_of_a_later_release_pass_in_every_object_of_the_document() {
        let document = document();
        assert!(document.contains(r#""additionalProperties": true"#));
        assert!(!document.contains(r#""additionalProperties": false"#));
    }

    fn json(request: &impl Serialize) -> String {
        serde_json::to_string(request).unwrap()
    }
}
