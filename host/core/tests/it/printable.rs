//! What a code may contain, and how a text is shown to an operator.

use cashier_core::card_data::NUMBER_PROBLEM;
use cashier_core::printable::{Printable, check_code, is_obeyed};

#[test]
fn k9_control_bidi_and_c1_characters_are_refused_in_codes() {
    let (control, unseen, line) = (
        "holds control characters",
        "holds characters that cannot be seen",
        "must be one line without blanks around it",
    );
    let table = [
        ("a\u{1b}[31m", control),
        ("a\u{7f}b", control),
        ("a\u{9b}31m", control),
        ("a\u{85}b", control),
        ("stripe\u{202e}", unseen),
        ("a\u{2066}b\u{2069}", unseen),
        ("a\u{200f}b", unseen),
        ("\u{200e}a", unseen),
        ("a\u{61c}b", unseen),
        ("a\u{200b}b", unseen),
        ("a\u{feff}b", unseen),
        ("a\u{ad}b", unseen),
        ("a\u{e0041}b", unseen),
        ("a\u{2028}b", line),
        ("a\u{2029}b", line),
        ("4111 1111 1111 1111", NUMBER_PROBLEM),
        ("a\nb", line),
        (" a", line),
        ("a\u{a0}", line),
    ];
    for (code, problem) in table {
        assert_eq!(check_code(code), Err(problem), "{code:?}");
    }
    for fine in ["", "stripe", "ion4", "VIP allow", "карта", "مدى", "銀聯", "a-b_c.d/e:f", "é"] {
        assert_eq!(check_code(fine), Ok(()), "{fine}");
    }
}

#[test]
fn k9_what_a_terminal_would_obey_is_escaped_and_everything_else_is_shown() {
    let text = "A\u{1b}]0;x\u{7}\nB\u{9b}31m\u{202e}C\u{2029} \u{61c}\u{2067}é \"q\" \\ 銀";
    let shown = Printable(text).to_string();
    assert_eq!(shown, "A\\u{1b}]0;x\\u{7}\\u{a}B\\u{9b}31m\\u{202e}C\\u{2029} \\u{61c}\\u{2067}é \"q\" \\ 銀");
    assert!(!shown.chars().any(is_obeyed));
}
