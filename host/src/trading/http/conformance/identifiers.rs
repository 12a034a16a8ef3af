//! Keys and ids as long as they can be: a server that keeps fewer characters or bits of one takes it for another's. It shares the run
//! of `postings`.

use cashier_core::ids::{CustomerId, ID_MAX, Login, OperationId, Reference, TransactionId};
use cashier_core::operation::{OperationKey, PostingOutcome};
use cashier_core::reason::ReasonCode;

use super::super::reading::KeyOutcome;
use super::answered::words;
use super::exchanges::{KeyCall, expect};
use super::postings::{CheckRun, Checked, posted};

/// Ids that differ by it are the same to a server that keeps 32 bits.
pub(super) const BEYOND_32_BITS: u64 = 1 << 32;

/// Logins that are looked at for one that nobody has.
const LOGINS_TRIED: u64 = 16;

/// The largest number that a key may end with, and others that are it in fewer bits or digits.
const LONG_NUMBERS: [(u64, &str); 5] = [
    (9_999_999_999, "of ten digits"),
    (9_999_999_998, "whose last digit differs"),
    (9_999_999_999 - (1 << 8), "whose number differs by 2^8"),
    (9_999_999_999 - (1 << 16), "whose number differs by 2^16"),
    (9_999_999_999 - (1 << 32), "whose number differs by 2^32"),
];

/// Keys of digits alone are of the ids of operations: from 2^53 on, which no id is, to 10^16. Of these a double has every fourth
/// number, and takes the next one for it.
const DIGITS_ALONE_FIRST: u64 = ID_MAX + 1;
const DIGITS_ALONE_STEP: u64 = 4;
const DIGITS_ALONE: u64 = (10_000_000_000_000_000 - DIGITS_ALONE_FIRST) / DIGITS_ALONE_STEP - 1;

impl CheckRun<'_> {
    pub(super) async fn identifiers(&mut self) {
        let checked = self.long_keys().await;
        self.add("post: of a key every character counts", checked);
        let checked = self.wide_login().await;
        self.add("account and post: a login has 53 bits", checked);
        let checked = self.wide_customer().await;
        self.add("customer and post: a customer id has 53 bits", checked);
        let checked = self.wide_transaction().await;
        self.add("post and find: a transaction id has 53 bits", checked);
    }

    /// Keys that differ in little are different ones: each is posted, and stays what it is.
    async fn long_keys(&mut self) -> Checked {
        let reference = Reference::from_random(self.checker.random());
        let text = reference.as_str();
        let (begun, last) = text.split_at(text.len().saturating_sub(1));
        let sibling = format!("{begun}{}", if last == "x" { "y" } else { "x" });
        let at = u64::try_from(self.checker.random() % u128::from(DIGITS_ALONE)).unwrap_or(0);
        let digits = DIGITS_ALONE_FIRST + DIGITS_ALONE_STEP * at;
        let mut keys: Vec<(String, &str)> =
            LONG_NUMBERS.iter().map(|(number, what)| (format!("{reference}:{number}"), *what)).collect();
        let [(longest, _), ..] = LONG_NUMBERS;
        keys.push((format!("{sibling}:{longest}"), "whose twentieth character differs"));
        keys.push((digits.to_string(), "of digits alone"));
        keys.push(((digits + 1).to_string(), "of digits alone, whose last one differs"));
        let mut sent: Vec<(OperationKey, u64)> = Vec::new();
        for (text, what) in keys {
            let key = OperationKey::read(&text).ok_or_else(|| format!("{text} is no key"))?;
            let order = self.posted_under(&key).await.map_err(|seen| format!("{key}, {what}: {seen}"))?;
            expect(sent.iter().all(|(_, other)| *other != order), || {
                format!("{key}, {what}: another key's order {order}")
            })?;
            sent.push((key, order));
        }
        Ok(())
    }

    /// Posts under a key that is new.
    async fn posted_under(&mut self, key: &OperationKey) -> Result<u64, String> {
        let posting = self.posting(1);
        let found = self.checker.about_key(KeyCall::Find, key, &posting).await?;
        expect(found == KeyOutcome::Unknown, || format!("it was never sent, and find answers {}", words(&found)))?;
        let before = self.balance().await?;
        let order = posted(&self.checker.about_key(KeyCall::Post, key, &posting).await?)?;
        self.note_under(key, &posting, PostingOutcome::posted(order));
        self.grew(before, 1).await?;
        Ok(order)
    }

    /// A login that is the account's in 32 bits is another one, which nobody has.
    async fn wide_login(&mut self) -> Checked {
        let login = self.facts.account.login;
        for times in 1..=LOGINS_TRIED {
            let other = Login(login.0 + times * BEYOND_32_BITS);
            if other.0 > ID_MAX {
                break;
            }
            let known = self.checker.account(other).await.map_err(|seen| format!("account of {other}: {seen}"))?;
            if known.is_none() {
                let owner = self.facts.account.customer_id;
                let shaped = self.shaped((owner, other), self.facts.group.currency, None);
                return self.refusals_of(shaped, ReasonCode::AccountNotFound).await;
            }
        }
        Ok(())
    }

    /// A customer who is the owner in 32 bits is another one.
    async fn wide_customer(&mut self) -> Checked {
        let owner = self.facts.account.customer_id;
        let other = CustomerId(owner.0 + BEYOND_32_BITS);
        if other.0 > ID_MAX {
            return Ok(());
        }
        self.checker.customer(other).await.map_err(|seen| format!("customer {other}: {seen}"))?;
        let shaped = self.shaped((other, self.facts.account.login), self.facts.group.currency, None);
        self.refusals_of(shaped, ReasonCode::OwnerMismatch).await
    }

    /// It is listed as it was sent, too: see `listing`.
    async fn wide_transaction(&mut self) -> Checked {
        let mut posting = self.posting(1);
        posting.operation.transaction_id = TransactionId(ID_MAX);
        posting.operation.id = OperationId(ID_MAX);
        self.once(&posting).await?;
        for less in [1, BEYOND_32_BITS] {
            let mut other = posting.clone();
            other.operation.transaction_id = TransactionId(ID_MAX - less);
            let found = self.checker.find(&other).await?;
            expect(found == KeyOutcome::Known(PostingOutcome::Conflict), || {
                let other = other.operation.transaction_id;
                format!("posted with transaction_id {ID_MAX}, find with {other} answers {}", words(&found))
            })?;
        }
        Ok(())
    }
}
