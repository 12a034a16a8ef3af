//! What the server lists of its postings: all of it before a run of the check, and what the run added, with every value. It posts
//! nothing.

use std::collections::HashSet;
use std::fmt::Display;

use cashier_core::account::AccountMode;
use cashier_core::operation::OperationKey;
use cashier_core::reconcile::FoundPosting;

use super::super::answers::{PostingsAnswer, read_only};
use super::super::calling::encoded;
use super::super::reading;
use super::super::requests::{PAGE_POSTINGS_MAX, PostingsRequest};
use super::super::values::purpose;
use super::answered::outcome_words;
use super::exchanges::expect;
use super::postings::{CheckRun, Checked, NotedPosting};
use crate::trading::remote::PostingsPage;

/// Pages of postings that are looked through: a listing that does not end is no database for tests.
const PAGES_MAX: usize = 200; // 100,000 postings: a server that answers each after its 5 s takes a quarter of an hour

/// Postings of a small page: what was listed at once is the same page by page.
const SMALL_PAGE: usize = 3;

/// What was listed before the run.
pub(super) struct Earlier {
    /// The cursor behind all of it.
    after: Box<str>,
    posted_count: u64,
    keys: HashSet<OperationKey>,
}

/// A posting as it is listed, with what the cashier itself reads of none.
#[derive(Debug, PartialEq, Eq)]
struct ListedPosting {
    found: FoundPosting,
    comment: Option<Box<str>>,
    only_on: Option<AccountMode>,
}

impl ListedPosting {
    /// Its members as they are on the wire.
    fn members(&self) -> [(&'static str, String); 12] {
        let FoundPosting {
            key,
            operation_id,
            transaction_id,
            customer_id,
            login,
            cmd,
            reason,
            amount,
            created_time,
            outcome,
        } = &self.found;
        let text = |value: &dyn Display| value.to_string();
        let none = || "none".to_owned();
        [
            ("key", text(key)),
            ("operation_id", text(operation_id)),
            ("transaction_id", text(transaction_id)),
            ("customer_id", text(customer_id)),
            ("login", text(login)),
            ("cmd", text(&cmd.number())),
            ("purpose", purpose(*reason).to_owned()),
            ("amount and currency", format!("{} {}", amount.to_wire(), amount.currency)),
            ("created_time", text(created_time)),
            ("outcome", outcome_words(outcome)),
            ("comment", self.comment.as_ref().map_or_else(none, |words| format!("{words:?}"))),
            ("only_on", self.only_on.map_or_else(none, |mode| text(&mode.number()))),
        ]
    }

    /// What is not as it was sent and answered.
    fn differences(&self, expected: &Self) -> String {
        let differing = self.members().into_iter().zip(expected.members()).filter(|(here, there)| here != there);
        let named: Vec<String> =
            differing.map(|((name, here), (_, there))| format!("{name} {here} instead of {there}")).collect();
        named.join(", ")
    }
}

/// A page of the listing.
struct ListedPage {
    listed: Vec<ListedPosting>,
    posted_count: u64,
    /// The cursor behind it, and whether another follows.
    next: Box<str>,
    more: bool,
}

/// Goes through a listing, which must not lead back: neither to a cursor that was answered, nor to a key that was listed.
#[derive(Default)]
struct ListingPath {
    cursors: HashSet<Box<str>>,
    keys: HashSet<OperationKey>,
}

impl ListingPath {
    fn pass(&mut self, page: &ListedPage) -> Checked {
        for ListedPosting { found, .. } in &page.listed {
            expect(self.keys.insert(found.key.clone()), || format!("{} is listed twice", found.key))?;
        }
        let is_new = !page.more || self.cursors.insert(page.next.clone());
        expect(is_new, || format!("the listing leads back to the cursor {}", page.next))?;
        expect(self.cursors.len() <= PAGES_MAX, || {
            format!("the listing has more than {PAGES_MAX} pages: check a test copy")
        })
    }
}

impl CheckRun<'_> {
    /// Everything that is listed before the run.
    pub(super) async fn earlier(&self) -> Result<Earlier, String> {
        let (mut passed, mut after, mut posted_count) = (ListingPath::default(), Box::default(), 0);
        loop {
            let page = self.page(&after, PAGE_POSTINGS_MAX).await?;
            passed.pass(&page)?;
            posted_count += page.listed.iter().filter(|listed| listed.found.is_posted()).count() as u64;
            after = page.next;
            if !page.more {
                return Ok(Earlier { after, posted_count, keys: passed.keys });
            }
        }
    }

    async fn page(&self, after: &str, limit: usize) -> Result<ListedPage, String> {
        let most = u32::try_from(limit).unwrap_or(1);
        let answer = self.checker.ask(encoded(&PostingsRequest::new(self.checker.instance(), after, most))).await?;
        let stated = read_only::<PostingsAnswer>(&answer)?;
        expect(stated.postings.0.len() <= limit, || format!("a page has more than {limit} postings"))?;
        let (posted_count, next, more) = (stated.posted_count.0, stated.next.0.clone(), stated.more.0);
        let beside = stated.postings.0.iter().flatten().map(|row| {
            let posting = &row.posting.0;
            (posting.comment.as_ref().map(|words| words.0.clone()), posting.only_on.as_ref().map(|mode| mode.0))
        });
        let beside: Vec<_> = beside.collect();
        let PostingsPage { postings: found, unread, .. } = reading::postings(stated, after)?;
        unread
            .first()
            .map_or(Ok(()), |first| Err(format!("it lists a posting that cannot be read: {}", first.what)))?;
        let listed =
            found.into_iter().zip(beside).map(|(found, (comment, only_on))| ListedPosting { found, comment, only_on });
        Ok(ListedPage { listed: listed.collect(), posted_count, next, more })
    }

    /// What is listed since, in pages of so many, and the count of all that were posted.
    async fn since(&self, earlier: &Earlier, limit: usize) -> Result<(Vec<ListedPosting>, u64), String> {
        let (mut passed, mut after, mut listed) = (ListingPath::default(), earlier.after.clone(), Vec::new());
        loop {
            let page = self.page(&after, limit).await?;
            passed.pass(&page)?;
            listed.extend(page.listed);
            after = page.next;
            if !page.more {
                return Ok((listed, page.posted_count));
            }
        }
    }

    pub(super) async fn listed(&self, earlier: &Earlier) -> Checked {
        if let Some(key) = self.known_key {
            expect(earlier.keys.contains(key), || format!("{key} of an earlier check is not listed"))?;
        }
        let (listed, stated) = self.since(earlier, PAGE_POSTINGS_MAX).await?;
        for NotedPosting { key, posting: sent, outcome } in &self.sent {
            let one = listed.iter().find(|known| known.found.key == *key);
            let one = one.ok_or_else(|| format!("{key} is not listed"))?;
            let operation = &sent.operation;
            let expected = ListedPosting {
                found: FoundPosting {
                    key: key.clone(),
                    operation_id: operation.id,
                    transaction_id: operation.transaction_id,
                    customer_id: sent.customer_id,
                    login: operation.login,
                    cmd: operation.cmd,
                    reason: operation.reason,
                    amount: operation.amount,
                    created_time: operation.created_time,
                    outcome: outcome.clone(),
                },
                comment: Some(sent.comment.clone()),
                only_on: sent.only_on,
            };
            expect(*one == expected, || format!("it lists {key} with {}", one.differences(&expected)))?;
        }
        let at = |sent: &NotedPosting| listed.iter().position(|known| known.found.key == sent.key);
        let is_in_order = self.sent.first().and_then(at) <= self.sent.last().and_then(at);
        expect(is_in_order, || "what was recorded last is listed before what was recorded first".to_owned())?;
        let (in_small_pages, _) = self.since(earlier, SMALL_PAGE).await?;
        expect(listed == in_small_pages, || format!("in pages of {SMALL_PAGE} other postings are listed"))?;
        let counted = earlier.posted_count + listed.iter().filter(|one| one.found.is_posted()).count() as u64;
        expect(counted == stated, || format!("posted_count is {stated}, and {counted} are listed"))
    }
}
