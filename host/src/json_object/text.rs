//! JSON text of a document, with its members in the order in which they are given. It knows no operation and no schema.

/// A JSON string.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// A JSON object.
pub(crate) fn members<N: AsRef<str>>(members: impl IntoIterator<Item = (N, String)>) -> String {
    let written: Vec<String> =
        members.into_iter().map(|(name, json)| format!("{}:{json}", quoted(name.as_ref()))).collect();
    format!("{{{}}}", written.join(","))
}

/// A JSON array.
pub(crate) fn array(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(","))
}

/// A reference to a schema of the document.
pub(crate) fn reference(name: &str) -> String {
    format!(r##"{{"$ref":"#/components/schemas/{name}"}}"##)
}
