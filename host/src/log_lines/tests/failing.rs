//! A file that takes no event, and many of them: it is tried with one, and the others keep their places.

use super::super::queued_lines::QueuedLines;
use super::*;

/// Lines of each kind in turn, all waiting for a reader that takes nothing.
fn stalled(rounds: usize) -> QueuedLines {
    let mut lines = QueuedLines::default();
    lines.is_stalled = true;
    for number in 0..rounds {
        lines.push(LineKind::Ordinary, format!("ordinary {number}\n").as_bytes());
        lines.push(LineKind::Security, format!("security {number}\n").as_bytes());
        lines.push(LineKind::Access, format!("access {number}\n").as_bytes());
    }
    lines
}

fn wait_in_order(lines: &QueuedLines, expected: impl IntoIterator<Item = u64>) -> bool {
    lines.waiting.iter().map(|line| line.number).eq(expected)
}

#[test]
fn r9_a_file_that_failed_is_tried_with_one_event_and_gets_the_others_once_it_took_it() {
    let mut lines = stalled(1000);
    lines.move_to_file();
    assert_eq!((lines.saving.len(), lines.waiting.len()), (1000, 2000));
    lines.end_saving(false);
    assert!(lines.saving.is_empty() && wait_in_order(&lines, 1..=3000), "each in its place");
    for _ in 0..3 {
        lines.move_to_file();
        assert_eq!((lines.saving.len(), lines.waiting.len()), (1, 2999));
        lines.end_saving(false);
        assert!(lines.saving.is_empty() && wait_in_order(&lines, 1..=3000));
    }
    lines.move_to_file();
    lines.end_saving(true);
    assert_eq!((lines.overflowed, lines.saving.len(), lines.waiting.len()), (1, 999, 2000));
    assert_eq!((lines.security_bytes, lines.security_lost), (0, 0));
}

#[test]
fn r9_what_a_failing_file_gives_back_waits_in_its_place_and_of_too_many_the_newest_are_lost() {
    let mut lines = stalled(30_000);
    lines.move_to_file();
    assert_eq!((lines.saving.len(), lines.waiting.len()), (30_000, 60_000));
    // Meanwhile as many came as may wait.
    let line = format!("security {}\n", "x".repeat(SECURITY_BYTES_MAX / 100));
    let mut came = 0;
    while lines.fits(LineKind::Security, line.len()) {
        lines.push(LineKind::Security, line.as_bytes());
        lines.push(LineKind::Access, b"access\n");
        came += 1;
    }
    let given_back: usize = lines.saving.iter().map(|line| line.text.len()).sum();
    lines.end_saving(false);
    let lost = given_back.div_ceil(line.len()) as u64;
    assert!(lines.security_lost >= lost - 1 && lines.security_lost <= lost, "{}", lines.security_lost);
    let mut expected: Vec<u64> = (1..=90_000 + 2 * came).collect();
    let newest = |number: &u64| *number > 90_000 && number % 2 == 1;
    for _ in 0..lines.security_lost {
        let place = expected.iter().rposition(newest).unwrap();
        expected.remove(place);
    }
    assert!(wait_in_order(&lines, expected));
    let bytes: usize = lines.waiting.iter().filter(|line| line.is_security()).map(|line| line.text.len()).sum();
    assert_eq!(lines.security_bytes, bytes);
}
