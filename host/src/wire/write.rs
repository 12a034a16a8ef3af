//! Writes JSON straight into a buffer: objects in the order of the calls, strings escaped, numbers as exact text.
//! It checks no nesting and builds no tree; the closures of [`object`] and [`Object::array`] close what they open.

use cashier_core::time::UnixTime;

/// Writes one object; the closure writes its fields in order.
pub fn object(out: &mut Vec<u8>, fields: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    let mut object = Object { out, empty: true };
    fields(&mut object);
    out.push(b'}');
}

/// Writes one array; `write` writes each item.
pub fn array<T>(out: &mut Vec<u8>, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (place, item) in items.into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// An object being written. Field names are our own and need no escape.
pub struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl Object<'_> {
    pub fn text(&mut self, name: &str, value: &str) -> &mut Self {
        text(self.named(name), value);
        self
    }

    pub fn number(&mut self, name: &str, value: u64) -> &mut Self {
        number(self.named(name), value);
        self
    }

    pub fn signed(&mut self, name: &str, value: i64) -> &mut Self {
        signed(self.named(name), value);
        self
    }

    pub fn time(&mut self, name: &str, value: UnixTime) -> &mut Self {
        self.signed(name, value.0)
    }

    /// 1 or 0, as the wire writes flags.
    pub fn flag(&mut self, name: &str, value: bool) -> &mut Self {
        self.number(name, u64::from(value))
    }

    /// Text that is JSON already: an amount, an echoed extID, a stored object.
    pub fn raw(&mut self, name: &str, json: &str) -> &mut Self {
        self.named(name).extend_from_slice(json.as_bytes());
        self
    }

    pub fn object(&mut self, name: &str, fields: impl FnOnce(&mut Object<'_>)) -> &mut Self {
        object(self.named(name), fields);
        self
    }

    pub fn array<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        write: impl FnMut(&mut Vec<u8>, T),
    ) -> &mut Self {
        array(self.named(name), items, write);
        self
    }

    /// JSON under a name that is not our own and is escaped.
    pub fn raw_named(&mut self, name: &str, json: &str) {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        text(self.out, name);
        self.out.push(b':');
        self.out.extend_from_slice(json.as_bytes());
    }

    /// A value that the closure writes.
    pub fn value(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        write(self.named(name));
        self
    }

    fn named(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }
}

/// Writes a JSON string. Whole runs that need no escape are copied at once.
pub fn text(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    let mut rest = value;
    while let Some(place) = rest.bytes().position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        let (plain, from) = rest.split_at(place);
        out.extend_from_slice(plain.as_bytes());
        let mut letters = from.chars();
        match letters.next() {
            Some('"') => out.extend_from_slice(b"\\\""),
            Some('\\') => out.extend_from_slice(b"\\\\"),
            Some('\n') => out.extend_from_slice(b"\\n"),
            Some('\r') => out.extend_from_slice(b"\\r"),
            Some('\t') => out.extend_from_slice(b"\\t"),
            Some(control) => escape_unit(out, control as u32 as u16),
            None => {}
        }
        rest = letters.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
    out.push(b'"');
}

pub fn number(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0_u8; 20];
    let mut rest = value;
    let mut used = 0;
    for place in digits.iter_mut().rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    out.extend(digits.iter().skip(digits.len() - used));
}

pub fn signed(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    number(out, value.unsigned_abs());
}

fn escape_unit(out: &mut Vec<u8>, unit: u16) {
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        let digit = ((unit >> shift) & 15) as u8;
        out.push(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
    }
}

/// Rewrites finished JSON as one line of ASCII with `'` as `\u0027`, as clients of the TCP door depend on
/// (API.md section 4). Non-ASCII and `'` occur inside strings alone, line ends outside them alone, so no parse is needed.
pub fn to_ascii_line(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() + json.len() / 16);
    for letter in String::from_utf8_lossy(json).chars() {
        match letter {
            '\r' | '\n' => out.push(b' '),
            '\'' => escape_unit(&mut out, u16::from(b'\'')),
            letter if letter.is_ascii() => out.push(letter as u8),
            letter => {
                let mut units = [0; 2];
                for unit in letter.encode_utf16(&mut units) {
                    escape_unit(&mut out, *unit);
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_reads_back_as_itself(value in any::<String>()) {
            let mut out = Vec::new();
            object(&mut out, |fields| { fields.text("value", &value); });
            let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(read.get("value").unwrap().as_str().unwrap(), &value);
            let line = to_ascii_line(&out);
            prop_assert!(line.is_ascii() && !line.contains(&b'\'') && !line.contains(&b'\n'));
            prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&line).unwrap(), read);
        }

        #[test]
        fn any_number_reads_back_as_itself(unsigned in any::<u64>(), with_sign in any::<i64>()) {
            let mut out = Vec::new();
            array(&mut out, [0, 1], |out, place| if place == 0 { number(out, unsigned) } else { signed(out, with_sign) });
            prop_assert_eq!(String::from_utf8(out).unwrap(), format!("[{unsigned},{with_sign}]"));
        }
    }

    #[test]
    fn fields_stand_in_the_order_of_the_calls() {
        let mut out = Vec::new();
        object(&mut out, |fields| {
            fields.number("z", 1).flag("a", true).raw("amount", "250.0").object("empty", |_| {});
            fields.array("list", [-1, 0, 1], signed).text("s", "a\"\\\u{1}\n'é");
        });
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"z":1,"a":1,"amount":250.0,"empty":{},"list":[-1,0,1],"s":"a\"\\\u0001\n'é"}"#
        );
        let line = to_ascii_line("{\n\"it's\":\"é😀\"}".as_bytes());
        assert_eq!(String::from_utf8(line).unwrap(), r#"{ "it\u0027s":"\u00e9\ud83d\ude00"}"#);
    }
}
