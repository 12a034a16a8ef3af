//! What a broker's own trading server answers: described types for each result, and how an answer is read. An answer that is
//! not wholly what it must be is none. It knows no signature and no connection.

use super::rows::{StatedGroups, StatedRow, StatedRows, read_known};
use super::values::{
    AccountWord, CommandNumber, ConflictWord, CustomerWord, GroupsWord, IdentityWord, NoneWord, NotReadyWord,
    PostedWord, PostingsWord, Purpose, RateWord, ReadyWord, RefusedWord, StatedCount, StatedDecimal, StatedKey,
    StatedMark, StatedName, StatedOrder, StatedPrice, StatedReason, StatedTime, StatedWords,
};
use crate::json_object::{Members, RequestBody, request};
use crate::wire::roster::{CustomerEntry, EntryCurrency, EntryFlag, EntryId, EntryMode, GroupEntry, GroupName};

request! {
    /// Who the server is.
    pub struct IdentityAnswer {
        result: IdentityWord, "the result";
        name: StatedName, "name of the server, for people";
        instance: StatedMark, "made once, at random, with the database of postings";
        protocol: StatedCount, "number of this protocol: 1";
        time: StatedTime, "the server's clock";
    }

    /// Postings can be made now.
    pub struct ReadyAnswer {
        result: ReadyWord, "the result";
    }

    /// Postings cannot be made now.
    pub struct NotReadyAnswer {
        result: NotReadyWord, "the result";
        message: Option<StatedWords>, "why, for the cashier's operators";
    }

    /// A customer.
    pub struct StatedCustomer {
        result: CustomerWord, "the result";
        customer: StatedRow<CustomerEntry>, "the customer";
    }

    /// A trading account.
    pub struct StatedAccount {
        login: EntryId, "trading account login";
        customer_id: EntryId, "customer who owns it";
        group: GroupName, "name of its group";
        enable: EntryFlag, "1 when it may be used";
        balance: StatedDecimal, "a plain decimal in a string; decimals below the currency's are cut off";
    }

    /// A login with its customer and group, as they are at one moment.
    pub struct AccountAnswer {
        result: AccountWord, "the result";
        account: StatedRow<StatedAccount>, "the account";
        customer: StatedRow<CustomerEntry>, "its customer";
        group: StatedRow<GroupEntry>, "its group";
    }

    /// The groups.
    pub struct GroupsAnswer {
        result: GroupsWord, "the result";
        groups: StatedGroups, "every group that deposits may go to";
    }

    /// It was posted, now or before.
    pub struct PostedAnswer {
        result: PostedWord, "the result";
        key: StatedKey, "the key of the request";
        order: StatedOrder, "the server's number of the posting";
    }

    /// It was refused, now or before, or its key was voided.
    pub struct RefusedAnswer {
        result: RefusedWord, "the result";
        key: StatedKey, "the key of the request";
        reason: StatedReason, "why";
        message: Option<StatedWords>, "the same in words, for the log";
    }

    /// The key is recorded with other values.
    pub struct ConflictAnswer {
        result: ConflictWord, "the result";
        key: StatedKey, "the key of the request";
    }

    /// The key is not recorded.
    pub struct UnknownKeyAnswer {
        result: NoneWord, "the result";
        key: StatedKey, "the key of the request";
    }

    /// There is no such login, customer or price.
    pub struct NothingAnswer {
        result: NoneWord, "the result";
    }

    /// A posting as it was received.
    pub struct StatedPosting {
        key: StatedKey, "key of the operation";
        transaction_id: EntryId, "the cashier's transaction";
        operation_id: EntryId, "the cashier's operation";
        login: EntryId, "trading account login";
        customer_id: EntryId, "customer";
        currency: EntryCurrency, "currency";
        amount: StatedDecimal, "amount, negative for cmd 8";
        cmd: CommandNumber, "6 in, 8 out";
        purpose: Purpose, "what the money is";
        only_on: Option<EntryMode>, "the only account_mode that might receive it";
        comment: Option<StatedWords>, "comment";
        created_time: StatedTime, "when the operation was planned";
    }

    /// What is recorded under one key: `order` of a posted one, `reason` of a refused one.
    pub struct RecordedPosting {
        result: RecordedResult, "posted or refused";
        order: Option<StatedOrder>, "the server's number of the posting";
        reason: Option<StatedReason>, "why it was refused";
        posting: StatedRow<StatedPosting>, "the posting as it was received";
    }

    /// A page of what is recorded.
    pub struct PostingsAnswer {
        result: PostingsWord, "the result";
        postings: StatedRows<RecordedPosting>, "in the order in which they were recorded";
        next: StatedMark, "the cursor behind the last of them";
        more: TrueOrFalse, "whether another follows now";
        posted_count: StatedCount, "how many were posted in all";
    }

    /// Of such a page what is read where its rows do not matter.
    pub struct PostedCountAnswer {
        result: PostingsWord, "the result";
        posted_count: StatedCount, "how many were posted in all";
    }

    /// A price.
    pub struct RateAnswer {
        result: RateWord, "the result";
        from: EntryCurrency, "currency code of the request";
        to: EntryCurrency, "currency code of the request";
        rate: StatedPrice, "the price of one unit of from in to: a plain decimal in a string, above 0";
        time: StatedTime, "when the price was made";
        source: StatedName, "where it comes from";
    }

    /// The call failed; nothing is known about what it asked for.
    pub struct CallErrorAnswer {
        error: StatedName, "which error";
        message: Option<StatedWords>, "the same in words";
    }
}

crate::json_object::values! {
    /// Whether a recorded posting was posted.
    RecordedResult(bool), crate::json_object::schema::one_of(["posted", "refused"]), |raw| match raw.get() {
        "\"posted\"" => Ok::<_, crate::json_object::Problem>(true),
        "\"refused\"" => Ok(false),
        _ => Err("must be posted or refused".into()),
    };

    /// A JSON true or false.
    TrueOrFalse(bool), crate::json_object::schema::kind("boolean"), |raw| match raw.get() {
        "true" => Ok::<_, crate::json_object::Problem>(true),
        "false" => Ok(false),
        _ => Err("must be true or false".into()),
    };
}

/// What came of a posting.
pub enum KeyAnswer {
    Posted(PostedAnswer),
    Refused(RefusedAnswer),
    Conflict(ConflictAnswer),
    None(UnknownKeyAnswer),
}

/// The answer to `post`, `find` or `void`.
pub fn read_key_answer(body: &[u8]) -> Result<KeyAnswer, String> {
    let members = object(body)?;
    match &*result(&members)? {
        "posted" => read_known(members).map(KeyAnswer::Posted),
        "refused" => read_known(members).map(KeyAnswer::Refused),
        "conflict" => read_known(members).map(KeyAnswer::Conflict),
        "none" => read_known(members).map(KeyAnswer::None),
        other => Err(unexpected(other)),
    }
}

/// An answer of one kind, or `none`.
pub fn read_or_none<T: RequestBody>(body: &[u8]) -> Result<Option<T>, String> {
    let members = object(body)?;
    if &*result(&members)? == "none" {
        read_known::<NothingAnswer>(members).map(|_| None)
    } else {
        read_known(members).map(Some)
    }
}

/// An answer of the only kind that a call has.
pub fn read_only<T: RequestBody>(body: &[u8]) -> Result<T, String> {
    read_known(object(body)?)
}

/// Whether postings can be made; the error of the inner result is the server's words.
pub fn read_health(body: &[u8]) -> Result<Result<(), Box<str>>, String> {
    let members = object(body)?;
    match &*result(&members)? {
        "ready" => read_known::<ReadyAnswer>(members).map(|_| Ok(())),
        "not_ready" => {
            let words = read_known::<NotReadyAnswer>(members)?.message.map_or_else(Box::default, |words| words.0);
            Ok(Err(words))
        }
        other => Err(unexpected(other)),
    }
}

fn object(body: &[u8]) -> Result<Members<'_>, String> {
    serde_json::from_slice(body).map_err(|_| "the answer is not a JSON object".to_owned())
}

fn result(members: &Members<'_>) -> Result<Box<str>, String> {
    let raw = members.get("result").ok_or_else(|| "the answer has no result".to_owned())?;
    serde_json::from_str(raw.get()).map_err(|_| "the answer's result is not a text".to_owned())
}

fn unexpected(result: &str) -> String {
    format!("this call has no result {}", crate::json_object::shown(result))
}
