//! A list as CSV (RFC 4180, UTF-8): the rows of its JSON answer are read as they pass and written as lines under one header, so
//! that every list has this form without lines of its own. It knows no record, and holds one row.

use std::borrow::Cow;

use cashier_core::refusal::{Refusal, RefusalCode};
use futures_util::future::BoxFuture;
use serde_json::value::RawValue;

use crate::json_object::Members;
use crate::wire::pieces::{AnswerBody, Pieces, SendTime};

/// What stands before the rows of an answer, at most: the names of its columns.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// What stands before the rows of a list.
const ROWS: &[u8] = b"\"rows\":[";

/// A spreadsheet takes a cell for a formula that begins so, in full width too.
const FORMULA_STARTS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// Where the names of the columns come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Columns {
    /// The described fields of the records.
    Fields(Vec<String>),
    /// The answer's own `structure`.
    Structure,
}

impl Columns {
    /// The columns of an answer with this schema; `None` where it is no list.
    pub fn of(answer: &str) -> Option<Self> {
        let member = |object: &str, name: &str| -> Option<String> {
            let Members(members) = serde_json::from_str(object).ok()?;
            members.into_iter().find(|(known, _)| known == name).map(|(_, value)| value.get().to_owned())
        };
        let properties = member(answer, "properties")?;
        member(&properties, "count")?;
        let items = member(&member(&properties, "rows")?, "items")?;
        match member(&items, "properties") {
            Some(fields) => {
                let Members(fields) = serde_json::from_str(&fields).ok()?;
                Some(Self::Fields(fields.into_iter().map(|(name, _)| name).collect()))
            }
            None => member(&items, "prefixItems").map(|_| Self::Structure),
        }
    }

    /// Whether rows have an id, as far as it is known before the answer.
    pub fn may_have_ids(&self) -> bool {
        match self {
            Self::Fields(names) => names.iter().any(|name| name == "id"),
            Self::Structure => true,
        }
    }
}

/// How far the JSON of an answer has passed.
enum Passed {
    Head(Vec<u8>),
    Rows,
    Tail,
}

/// Lines from the JSON of an answer.
pub struct CsvLines {
    columns: Columns,
    names: Vec<String>,
    has_header: bool,
    passed: Passed,
    /// The row that has not passed whole.
    row: Vec<u8>,
    depth: usize,
    in_text: bool,
    is_escaped: bool,
    /// How many rows passed, and the id of the last one, where rows have one.
    rows: u64,
    last_id: Option<u64>,
}

impl CsvLines {
    /// `has_header`: whether the first line names the columns.
    pub fn new(columns: Columns, has_header: bool) -> Self {
        let names = if let Columns::Fields(names) = &columns { names.clone() } else { Vec::new() };
        Self {
            columns,
            names,
            has_header,
            passed: Passed::Head(Vec::new()),
            row: Vec::new(),
            depth: 0,
            in_text: false,
            is_escaped: false,
            rows: 0,
            last_id: None,
        }
    }

    /// The lines of the rows that passed whole with this piece.
    fn take(&mut self, piece: &[u8]) -> Result<Vec<u8>, String> {
        let mut out = Vec::with_capacity(piece.len());
        let mut rest = Cow::Borrowed(piece);
        if let Passed::Head(head) = &mut self.passed {
            head.extend_from_slice(&rest);
            let Some(at) = head.windows(ROWS.len()).position(|part| part == ROWS) else {
                let is_long = head.len() > HEAD_BYTES_MAX;
                return if is_long { Err("the answer is no list".to_owned()) } else { Ok(out) };
            };
            let after = head.split_off(at + ROWS.len());
            if self.columns == Columns::Structure {
                self.names = structure(head)?;
            }
            rest = Cow::Owned(after);
            self.passed = Passed::Rows;
            if self.has_header {
                write_line(&mut out, self.names.iter(), |out, name| write_text(out, name));
            }
        }
        for byte in rest.iter().copied() {
            if let Passed::Tail = self.passed {
                break;
            }
            self.pass(byte, &mut out)?;
        }
        Ok(out)
    }

    fn pass(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), String> {
        if self.depth == 0 {
            match byte {
                b']' => self.passed = Passed::Tail,
                b'{' | b'[' => {
                    self.depth = 1;
                    self.row.push(byte);
                }
                _ => {}
            }
            return Ok(());
        }
        self.row.push(byte);
        match byte {
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' if self.in_text => self.is_escaped = true,
            b'"' => self.in_text = !self.in_text,
            b'{' | b'[' if !self.in_text => self.depth += 1,
            b'}' | b']' if !self.in_text => {
                self.depth -= 1;
                if self.depth == 0 {
                    let row = std::mem::take(&mut self.row);
                    self.write_row(&row, out)?;
                    self.row = row;
                    self.row.clear();
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn write_row(&mut self, row: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let unreadable = |_| "a row of the list is not readable".to_owned();
        let cells: Vec<Option<&RawValue>> = if row.first() == Some(&b'[') {
            let cells: Vec<&RawValue> = serde_json::from_slice(row).map_err(unreadable)?;
            cells.into_iter().map(Some).collect()
        } else {
            let members: Members<'_> = serde_json::from_slice(row).map_err(unreadable)?;
            self.names.iter().map(|name| members.get(name)).collect()
        };
        let id = self.names.iter().position(|name| name == "id").and_then(|at| cells.get(at).copied().flatten());
        self.last_id = id.and_then(|id| id.get().parse().ok());
        self.rows += 1;
        write_line(out, cells.into_iter(), write_cell);
        Ok(())
    }
}

fn structure(head: &[u8]) -> Result<Vec<String>, String> {
    let whole = [head, b"]}"].concat();
    let no_structure = || "the list does not name its columns".to_owned();
    let members: Members<'_> = serde_json::from_slice(&whole).map_err(|_| no_structure())?;
    let names = members.get("structure").ok_or_else(no_structure)?;
    serde_json::from_str(names.get()).map_err(|_| no_structure())
}

fn write_line<T>(out: &mut Vec<u8>, cells: impl Iterator<Item = T>, write: impl Fn(&mut Vec<u8>, T)) {
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(out, cell);
    }
    out.extend_from_slice(b"\r\n");
}

/// Numbers stay as they are, texts are made safe, what is not there is empty, and lists and objects are their JSON.
fn write_cell(out: &mut Vec<u8>, cell: Option<&RawValue>) {
    let Some(json) = cell.map(RawValue::get).filter(|json| *json != "null") else { return };
    match json.as_bytes().first() {
        Some(b'"') => match serde_json::from_str::<String>(json) {
            Ok(text) => write_text(out, &text),
            Err(_) => write_text(out, json),
        },
        Some(b'{' | b'[') => write_text(out, json),
        Some(_) | None => out.extend_from_slice(json.as_bytes()),
    }
}

/// A text that no spreadsheet takes for a formula, in quotes where RFC 4180 or a spreadsheet needs them.
fn write_text(out: &mut Vec<u8>, text: &str) {
    let is_formula = text.starts_with(FORMULA_STARTS) || text.trim_start().starts_with(FORMULA_STARTS);
    let needs_quotes = is_formula
        || text.contains([',', ';', '"', '\r', '\n', '\t'])
        || text.starts_with(char::is_whitespace)
        || text.ends_with(char::is_whitespace);
    if !needs_quotes {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    if is_formula {
        out.push(b'\'');
    }
    // Where `;` separates, a quote counts at the begin of a field only: each part behind one is a cell there, and behind a line end.
    let mut begins = false;
    let mut bytes = [0; 4];
    for character in text.chars() {
        match character {
            ';' | '\t' | '\r' | '\n' => begins = true,
            '"' => out.push(b'"'),
            blank if blank.is_whitespace() => {}
            other => {
                if begins && FORMULA_STARTS.contains(&other) {
                    out.push(b'\'');
                }
                begins = false;
            }
        }
        out.extend_from_slice(character.encode_utf8(&mut bytes).as_bytes());
    }
    out.push(b'"');
}

/// An answer whose lines are made while it is taken.
pub struct CsvPieces {
    json: Box<dyn Pieces>,
    lines: CsvLines,
}

impl CsvPieces {
    pub fn new(answer: AnswerBody, columns: Columns, has_header: bool) -> Self {
        Self { json: answer.into_pieces(), lines: CsvLines::new(columns, has_header) }
    }

    /// How many rows passed so far, and the id of the last one.
    pub fn passed(&self) -> (u64, Option<u64>) {
        (self.lines.rows, self.lines.last_id)
    }

    async fn lines(&mut self) -> Result<Option<Vec<u8>>, String> {
        while let Some(piece) = self.json.next().await? {
            let lines = self.lines.take(&piece)?;
            if !lines.is_empty() {
                return Ok(Some(lines));
            }
        }
        match self.lines.passed {
            Passed::Tail => Ok(None),
            Passed::Head(_) | Passed::Rows => Err("the answer is no list, or broke off".to_owned()),
        }
    }
}

impl Pieces for CsvPieces {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Vec<u8>>, String>> {
        Box::pin(self.lines())
    }

    fn is_done(&self) -> bool {
        self.json.is_done()
    }

    fn send_time(&self) -> SendTime {
        self.json.send_time()
    }

    fn holds(&mut self, bytes: usize) -> BoxFuture<'_, Result<(), Refusal>> {
        self.json.holds(bytes)
    }
}

/// The CSV form of a list's answer, which has this schema.
///
/// # Errors
/// It is no list; it cannot be made.
pub async fn of_list(answer: AnswerBody, schema: &str) -> Result<AnswerBody, Refusal> {
    let no_list = || Refusal::new(RefusalCode::Internal, "the answer is no list");
    let columns = Columns::of(schema).ok_or_else(no_list)?;
    AnswerBody::of(Box::new(CsvPieces::new(answer, columns, true))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(json: &str, columns: &Columns, piece: usize) -> String {
        let mut lines = CsvLines::new(columns.clone(), true);
        let mut out = Vec::new();
        for piece in json.as_bytes().chunks(piece) {
            out.extend(lines.take(piece).unwrap());
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn i10_rows_become_lines_wherever_the_answer_is_cut() {
        let fields = Columns::Fields(["id", "name", "flag", "more", "gone"].map(str::to_owned).to_vec());
        let object = r#"{"count":3,"rows":[{"id":-1.50,"name":"a \"b\", ]}[","flag":true,"more":{"x":[1,"]"]}},{"name":null,"id":2,"more":[]}],"runtime":[{"id":9}]}"#;
        let expected =
            "id,name,flag,more,gone\r\n-1.50,\"a \"\"b\"\", ]}[\",true,\"{\"\"x\"\":[1,\"\"]\"\"]}\",\r\n2,,,[],\r\n";
        let table = r#"{"structure":["id","name"],"rows":[[7,"é😀"],[8,""]],"count":2}"#;
        for piece in 1..=object.len() {
            assert_eq!(lines(object, &fields, piece), expected, "{piece}");
            assert_eq!(lines(table, &Columns::Structure, piece), "id,name\r\n7,é😀\r\n8,\r\n", "{piece}");
        }
        assert_eq!(lines(r#"{"structure":["id"],"rows":[],"count":0}"#, &Columns::Structure, 5), "id\r\n");
    }

    #[test]
    fn i10_a_text_is_never_a_formula_and_a_number_stays_one() {
        let table = [
            ("=1+1", "\"'=1+1\""),
            ("+49", "\"'+49\""),
            ("-5", "\"'-5\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'\t'=1\""),
            ("\r=1", "\"'\r'=1\""),
            ("  =1", "\"'  =1\""),
            ("\u{a0}=1", "\"'\u{a0}=1\""),
            ("＝1", "\"'＝1\""),
            ("－1", "\"'－1\""),
            ("a=1", "a=1"),
            ("a;=1", "\"a;'=1\""),
            ("a; \"=1\";b=2;-3", "\"a; \"\"'=1\"\";b=2;'-3\""),
            ("a\t=1\n@b", "\"a\t'=1\n'@b\""),
            ("line\nbreak", "\"line\nbreak\""),
            ("'quoted", "'quoted"),
            (" blank", "\" blank\""),
            ("", ""),
        ];
        for (text, cell) in table {
            let mut out = Vec::new();
            write_text(&mut out, text);
            assert_eq!(String::from_utf8(out).unwrap(), cell, "{text:?}");
        }
        let mut out = Vec::new();
        let number = RawValue::from_string("-250.05".to_owned()).unwrap();
        write_cell(&mut out, Some(&number));
        assert_eq!(out, b"-250.05");
    }
}
