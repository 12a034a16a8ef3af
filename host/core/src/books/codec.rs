//! The encoding of packed rows: variable-length numbers, and each text written once. It is used in memory only and never
//! stored.

/// Shorter texts are written again: a reference to an earlier one would save nothing.
const REPEATED_LENGTH_MIN: usize = 4;

/// Capacity for a row with its texts; nearly every row is shorter, so that writing it reallocates nothing.
const ROW_CAPACITY: usize = 512;
/// Texts that most rows have.
const TEXTS_CAPACITY: usize = 24;

/// Encodes values one after another.
pub(super) struct Writer {
    bytes: Vec<u8>,
    /// The offset and length of each text that may be referred to again.
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

    /// Four bytes, whatever the number: rows that differ in it alone are as long, and it is read in place.
    pub(super) fn fixed(&mut self, number: u32) {
        self.bytes.extend_from_slice(&number.to_le_bytes());
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

    /// A time relative to a near one; unset takes one byte.
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
            if let Some(offset) = self.find_text(text) {
                return self.number((offset as u64) << 1 | 1);
            }
            self.texts.push((self.bytes.len(), text.len()));
        }
        self.number((text.len() as u64) << 1);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn find_text(&self, text: &str) -> Option<usize> {
        let same = |offset: usize| Reader { bytes: &self.bytes, offset }.text() == Some(text);
        self.texts.iter().find(|(offset, length)| *length == text.len() && same(*offset)).map(|(offset, _)| *offset)
    }

    pub(super) fn into_bytes(self) -> Box<[u8]> {
        // A copy of exactly this length; the larger buffer is freed.
        Box::from(&*self.bytes)
    }
}

/// Decodes what a [`Writer`] encoded, in the same order. `None` means that the bytes are something else.
#[derive(Clone, Copy)]
pub(super) struct Reader<'b> {
    bytes: &'b [u8],
    offset: usize,
}

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.offset).copied()?;
        self.offset += 1;
        Some(byte)
    }

    pub(super) fn fixed(&mut self) -> Option<u32> {
        let (taken, _) = self.bytes.get(self.offset..)?.split_first_chunk()?;
        self.offset += taken.len();
        Some(u32::from_le_bytes(*taken))
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        u64::try_from(self.wide()?).ok()
    }

    /// Nearly every number has one or two bytes; only the longest need arithmetic in 128 bits.
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

    /// Skips a number of any length.
    pub(super) fn skip_number(&mut self) -> Option<()> {
        while self.byte()? >= 0x80 {}
        Some(())
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
            return Reader { bytes: self.bytes, offset: half }.text();
        }
        let end = self.offset.checked_add(half)?;
        let text = std::str::from_utf8(self.bytes.get(self.offset..end)?).ok()?;
        self.offset = end;
        Some(text)
    }
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}
