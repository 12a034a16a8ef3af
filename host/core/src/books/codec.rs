//! Small numbers in few bytes, and texts that are written once: the spelling of packed rows. It lives in memory only and
//! is never stored.

/// Shorter texts are packed again: a reference to an earlier one would save nothing.
const REPEATED_LENGTH_MIN: usize = 4;

/// Capacity for a row with its texts; nearly every row is shorter, so that writing it reallocates nothing.
const ROW_CAPACITY: usize = 512;
/// Texts that most rows have.
const TEXTS_CAPACITY: usize = 24;

/// Writes values one after another.
pub(super) struct Writer {
    bytes: Vec<u8>,
    /// Where each text that may be referred to again was packed, head included, and how long it is.
    texts: Vec<(usize, usize)>,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::with_capacity(ROW_CAPACITY), texts: Vec::with_capacity(TEXTS_CAPACITY) }
    }

    pub(super) fn number(&mut self, mut rest: u64) {
        while rest >= 0x80 {
            self.bytes.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest as u8);
    }

    fn wide(&mut self, mut rest: u128) {
        while rest >= 0x80 {
            self.bytes.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest as u8);
    }

    pub(super) fn signed(&mut self, number: i64) {
        self.number(zigzag(number));
    }

    /// A moment near another one; unset takes one byte.
    pub(super) fn moment(&mut self, moment: i64, near: i64) {
        match moment {
            0 => self.number(0),
            _ => match zigzag(moment.wrapping_sub(near)).checked_add(1) {
                Some(apart) => self.number(apart),
                None => self.wide(1 << 64),
            },
        }
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub(super) fn text(&mut self, text: &str) {
        let may_repeat = text.len() >= REPEATED_LENGTH_MIN;
        if may_repeat {
            if let Some(place) = self.spelled_at(text) {
                return self.number((place as u64) << 1 | 1);
            }
            self.texts.push((self.bytes.len(), text.len()));
        }
        self.number((text.len() as u64) << 1);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn spelled_at(&self, text: &str) -> Option<usize> {
        let same = |place: usize| Reader { bytes: &self.bytes, place }.text() == Some(text);
        self.texts.iter().find(|(place, length)| *length == text.len() && same(*place)).map(|(place, _)| *place)
    }

    pub(super) fn into_bytes(self) -> Box<[u8]> {
        // A copy of exactly this length: the row is stored, the buffer is freed.
        Box::from(&*self.bytes)
    }
}

/// Reads what a [`Writer`] wrote, in the same order. `None` means that it reads something else.
#[derive(Clone, Copy)]
pub(super) struct Reader<'b> {
    bytes: &'b [u8],
    place: usize,
}

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, place: 0 }
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.place).copied()?;
        self.place += 1;
        Some(byte)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        u64::try_from(self.wide()?).ok()
    }

    /// Nearly every number has one or two bytes; arithmetic in 128 bits is kept for those that need it.
    fn wide(&mut self) -> Option<u128> {
        let mut low = 0_u64;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            low |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(low.into());
            }
        }
        let mut number = u128::from(low);
        for shift in (63..128).step_by(7) {
            let byte = self.byte()?;
            number |= u128::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    pub(super) fn signed(&mut self) -> Option<i64> {
        self.number().map(unzigzag)
    }

    pub(super) fn moment(&mut self, near: i64) -> Option<i64> {
        match self.wide()? {
            0 => Some(0),
            apart => Some(near.wrapping_add(unzigzag(u64::try_from(apart - 1).ok()?))),
        }
    }

    pub(super) fn text(&mut self) -> Option<&'b str> {
        let head = self.number()?;
        let half = usize::try_from(head >> 1).ok()?;
        if head & 1 == 1 {
            return Reader { bytes: self.bytes, place: half }.text();
        }
        let end = self.place.checked_add(half)?;
        let text = std::str::from_utf8(self.bytes.get(self.place..end)?).ok()?;
        self.place = end;
        Some(text)
    }
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}
