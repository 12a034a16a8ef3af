//! Key files: entries of `ID:HEX`, one a line; what stands between id and key names a use of the key. Both key rings are read here; what an id or a length must be is theirs to
//! check (`http/session.rs`, `strand/seal.rs`).

use zeroize::Zeroizing;

/// The entries of a text in their order, with `separators` beside the line ends. Empty entries and lines that begin with
/// `#` are skipped. An entry of another form is `None`: it may be a key, so no error repeats it.
pub(crate) fn entries<'t>(
    text: &'t str,
    separators: &'static [char],
) -> impl Iterator<Item = Option<(&'t str, Zeroizing<Vec<u8>>)>> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let entries = lines.flat_map(move |line| line.split(separators)).map(str::trim).filter(|entry| !entry.is_empty());
    entries.map(|entry| {
        let (id, digits) = entry.rsplit_once(':')?;
        let digits = digits.trim();
        // Of its final size from the start: a buffer that grows would leave unwiped copies of the key behind.
        let mut key = Zeroizing::new(vec![0; digits.len() / 2]);
        hex::decode_to_slice(digits, &mut key).ok()?;
        Some((id, key))
    })
}
