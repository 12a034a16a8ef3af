//! Key files: entries of `ID:HEX`, one a line; what stands between id and key names a use of the key. Both key rings are read here; what an id or a length must be is theirs to
//! check (`http/session.rs`, `strand/seal.rs`).

use zeroize::Zeroizing;

use crate::text_file::trimmed;

/// Size of a key file or a JWK set: the largest keys allowed take a tenth of it.
pub(crate) const KEY_FILE_BYTES_MAX: u64 = 256 * 1024;

/// Longest id that an error shows: half of the shortest key in hexadecimal.
const ID_SHOWN_MAX: usize = 32;

/// An entry: the line it stands on, from 1, and its id with the key. An entry of another form has neither: it may be a key,
/// so no error repeats it.
pub(crate) struct KeyEntry<'t> {
    pub(crate) line: usize,
    pub(crate) key: Option<(&'t str, Zeroizing<Vec<u8>>)>,
}

/// The entries of a text in their order, with `separators` beside the line ends. Empty entries and lines that begin with
/// `#` are skipped.
pub(crate) fn entries<'t>(text: &'t str, separators: &'static [char]) -> impl Iterator<Item = KeyEntry<'t>> {
    // Files that were joined have a byte order mark at the beginning of each.
    let lines = (1..).zip(text.lines().map(trimmed)).filter(|(_, line)| !line.starts_with('#'));
    let entries = lines.flat_map(move |(line, text)| text.split(separators).map(move |entry| (line, trimmed(entry))));
    entries.filter(|(_, entry)| !entry.is_empty()).map(|(line, entry)| KeyEntry { line, key: read(entry) })
}

fn read(entry: &str) -> Option<(&str, Zeroizing<Vec<u8>>)> {
    let (id, digits) = entry.rsplit_once(':')?;
    let digits = digits.trim();
    // Of its final size from the start: a buffer that grows would leave unwiped copies of the key behind.
    let mut key = Zeroizing::new(vec![0; digits.len() / 2]);
    hex::decode_to_slice(digits, &mut key).ok()?;
    Some((id, key))
}

/// Where an entry stands, as an error says it: with its id, unless that may be a key itself, written in the wrong order.
pub(crate) fn place(line: usize, id: &str) -> String {
    let is_plain =
        id.len() <= ID_SHOWN_MAX && id.chars().all(|sign| sign.is_ascii_alphanumeric() || "._-".contains(sign));
    if is_plain && !id.is_empty() { format!("line {line}, key {id}") } else { format!("line {line}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i3_a_key_has_its_id_whatever_editor_saved_the_file() {
        let key = "0a".repeat(32);
        for text in [
            format!("1:{key}"),
            format!("\u{feff}1:{key}\n"),
            format!("\u{feff}# keys\r\n\r\n\u{feff} 1:{key} \r\n"),
            format!("\u{a0}1: {key}\t\n\n"),
        ] {
            let read: Vec<_> = entries(&text, &[]).map(|entry| entry.key.map(|(id, key)| (id, key.to_vec()))).collect();
            assert_eq!(read, [Some(("1", vec![0x0a; 32]))], "{text:?}");
        }
    }
}
