//! The free texts of a transaction: what a customer wrote, up to 17 KiB of it. They decide nothing, so the books hold none
//! of them: they are stored once, with the commit that opens the transaction, and read by its id where they are shown.

/// The metadata of a request without any.
const NO_METADATA: &str = "{}";

/// Comment and metadata, as the request had them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts {
    pub comment: Box<str>,
    /// A JSON object as text.
    pub metadata_json: Box<str>,
}

impl Default for Texts {
    fn default() -> Self {
        Self { comment: Box::default(), metadata_json: NO_METADATA.into() }
    }
}

impl Texts {
    /// What a text states: empty where it states nothing.
    pub fn stated(text: &str) -> &str {
        if *text == *NO_METADATA { "" } else { text }
    }

    /// There is nothing to store.
    pub fn is_default(&self) -> bool {
        self.comment.is_empty() && *self.metadata_json == *NO_METADATA
    }

    /// Bytes that storing them takes.
    pub fn len(&self) -> usize {
        self.comment.len() + Self::stated(&self.metadata_json).len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
