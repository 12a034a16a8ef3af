//! Key files: entries of `ID:HEX`, one a line; what stands between id and key names a use of the key. Both key rings are read here; what an id or a length must be is theirs to
//! check (`http/session.rs`, `strand/seal.rs`).

use zeroize::Zeroizing;

use crate::text_file::trimmed;

/// Size of a key file or a JWK set: the largest keys allowed take a tenth of it.
pub(crate) const KEY_FILE_BYTES_MAX: u64 = 256 * 1024;

/// The entries of a text in their order, with `separators` beside the line ends. Empty entries and lines that begin with
/// `#` are skipped. An entry of another form is `None`: it may be a key, so no error repeats it.
pub(crate) fn entries<'t>(
    text: &'t str,
    separators: &'static [char],
) -> impl Iterator<Item = Option<(&'t str, Zeroizing<Vec<u8>>)>> {
    // Files that were joined have a byte order mark at the beginning of each.
    let lines = text.lines().map(trimmed).filter(|line| !line.starts_with('#'));
    let entries = lines.flat_map(move |line| line.split(separators)).map(trimmed).filter(|entry| !entry.is_empty());
    entries.map(|entry| {
        let (id, digits) = entry.rsplit_once(':')?;
        let digits = digits.trim();
        // Of its final size from the start: a buffer that grows would leave unwiped copies of the key behind.
        let mut key = Zeroizing::new(vec![0; digits.len() / 2]);
        hex::decode_to_slice(digits, &mut key).ok()?;
        Some((id, key))
    })
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
            let read: Vec<_> = entries(&text, &[]).map(|entry| entry.map(|(id, key)| (id, key.to_vec()))).collect();
            assert_eq!(read, [Some(("1", vec![0x0a; 32]))], "{text:?}");
        }
    }
}
