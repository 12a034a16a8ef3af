//! Provider ids of a payment as (kind, value) pairs: `checkout_session`, `payment_intent`, `tid` …
//! Only equal kinds are ever compared (API.md section 3, webhook rule 3).

/// One id that a provider gave to a payment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProviderRef {
    /// The module's name for this kind of id, such as `checkout_session`; at most 32 characters.
    pub kind: Box<str>,
    /// The id itself; at most 255 characters.
    pub value: Box<str>,
}

impl ProviderRef {
    /// Kinds are short names that modules declare.
    pub const KIND_LENGTH_MAX: usize = 32;
    /// The longest id that a supported provider documents, Stripe's.
    pub const VALUE_LENGTH_MAX: usize = 255;
    /// More ids than this do not belong to one payment: as many as it may have facts. What exceeds them is reported.
    pub const PER_TRANSACTION_MAX: usize = 128;
    /// Of these, at most so many that came with statements which move no money: a customer who tries a card a hundred
    /// times must leave capacity for the ids of the payment that succeeds and of its refunds.
    pub const PER_TRANSACTION_OTHER_MAX: usize = 64;

    pub fn new(kind: &str, value: &str) -> Self {
        Self { kind: kind.into(), value: value.into() }
    }

    /// The id of a payment itself, of no kind: it is equal to no id that is stored.
    pub fn of_payment(payment: &str) -> Option<Self> {
        (!payment.is_empty()).then(|| Self::new("", payment))
    }
}

/// The set of ids of one transaction, sorted so that the order of receipt does not show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refs(Vec<ProviderRef>);

/// What an id came with: this decides how many are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CameWith {
    /// A statement that moves or stops money, or the answer to our create call.
    Money,
    /// A decline, a pending status or another statement that moves no money.
    Other,
}

/// The outcome of adding an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefAdding {
    Added,
    Known,
    /// The set is full, or the id is empty or longer than any that is stored: it was not added.
    Full,
}

impl Refs {
    /// Adds an id while there is capacity for its kind of statement.
    pub fn add(&mut self, id: ProviderRef, came_with: CameWith) -> RefAdding {
        let sound = !id.kind.is_empty()
            && !id.value.is_empty()
            && id.kind.len() <= ProviderRef::KIND_LENGTH_MAX
            && id.value.len() <= ProviderRef::VALUE_LENGTH_MAX;
        let count_max = match came_with {
            CameWith::Money => ProviderRef::PER_TRANSACTION_MAX,
            CameWith::Other => ProviderRef::PER_TRANSACTION_OTHER_MAX,
        };
        match self.0.binary_search(&id) {
            Ok(_) => RefAdding::Known,
            Err(index) if sound && self.0.len() < count_max => {
                self.0.insert(index, id);
                RefAdding::Added
            }
            Err(_) => RefAdding::Full,
        }
    }

    /// Removes these ids, as far as they are in the set.
    pub(crate) fn remove(&mut self, ids: &[ProviderRef]) {
        self.0.retain(|known| !ids.contains(known));
    }

    /// The (first, in sorted order) id of this kind.
    pub fn of_kind(&self, kind: &str) -> Option<&str> {
        self.0.iter().find(|known| &*known.kind == kind).map(|known| &*known.value)
    }

    pub fn iter(&self) -> impl Iterator<Item = &ProviderRef> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<ProviderRef> for Refs {
    fn from_iter<I: IntoIterator<Item = ProviderRef>>(ids: I) -> Self {
        let mut refs = Self::default();
        for id in ids {
            refs.add(id, CameWith::Money);
        }
        refs
    }
}
