//! Pages of an export: each goes on behind the last one without a count, and visits its own rows alone.

use cashier_core::books::{Books, Scope};
use cashier_core::filter::Clause;
use cashier_core::transaction::Transaction;

use crate::query::{books_of, built, many, run};

/// The holds that a page behind row 30,000 of 60,000 takes, and its ids.
fn page_behind(books: &Books, conditions: &[[&str; 3]], direction: &str, is_counted: bool) -> (Vec<u64>, usize) {
    let operator = if direction == "asc" { ">" } else { "<" };
    let filter = built(|b| {
        conditions.iter().for_each(|condition| b.flat(Clause::Where, condition).unwrap());
        b.flat(Clause::Where, &["id", operator, "30000"]).unwrap();
        b.order_by("id", direction).unwrap();
        b.limit("500").unwrap();
    });
    let (answer, holds) = run(books, &if is_counted { filter } else { filter.uncounted() }, &Scope::default());
    (answer.rows.iter().map(|row| row.id.0).collect(), holds)
}

#[test]
fn i10_a_page_of_an_export_visits_no_row_before_or_behind_it_whatever_it_is_filtered_by() {
    let rows = many(60_000, 5);
    let books = books_of(&rows);
    let filters: [&[[&str; 3]]; 5] = [
        &[],
        &[["status", "=", "3"]],
        &[["provider", "=", "stripe"]],
        &[["amount", ">", "350"]],
        &[["created_time", ">=", "0"], ["failure_reason", "=", "EXPIRED"]],
    ];
    for conditions in filters {
        for direction in ["asc", "desc"] {
            let (counted, many_holds) = page_behind(&books, conditions, direction, true);
            let (page, holds) = page_behind(&books, conditions, direction, false);
            assert_eq!((page.len(), &page), (500, &counted), "{conditions:?} {direction}");
            // A hold visits 4,096 rows; one in ten matches at least, and the last block is read whole.
            assert!(holds <= 2, "{conditions:?} {direction}: {holds} holds, with the count {many_holds}");
        }
    }
    // Rows that were loaded in another order are all visited.
    let reversed: Vec<Transaction> = rows.into_iter().rev().collect();
    let books = books_of(&reversed);
    for direction in ["asc", "desc"] {
        let (counted, _) = page_behind(&books, &[], direction, true);
        assert_eq!(page_behind(&books, &[], direction, false).0, counted, "{direction}");
    }
}
