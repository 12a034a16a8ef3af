//! What the server lists of its postings: all of it before a run of the check, and what the run added, with every value. It posts
//! nothing.

use cashier_core::reconcile::FoundPosting;

use super::super::PAGE_POSTINGS_MAX;
use super::super::answers::{PostingsAnswer, read_only};
use super::super::calling::encoded;
use super::super::reading;
use super::super::requests::PostingsRequest;
use super::exchanges::{CHECK_COMMENT, expect};
use super::postings::{CheckRun, Checked};

/// Pages of postings that are looked through for those of the check.
const PAGES_MAX: usize = 200; // 100,000 postings: more is no database for tests

/// Postings of a small page: what was listed at once is the same page by page.
const SMALL_PAGE: usize = 3;

/// What was listed before the run.
pub(super) struct Earlier {
    /// The cursor behind all of it.
    after: Box<str>,
    posted_count: u64,
    /// The first that an earlier check posted to the account.
    pub(super) oldest: Option<FoundPosting>,
}

impl CheckRun<'_> {
    /// Everything that is listed before the run.
    pub(super) async fn earlier(&self) -> Result<Earlier, String> {
        let mut earlier = Earlier { after: Box::default(), posted_count: 0, oldest: None };
        for _ in 0..PAGES_MAX {
            let page = self.page(&earlier.after, PAGE_POSTINGS_MAX).await?;
            let (next, more) = (page.next.0.clone(), page.more.0);
            let of_check = |comment: Option<&str>| comment == Some(CHECK_COMMENT);
            let comments = page.postings.0.iter().map(|row| of_check(row.posting.0.comment.as_ref().map(|it| &*it.0)));
            let comments: Vec<bool> = comments.collect();
            let found = reading::postings(page, &earlier.after)?.postings;
            earlier.posted_count += found.iter().filter(|posting| posting.is_posted()).count() as u64;
            let ours = |posting: &FoundPosting| posting.is_posted() && posting.login == self.facts.account.login;
            let mut of_checks =
                found.into_iter().zip(comments).filter(|(posting, of_check)| *of_check && ours(posting));
            earlier.oldest = earlier.oldest.or_else(|| of_checks.next().map(|(posting, _)| posting));
            earlier.after = next;
            if !more {
                return Ok(earlier);
            }
        }
        Err(format!("there are more than {} postings: check a test copy", PAGES_MAX * PAGE_POSTINGS_MAX))
    }

    async fn page(&self, after: &str, limit: usize) -> Result<PostingsAnswer, String> {
        let limit = u32::try_from(limit).unwrap_or(1);
        let answer = self.checker.ask(encoded(&PostingsRequest::new(self.checker.instance(), after, limit))).await?;
        read_only::<PostingsAnswer>(&answer)
    }

    /// What is listed since, in pages of so many, and the count of all that were posted.
    async fn since(&self, earlier: &Earlier, limit: usize) -> Result<(Vec<FoundPosting>, u64), String> {
        let (mut after, mut found) = (earlier.after.clone(), Vec::new());
        loop {
            let page = self.page(&after, limit).await?;
            let stated = page.posted_count.0;
            expect(page.postings.0.len() <= limit, || format!("a page has more than {limit} postings"))?;
            let page = reading::postings(page, &after)?;
            found.extend(page.postings);
            if page.next.is_empty() {
                return Ok((found, stated));
            }
            expect(found.len() <= PAGES_MAX * PAGE_POSTINGS_MAX, || "the listing does not end".to_owned())?;
            after = page.next;
        }
    }

    pub(super) async fn listed(&self, earlier: &Earlier) -> Checked {
        let (found, stated) = self.since(earlier, PAGE_POSTINGS_MAX).await?;
        for (sent, is_posted) in &self.sent {
            let listed: Vec<&FoundPosting> = found.iter().filter(|known| known.key == sent.key()).collect();
            let [one] = &*listed else { return Err(format!("{} is listed {} times", sent.key(), listed.len())) };
            expect(one.is_posted() == *is_posted, || format!("{}: posted is {}", one.key, one.is_posted()))?;
            let operation = &sent.operation;
            let is_same = one.is_same(operation)
                && (one.customer_id, one.transaction_id, one.operation_id, one.reason, one.created_time)
                    == (
                        sent.customer_id,
                        operation.transaction_id,
                        operation.id,
                        operation.reason,
                        operation.created_time,
                    );
            expect(is_same, || format!("{} is listed with other values: {one:?}", one.key))?;
        }
        let (in_small_pages, _) = self.since(earlier, SMALL_PAGE).await?;
        expect(found == in_small_pages, || format!("in pages of {SMALL_PAGE} other postings are listed"))?;
        let counted = earlier.posted_count + found.iter().filter(|posting| posting.is_posted()).count() as u64;
        expect(counted == stated, || format!("posted_count is {stated}, and {counted} are listed"))
    }
}
