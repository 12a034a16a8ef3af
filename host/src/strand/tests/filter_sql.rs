//! Filters as SQL find what the core finds in memory: the same rows, order and count, whatever the filter and the texts.

use cashier_core::filter::{Clause, Field, Filter, FilterBuilder, FilterRow, FilterValue, Kind};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use rusqlite::{Connection, params_from_iter};

use super::super::filter_sql::{self, FieldColumns};

/// The fields of a table whose column for `group` is named otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NoteField {
    Id,
    Name,
    Group,
    Number,
    Created,
}

impl Field for NoteField {
    const ALL: &'static [Self] = &[Self::Id, Self::Name, Self::Group, Self::Number, Self::Created];
    const ID: Self = Self::Id;
    const CREATED: Self = Self::Created;

    fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Name => "name",
            Self::Group => "group",
            Self::Number => "number",
            Self::Created => "created_time",
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::Name | Self::Group => Kind::Text,
            Self::Id | Self::Number | Self::Created => Kind::Int,
        }
    }
}

/// Most notes have the number 1 and no group.
const COLUMNS: FieldColumns<NoteField> = FieldColumns {
    name: column,
    usual: |field| match field {
        NoteField::Number => Some(FilterValue::Int(1)),
        NoteField::Group => Some(FilterValue::Text("")),
        NoteField::Id | NoteField::Name | NoteField::Created => None,
    },
};

fn column(field: NoteField) -> &'static str {
    match field {
        NoteField::Group => "in_group",
        named => named.name(),
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Note {
    id: i64,
    name: String,
    group: String,
    number: i64,
    created: i64,
}

impl FilterRow<NoteField> for Note {
    fn value(&self, field: NoteField) -> FilterValue<'_> {
        match field {
            NoteField::Id => FilterValue::Int(self.id),
            NoteField::Name => FilterValue::Text(&self.name),
            NoteField::Group => FilterValue::Text(&self.group),
            NoteField::Number => FilterValue::Int(self.number),
            NoteField::Created => FilterValue::Int(self.created),
        }
    }
}

fn stored(notes: &[Note]) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection
        .execute_batch(
            "CREATE TABLE note (id INTEGER PRIMARY KEY, name TEXT NOT NULL, in_group TEXT NOT NULL,
               number INTEGER NOT NULL, created_time INTEGER NOT NULL) STRICT;
             CREATE INDEX note_by_name ON note (name);",
        )
        .unwrap();
    filter_sql::prepare(&connection).unwrap();
    for note in notes {
        let values = (note.id, &note.name, &note.group, note.number, note.created);
        connection.execute("INSERT INTO note VALUES (?,?,?,?,?)", values).unwrap();
    }
    connection
}

fn found(connection: &Connection, filter: &Filter<NoteField>) -> (Vec<i64>, u64) {
    let mut parameters = Vec::new();
    let conditions = filter_sql::conditions(filter, &COLUMNS, &mut parameters);
    let sql = format!("SELECT count(*) FROM note WHERE {conditions}");
    let count: i64 = connection.query_row(&sql, params_from_iter(&parameters), |row| row.get(0)).unwrap();
    let order = filter_sql::order(filter, &COLUMNS);
    let page = filter_sql::page(filter, &mut parameters);
    let sql = format!("SELECT id FROM note WHERE {conditions} ORDER BY {order} {page}");
    let mut statement = connection.prepare(&sql).unwrap();
    let rows = statement.query_map(params_from_iter(&parameters), |row| row.get(0)).unwrap();
    (rows.map(Result::unwrap).collect(), count.cast_unsigned())
}

/// Letters of both cases, what SQLite's own operators take for wildcards, the ends of the ranges of characters, a NUL.
const CHARACTERS: &[char] = &[
    'a',
    'A',
    'b',
    'ä',
    '%',
    '_',
    '*',
    '?',
    '[',
    ']',
    '\\',
    '\'',
    '\0',
    '\u{d7ff}',
    '\u{e000}',
    '\u{10fffe}',
    char::MAX,
];

fn text() -> impl Strategy<Value = String> {
    vec(select(CHARACTERS), 0..4).prop_map(|characters| characters.into_iter().collect())
}

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![8 => -2_i64..3, 1 => Just(i64::MIN), 1 => Just(i64::MAX)]
}

fn notes() -> impl Strategy<Value = Vec<Note>> {
    let values = (text(), text(), number(), 0_i64..3);
    vec(values, 0..24).prop_map(|rows| {
        let row = |(id, (name, group, number, created))| Note { id, name, group, number, created };
        (1_i64..).zip(rows).map(row).collect()
    })
}

/// Adds one condition, of any kind that the field may have.
fn add(builder: &mut FilterBuilder<NoteField>, field: NoteField, kind: usize, values: &[(String, i64)]) {
    let values: Vec<String> = values
        .iter()
        .map(|(text, number)| match field.kind() {
            Kind::Text => text.clone(),
            Kind::Int | Kind::Decimal => number.to_string(),
        })
        .collect();
    let (name, first) = (field.name(), values.first().cloned().unwrap_or_else(|| "0".to_owned()));
    let second = values.get(1).cloned().unwrap_or_else(|| first.clone());
    let added = match kind {
        0..=6 => {
            let operator = ["=", "==", "!=", ">", ">=", "<", "<="][kind];
            builder.flat(Clause::Where, &[name, operator, &first])
        }
        7 => builder.flat(Clause::WhereNot, &[name, &first]),
        8 => builder.listed(Clause::WhereIn, name, &values),
        9 => builder.listed(Clause::WhereNotIn, name, &values),
        10 => builder.listed(Clause::WhereBetween, name, &[first, second]),
        11 => builder.listed(Clause::WhereNotBetween, name, &[first, second]),
        _ if field.kind() == Kind::Text => builder.flat(Clause::Where, &[name, "like", &first]),
        _ => Ok(()),
    };
    added.unwrap();
}

type DrawnCondition = (NoteField, usize, Vec<(String, i64)>);

fn filter() -> impl Strategy<Value = Filter<NoteField>> {
    let condition = (select(NoteField::ALL), 0_usize..14, vec((text(), number()), 0..4));
    let key = (select(NoteField::ALL), any::<bool>());
    let page = (1_usize..12, prop_oneof![3 => Just(0_u64), 1 => 0_u64..20]);
    (vec(condition, 0..4), vec(key, 0..3), page).prop_map(
        |(conditions, keys, (limit, offset)): (Vec<DrawnCondition>, Vec<(NoteField, bool)>, _)| {
            let mut builder = FilterBuilder::new();
            for (field, kind, values) in conditions {
                add(&mut builder, field, kind, &values);
            }
            for (field, ascending) in keys {
                builder.order_by(field.name(), if ascending { "asc" } else { "desc" }).unwrap();
            }
            builder.limit(&limit.to_string()).unwrap();
            builder.offset(&offset.to_string()).unwrap();
            builder.build()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn f1_a_filter_as_sql_gives_the_rows_the_order_and_the_count_that_it_gives_in_memory(
        notes in notes(),
        filters in vec(filter(), 1..8),
    ) {
        let connection = stored(&notes);
        for filter in filters {
            let expected = filter.page(&notes);
            let ids: Vec<i64> = expected.rows.iter().map(|note| note.id).collect();
            prop_assert_eq!(found(&connection, &filter), (ids, expected.count), "{:?}", filter);
        }
    }
}

#[test]
fn f1_no_constant_of_a_filter_becomes_part_of_a_statement() {
    let hostile = "x' OR 1=1; DROP TABLE note; --";
    let mut builder = FilterBuilder::<NoteField>::new();
    builder.flat(Clause::Where, &["name", "=", hostile]).unwrap();
    builder.flat(Clause::Where, &["group", "like", hostile]).unwrap();
    builder.listed(Clause::WhereNotIn, "name", &[hostile, "y"]).unwrap();
    let (filter, mut parameters) = (builder.build(), Vec::new());
    let conditions = filter_sql::conditions(&filter, &COLUMNS, &mut parameters);
    // The text that most rows have is of the table and not of the filter.
    let expected = "name = ? AND in_group <> '' AND in_group >= ? AND in_group < ? \
                    AND matches_pattern(in_group, ?) AND NOT (name IN (?,?))";
    assert_eq!((conditions.as_str(), parameters.len()), (expected, 6));
    assert_eq!(found(&stored(&[]), &filter), (Vec::new(), 0));
}

#[test]
fn f1_what_a_pattern_begins_with_is_found_by_an_index() {
    let connection = stored(&[]);
    let plan = |pattern: &str| {
        let mut builder = FilterBuilder::<NoteField>::new();
        builder.flat(Clause::Where, &["name", "like", pattern]).unwrap();
        let mut parameters = Vec::new();
        let conditions = filter_sql::conditions(&builder.build(), &COLUMNS, &mut parameters);
        let sql = format!("EXPLAIN QUERY PLAN SELECT id FROM note WHERE {conditions}");
        connection.query_row(&sql, params_from_iter(&parameters), |row| row.get::<_, String>(3)).unwrap()
    };
    assert!(plan("pi_1%").contains("note_by_name (name>? AND name<?)"), "{}", plan("pi_1%"));
    assert!(!plan("%pi_1").contains("name>?"));
}

#[test]
fn i10_a_pattern_is_asked_about_the_rows_alone_that_begin_as_it_does() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    let note = |id: i64| Note {
        id,
        name: String::new(),
        group: if id % 100 == 0 { "refused: one".to_owned() } else { "saved".to_owned() },
        number: 0,
        created: id,
    };
    let connection = stored(&(1..=1_000).map(note).collect::<Vec<_>>());
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let flags =
        rusqlite::functions::FunctionFlags::SQLITE_UTF8 | rusqlite::functions::FunctionFlags::SQLITE_DETERMINISTIC;
    let counted = connection.create_scalar_function("matches_pattern", 2, flags, move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    });
    counted.unwrap();
    let mut builder = FilterBuilder::<NoteField>::new();
    // No index has this column.
    builder.flat(Clause::Where, &["group", "like", "refused%"]).unwrap();
    let mut parameters = Vec::new();
    let conditions = filter_sql::conditions(&builder.build(), &COLUMNS, &mut parameters);
    let sql = format!("SELECT count(*) FROM note WHERE {conditions}");
    let found: i64 = connection.query_row(&sql, params_from_iter(&parameters), |row| row.get(0)).unwrap();
    assert_eq!((found, asked.load(Ordering::Relaxed)), (10, 10));
}
