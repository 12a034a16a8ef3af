//! What the server answered about keys, in words for the person who reads the check: as JSON, as the server wrote it, and lists of
//! answers at a length that can be read. It judges nothing.

use cashier_core::operation::PostingOutcome;
use serde_json::json;

use super::super::reading::KeyOutcome;

/// Different answers that one message names: what else came is counted.
const NAMED_ANSWERS: usize = 3;

/// Characters of a problem that are shown: a few lines of a terminal.
const SHOWN_CHARACTERS: usize = 600;

/// An answer about a key, without the key.
pub(super) fn words(answer: &KeyOutcome) -> String {
    match answer {
        KeyOutcome::Known(outcome) => outcome_words(outcome),
        KeyOutcome::Unknown => json!({ "result": "none" }).to_string(),
    }
}

pub(super) fn outcome_words(outcome: &PostingOutcome) -> String {
    match outcome {
        PostingOutcome::Posted { trade_order, .. } => format!(r#"{{"result":"posted","order":{trade_order}}}"#),
        PostingOutcome::Refused { reason } => format!(r#"{{"result":"refused","reason":{}}}"#, json!(reason)),
        PostingOutcome::Conflict => json!({ "result": "conflict" }).to_string(),
        PostingOutcome::Unknown => "nothing".to_owned(),
    }
}

/// What came of a call about a key.
pub(super) fn call_words(answer: &Result<KeyOutcome, String>) -> String {
    answer.as_ref().map_or_else(Clone::clone, words)
}

/// Several answers: each once, with how often it came.
pub(super) fn several(answers: &[KeyOutcome]) -> String {
    let mut counted: Vec<(&KeyOutcome, usize)> = Vec::new();
    for answer in answers {
        match counted.iter_mut().find(|(known, _)| *known == answer) {
            Some((_, times)) => *times += 1,
            None => counted.push((answer, 1)),
        }
    }
    let mut named: Vec<String> =
        counted.iter().take(NAMED_ANSWERS).map(|(answer, times)| format!("{times} times {}", words(answer))).collect();
    let others: usize = counted.iter().skip(NAMED_ANSWERS).map(|(_, times)| times).sum();
    if others > 0 {
        named.push(format!("{others} times something else"));
    }
    named.join(", ")
}

/// A problem at a length that can be read.
pub(super) fn shortened(problem: String) -> String {
    match problem.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{} …", problem.get(..end).unwrap_or_default()),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_named_as_the_server_writes_them_and_lists_are_counted() {
        let posted = |order| KeyOutcome::Known(PostingOutcome::posted(order));
        let refused = KeyOutcome::Known(PostingOutcome::Refused { reason: "X_A".into() });
        assert_eq!(words(&posted(7)), r#"{"result":"posted","order":7}"#);
        assert_eq!(words(&refused), r#"{"result":"refused","reason":"X_A"}"#);
        assert_eq!(words(&KeyOutcome::Known(PostingOutcome::Conflict)), r#"{"result":"conflict"}"#);
        assert_eq!(words(&KeyOutcome::Unknown), r#"{"result":"none"}"#);
        let answers = [posted(7), refused, posted(7), posted(8), posted(9), posted(10)];
        assert_eq!(
            several(&answers),
            r#"2 times {"result":"posted","order":7}, 1 times {"result":"refused","reason":"X_A"}, 1 times {"result":"posted","order":8}, 2 times something else"#
        );
    }

    #[test]
    fn a_long_problem_is_cut_between_characters() {
        assert_eq!(shortened("short".to_owned()), "short");
        let cut = shortened("ü".repeat(SHOWN_CHARACTERS + 1));
        assert_eq!((cut.chars().count(), cut.ends_with("ü …")), (SHOWN_CHARACTERS + 2, true));
    }
}
