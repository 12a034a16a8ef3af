//! What the cashier sends to a broker's own trading server: one described type for each call. It sends nothing.

use cashier_core::account::AccountMode;
use cashier_core::ids::{CustomerId, Login};

use super::values::{
    AccountWord, CommandNumber, CustomerWord, FindWord, GroupsWord, HealthWord, IdentityWord, PostWord, PostingsWord,
    Purpose, RateWord, VoidWord,
};
use crate::json_object::answer;
use crate::ports::Posting;

answer! {
    /// Who the server is. The one call without an instance.
    pub struct IdentityRequest<>() {
        call: IdentityWord = IdentityWord, "the call";
    }

    /// Whether postings can be made now.
    pub struct HealthRequest<'r>(instance: &'r str) {
        call: HealthWord = HealthWord, "the call";
        instance: &'r str = instance, "the instance that the cashier believes the server to be";
    }

    /// Who a customer is.
    pub struct CustomerRequest<'r>(instance: &'r str, customer: CustomerId) {
        call: CustomerWord = CustomerWord, "the call";
        instance: &'r str = instance, "the instance that the cashier believes the server to be";
        customer_id: u64 = customer.0, "customer id";
    }

    /// Account, customer and group of a login.
    pub struct AccountRequest<'r>(instance: &'r str, login: Login) {
        call: AccountWord = AccountWord, "the call";
        instance: &'r str = instance, "the instance that the cashier believes the server to be";
        login: u64 = login.0, "trading account login";
    }

    /// Every group that deposits may go to.
    pub struct GroupsRequest<'r>(instance: &'r str) {
        call: GroupsWord = GroupsWord, "the call";
        instance: &'r str = instance, "the instance that the cashier believes the server to be";
    }

    /// A balance operation.
    pub struct SentPosting<'r>(posting: &'r Posting) {
        key: String = posting.key().to_string(), "key of the operation; posted at most once";
        transaction_id: u64 = posting.operation.transaction_id.0, "the cashier's transaction";
        operation_id: u64 = posting.operation.id.0, "the cashier's operation; not compared";
        login: u64 = posting.operation.login.0, "trading account login";
        customer_id: u64 = posting.customer_id.0, "the customer who must own the account";
        currency: &'r str = posting.operation.amount.currency.code(), "the currency that the account must have";
        amount: String = posting.operation.amount.to_wire(), "a plain decimal in a string: what is added to the balance, negative for cmd 8";
        cmd: CommandNumber = CommandNumber(posting.operation.cmd), "6 in, 8 out";
        purpose: Purpose = Purpose(posting.operation.reason), "what the money is";
        only_on: Option<u16> = posting.only_on.map(|mode| u16::from(mode.number())),
            "the only account_mode that may receive it, 0 demo or 1 real; absent: any; not compared";
        comment: &'r str = &*posting.comment, "for people; not compared";
        created_time: i64 = posting.operation.created_time.0, "when the operation was planned, in Unix seconds; not compared";
    }

    /// Post a balance operation, unless its key is known.
    pub struct PostRequest<'r>(instance: &'r str, posting: &'r Posting) {
        call: PostWord = PostWord, "the call";
        instance: &'r str = instance, "the instance that the cashier believes the server to be";
        posting: SentPosting<'r> = SentPosting::new(posting), "the operation";
    }

    /// What is recorded under a key.
    pub struct FindRequest<'r>(instance: &'r str, posting: &'r Posting) {
        call: FindWord = FindWord, "the call";
        instance: &'r str = instance, "the instance that the cashier believes the server to be";
        posting: SentPosting<'r> = SentPosting::new(posting), "the operation";
    }

    /// Refuse every later posting of a key, unless it is known.
    pub struct VoidRequest<'r>(instance: &'r str, posting: &'r Posting, reason: &'static str) {
        call: VoidWord = VoidWord, "the call";
        instance: &'r str = instance, "the instance that the cashier believes the server to be";
        posting: SentPosting<'r> = SentPosting::new(posting), "the operation";
        reason: &'static str = reason, "the reason with which the key is refused from now on";
    }

    /// Everything recorded under keys, in the order in which it was recorded.
    pub struct PostingsRequest<'r>(instance: &'r str, after: &'r str, limit: u32) {
        call: PostingsWord = PostingsWord, "the call";
        instance: &'r str = instance, "the instance that the cashier believes the server to be";
        after: &'r str = after, "a cursor of the server; empty for the first";
        limit: u32 = limit, "most postings to answer, from 1 to 500";
    }

    /// The price of one unit of a currency in another.
    pub struct RateRequest<'r>(instance: &'r str, from: &'r str, to: &'r str) {
        call: RateWord = RateWord, "the call";
        instance: &'r str = instance, "the instance that the cashier believes the server to be";
        from: &'r str = from, "currency code";
        to: &'r str = to, "currency code";
    }
}

/// The numbers of `only_on`.
const _: () = assert!(AccountMode::Demo.number() == 0 && AccountMode::Real.number() == 1, "the pages state them");
