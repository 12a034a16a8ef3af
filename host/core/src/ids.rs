//! Identifiers as types of their own, so that a login cannot be passed where a customer id is expected.
//! Numeric ids come from persisted counters and stay below 2^53, because published JavaScript clients read them.

use std::fmt;

macro_rules! numeric_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

numeric_ids! {
    /// A cashier transaction.
    TransactionId;
    /// A balance operation.
    OperationId;
    /// One event row of a webhook.
    EventId;
    /// One received webhook request with its stored body.
    NoticeId;
    /// A provider config row.
    ConfigId;
    /// A customer override row.
    OverrideId;
    /// A change that waits for a second person: the number of the commit that asked.
    ApprovalId;
    /// A customer of the broker, owned by the trading server.
    CustomerId;
    /// A trading account, owned by the trading server.
    Login;
    /// The person or system behind a manager session.
    ManagerId;
    /// The ledger's running number of a commit; later is larger.
    Seq;
}

/// Largest id handed out: JavaScript clients read ids as doubles (API.md section 4).
pub const ID_MAX: u64 = (1 << 53) - 1;

/// Our reference, sent to providers and returned by webhooks: at most [`Reference::LENGTH_MAX`] characters, globally unique
/// and unguessable (API.md section 2). A transaction id is never accepted in its place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference(Box<str>);

impl Reference {
    /// The shortest order-id field among the providers served takes 20 characters.
    pub const LENGTH_MAX: usize = 20;
    /// 32 characters that are not confused when read; five bits each.
    const ALPHABET: &'static [u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

    /// Encodes 95 random bits as `d` followed by 19 characters.
    pub fn from_random(bits: u128) -> Self {
        let mut text = String::with_capacity(Self::LENGTH_MAX);
        text.push('d');
        for index in 0..Self::LENGTH_MAX - 1 {
            let digit = ((bits >> (index * 5)) & 31) as usize;
            text.push(Self::ALPHABET.get(digit).copied().map_or('0', char::from));
        }
        Self(text.into_boxed_str())
    }

    /// Reads a reference from a provider or the disk, in any letter case and with blanks around it, as providers return it;
    /// ours are lower case. `None` when it cannot be one of ours.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let plausible = text.len() == Self::LENGTH_MAX && text.bytes().all(|b| b.is_ascii_alphanumeric());
        plausible.then(|| Self(text.to_ascii_lowercase().into_boxed_str()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which trading server of the settings: the one that owns an account, and to which everything of a transaction is posted. Empty
/// is the embedded one, which is the server of every transaction made before there were others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerName(Box<str>);

impl ServerName {
    /// Longest name, in bytes: it stands in every row, metric and log line of its server.
    pub const LENGTH_MAX: usize = 32;

    pub const EMBEDDED: &'static str = "embedded";

    /// Reads a name of the settings or of a row: `a-z`, `0-9`, `_` and `-`; `None` for another one. `embedded` is the empty name.
    pub fn read(text: &str) -> Option<Self> {
        let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
        match text {
            Self::EMBEDDED => Some(Self::default()),
            _ => (text.len() <= Self::LENGTH_MAX && text.bytes().all(known)).then(|| Self(text.into())),
        }
    }

    pub fn is_embedded(&self) -> bool {
        self.0.is_empty()
    }

    /// As it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name as persons know it.
impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_embedded() { Self::EMBEDDED } else { &self.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_twenty_characters_and_reads_back() {
        for bits in [0, u128::MAX, 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef] {
            let reference = Reference::from_random(bits);
            assert_eq!(reference.as_str().len(), 20);
            assert_eq!(Reference::read(reference.as_str()), Some(reference));
        }
        assert_eq!(Reference::read("15"), None);
    }

    #[test]
    fn m28_a_reference_in_capitals_mixed_case_or_between_blanks_is_the_same_reference() {
        let reference = Reference::from_random(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        let capitals = reference.as_str().to_ascii_uppercase();
        let mixed: String =
            capitals.char_indices().map(|(at, c)| if at % 2 == 0 { c } else { c.to_ascii_lowercase() }).collect();
        for text in [capitals.clone(), mixed, format!(" {reference}\r\n"), format!("\t{capitals} ")] {
            assert_eq!(Reference::read(&text).as_ref(), Some(&reference), "{text:?}");
        }
        let inner = format!("{} {}", &capitals[..9], &capitals[9..]);
        assert_eq!((Reference::read(&inner), Reference::read(&capitals[1..])), (None, None));
    }
}
