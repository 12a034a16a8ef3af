//! The filter language on the wire (API.md section 6): both published forms, query string and JSON, become one small
//! tree of texts, and one reader hands that tree to the core's filter piece by piece. It reads no value itself; the
//! core does, by the field's type.

use std::collections::BTreeMap;

use cashier_core::filter::{CSV_ROWS_MAX, Clause, Field, Filter, FilterBuilder, LIMIT_MAX, OFFSET_MAX};
use cashier_core::refusal::Refusal;
use serde_json::Value;

use crate::json_object::schema::{either, kind, list, object, one_of, tuple, with};
use crate::json_object::{Schema, shown};
use crate::wire::read::parse;

/// A parameter's value: a text, or a list by its indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    Text(String),
    List(BTreeMap<u32, Node>),
}

/// The parameters of a list request, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters(pub BTreeMap<String, Node>);

impl Parameters {
    /// The JSON form: arrays are arrays, values are strings or numbers.
    pub fn from_json(json: &[u8]) -> Result<Self, Refusal> {
        let mut parameters = BTreeMap::new();
        for (name, raw) in parse(json, "data")?.0 {
            let value: Value = serde_json::from_str(raw.get()).map_err(|_| unreadable(&name))?;
            if !value.is_null() {
                parameters.insert(name.clone(), node_of(value).ok_or_else(|| unreadable(&name))?);
            }
        }
        Ok(Self(parameters))
    }

    /// Takes a parameter that is no part of the filter language.
    pub fn take(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Node::Text(text)) => Ok(Some(text)),
            Some(Node::List(_)) => Err(Refusal::invalid(format!("{name} must be a single value"))),
        }
    }

    /// Refuses a parameter that was not taken.
    pub fn finish(&self) -> Result<(), Refusal> {
        match self.0.keys().next() {
            Some(unknown) => Err(Refusal::invalid(format!("{} is not a known parameter", shown(unknown)))),
            None => Ok(()),
        }
    }

    /// The filter of the remaining parameters. Any other parameter is refused by its name.
    pub fn into_filter<F: Field>(self) -> Result<Filter<F>, Refusal> {
        self.into_filter_on(FilterBuilder::new())
    }

    /// The same on top of conditions that the endpoint itself sets.
    pub fn into_filter_on<F: Field>(mut self, mut builder: FilterBuilder<F>) -> Result<Filter<F>, Refusal> {
        if let Some(limit) = self.take("limit")? {
            builder.limit(&limit)?;
        }
        Ok(self.read_on(builder)?.build())
    }

    /// An export's filter in the making: its limit is that of all its pages together.
    pub fn into_export_on<F: Field>(mut self, builder: FilterBuilder<F>) -> Result<FilterBuilder<F>, Refusal> {
        if let Some(limit) = self.take("limit")? {
            FilterBuilder::<F>::export_limit(&limit)?;
        }
        self.read_on(builder)
    }

    /// How many rows are asked for, where that is a number.
    pub fn limit(&self) -> Option<u64> {
        match self.0.get("limit") {
            Some(Node::Text(text)) => text.parse().ok(),
            Some(Node::List(_)) | None => None,
        }
    }

    /// Everything but the limit.
    fn read_on<F: Field>(mut self, mut builder: FilterBuilder<F>) -> Result<FilterBuilder<F>, Refusal> {
        if let Some(offset) = self.take("offset")? {
            builder.offset(&offset)?;
        }
        for clause in Clause::ALL {
            if let Some(node) = self.0.remove(clause.name()) {
                read_clause(&mut builder, *clause, node)?;
            }
        }
        if let Some(node) = self.0.remove("orderBy") {
            read_order(&mut builder, &node)?;
        }
        self.finish()?;
        Ok(builder)
    }
}

/// The operators of `where`.
pub const OPERATORS: [&str; 8] = ["=", "==", "!=", ">", "<", ">=", "<=", "like"];

/// The JSON form as a schema, with the fields by which a manager may filter one table. As CSV he gets more rows than on a page.
pub fn schema<F: Field>() -> Schema {
    let rows = "rows of the page; 100 by default, and up to 50000 unless the answer is wanted as CSV";
    described(F::ALL, CSV_ROWS_MAX, rows)
}

/// The same for those who may name these fields alone.
pub fn schema_of<F: Field>(fields: &[F]) -> Schema {
    described(fields, LIMIT_MAX as u64, "rows of the page; 100 by default")
}

fn described<F: Field>(fields: &[F], limit_max: u64, rows: &str) -> Schema {
    let field = one_of(fields.iter().map(|field| field.name()));
    let value = with("{}", "type", ["string", "number"]);
    let clause = |clause: &Clause| {
        let (test, text) = match clause {
            Clause::Where => (vec![one_of(OPERATORS), value.clone()], "the field compares so"),
            Clause::WhereNot => (vec![value.clone()], "the field has another value"),
            Clause::WhereIn => (vec![list(&value)], "the field has one of the values"),
            Clause::WhereNotIn => (vec![list(&value)], "the field has none of the values"),
            Clause::WhereBetween => {
                (vec![tuple(&[value.clone(), value.clone()])], "the field is within, ends included")
            }
            Clause::WhereNotBetween => (vec![tuple(&[value.clone(), value.clone()])], "the field is outside"),
        };
        (clause.name(), list(&tuple(&[vec![field.clone()], test].concat())), text, true)
    };
    let direction = with(&kind("string"), "pattern", "^([aA][sS][cC]|[dD][eE][sS][cC])$");
    let key = tuple(&[field.clone(), direction]);
    let number = |least: u64, most: u64| {
        with(&with(&with("{}", "type", ["integer", "string"]), "minimum", least), "maximum", most)
    };
    let page = [
        ("orderBy", either(&list(&key), &key), "the sort keys; by default the newest first", true),
        ("limit", number(1, limit_max), rows, true),
        ("offset", number(0, OFFSET_MAX), "rows before the page", true),
    ];
    object("Filter", "Conditions that must all hold, an order and a page.", Clause::ALL.iter().map(clause).chain(page))
}

fn read_clause<F: Field>(builder: &mut FilterBuilder<F>, clause: Clause, node: Node) -> Result<(), Refusal> {
    let Node::List(elements) = node else {
        return Err(Refusal::invalid(format!("{} must be a list of conditions", clause.name())));
    };
    for element in elements.values() {
        let parts: Vec<&Node> = match element {
            Node::List(parts) => parts.values().collect(),
            Node::Text(_) => Vec::new(),
        };
        match (parts.as_slice(), texts(&parts)) {
            (_, Some(flat)) => builder.flat(clause, &flat)?,
            ([Node::Text(field), Node::List(values)], None) => match texts(&values.values().collect::<Vec<_>>()) {
                Some(values) => builder.listed(clause, field, &values)?,
                None => builder.flat(clause, &[] as &[&str])?,
            },
            (_, None) => builder.flat(clause, &[] as &[&str])?,
        }
    }
    Ok(())
}

/// `[[field, direction], …]` or flat `[field, direction]`.
fn read_order<F: Field>(builder: &mut FilterBuilder<F>, node: &Node) -> Result<(), Refusal> {
    let wrong =
        || Refusal::invalid("orderBy must be [[field, \"asc\" or \"desc\"], …] or [field, \"asc\" or \"desc\"]");
    let Node::List(elements) = node else { return Err(wrong()) };
    let elements: Vec<&Node> = elements.values().collect();
    if let Some(flat) = texts(&elements).filter(|flat| !flat.is_empty()) {
        let [field, direction] = flat.as_slice() else { return Err(wrong()) };
        return builder.order_by(field, direction);
    }
    for element in elements {
        let Node::List(parts) = element else { return Err(wrong()) };
        let parts = texts(&parts.values().collect::<Vec<_>>());
        let Some([field, direction]) = parts.as_deref() else { return Err(wrong()) };
        builder.order_by(field, direction)?;
    }
    Ok(())
}

/// The nodes as texts, unless one of them is a list.
fn texts<'a>(nodes: &[&'a Node]) -> Option<Vec<&'a str>> {
    let text = |node: &&'a Node| match node {
        Node::Text(text) => Some(text.as_str()),
        Node::List(_) => None,
    };
    nodes.iter().map(text).collect()
}

fn node_of(value: Value) -> Option<Node> {
    match value {
        Value::String(text) => Some(Node::Text(text)),
        Value::Number(number) => Some(Node::Text(number.to_string())),
        Value::Array(items) => {
            let nodes = items.into_iter().map(node_of);
            let places = (0_u32..).zip(nodes).map(|(place, node)| node.map(|node| (place, node)));
            places.collect::<Option<BTreeMap<u32, Node>>>().map(Node::List)
        }
        Value::Null | Value::Bool(_) | Value::Object(_) => None,
    }
}

fn unreadable(name: &str) -> Refusal {
    Refusal::invalid(format!("{} must be built of arrays, strings and numbers", shown(name)))
}

#[cfg(test)]
mod tests {
    use cashier_core::filter::TransactionField;

    use super::*;

    fn filter(json: &str) -> Result<Filter<TransactionField>, Refusal> {
        Parameters::from_json(json.as_bytes())?.into_filter()
    }

    #[test]
    fn every_clause_of_the_json_form_is_read() {
        let whole = filter(
            r#"{"where":[["status","=",1],["provider","like","str%"]],"whereNot":[["login",7]],"whereIn":[["type",[0,"1"]]],
                "whereNotIn":[["currency",["EUR"]]],"whereBetween":[["created_time",[1,2]]],
                "whereNotBetween":[["id",[5,6]]],"orderBy":[["login","ASC"],["id","desc"]],"limit":50,"offset":"10"}"#,
        );
        let whole = whole.unwrap();
        let fields: Vec<_> = whole.conditions().iter().map(|condition| (condition.field, condition.negated)).collect();
        use TransactionField::*;
        assert_eq!(
            fields,
            [
                (Status, false),
                (Provider, false),
                (Login, true),
                (Type, false),
                (Currency, true),
                (CreatedTime, false),
                (Id, true)
            ]
        );
        assert_eq!((whole.limit(), whole.offset(), whole.order().len()), (50, 10, 2));
        let flat = filter(r#"{"orderBy":["login","ASC"]}"#).unwrap();
        assert_eq!(flat.order(), filter(r#"{"orderBy":[["login","asc"]]}"#).unwrap().order());
        assert_eq!(filter("{}").unwrap(), Filter::default());
        assert_eq!(filter(r#"{"where":[],"orderBy":[],"limit":null}"#).unwrap(), Filter::default());
    }

    #[test]
    fn i10_the_schema_allows_the_limits_that_are_accepted() {
        let most = |schema: Schema| {
            let schema: Value = serde_json::from_str(&schema).unwrap();
            schema["properties"]["limit"]["maximum"].as_u64().unwrap()
        };
        let accepted = |limit: u64| Parameters::from_json(format!(r#"{{"limit":{limit}}}"#).as_bytes()).unwrap();
        let of_managers = most(schema::<TransactionField>());
        let export = |limit| accepted(limit).into_export_on(FilterBuilder::<TransactionField>::new());
        assert_eq!((export(of_managers).is_ok(), export(of_managers + 1).is_ok()), (true, false));
        let of_customers = most(schema_of(TransactionField::PUBLISHED));
        let page = |limit| accepted(limit).into_filter::<TransactionField>();
        assert_eq!((page(of_customers).is_ok(), page(of_customers + 1).is_ok()), (true, false));
    }

    #[test]
    fn an_unknown_or_wrong_parameter_is_refused_by_name() {
        let many = format!(r#"{{"whereIn":[["id",[{}]]]}}"#, vec!["1"; 1001].join(","));
        let table = [
            (r#"{"were":[]}"#, "were is not a known parameter"),
            (r#"{"where":"status"}"#, "where must be a list of conditions"),
            (r#"{"where":["status","=",1]}"#, "where: each element is [field, op, value]"),
            (r#"{"where":[["status","=",[1]]]}"#, "where: each element is [field, op, value]"),
            (r#"{"where":[["status","=",true]]}"#, "where must be built of arrays, strings and numbers"),
            (r#"{"where":[["status","=",null]]}"#, "where must be built of arrays, strings and numbers"),
            (r#"{"where":{"status":1}}"#, "where must be built of arrays, strings and numbers"),
            (r#"{"where":[["stat","=",1]]}"#, "where: field \"stat\" is not known"),
            (r#"{"where":[["status","~",1]]}"#, "where: operator \"~\" is not known"),
            (r#"{"where":[["status","=","one"]]}"#, "status: \"one\" is not a 64-bit integer"),
            (r#"{"where":[["status","=",1.0]]}"#, "status: \"1.0\" is not a 64-bit integer"),
            (r#"{"whereIn":[["status",1]]}"#, "whereIn: each element is [field, [value, …]]"),
            (r#"{"whereIn":[["status",[[1]]]]}"#, "whereIn: each element is [field, [value, …]]"),
            (r#"{"whereBetween":[["id",[1]]]}"#, "whereBetween: each element is [field, [from, to]]"),
            (&many, "whereIn: more than 1000 list values"),
            (r#"{"orderBy":["id"]}"#, "orderBy must be"),
            (r#"{"orderBy":[["id","up"]]}"#, "orderBy: direction \"up\" is neither asc nor desc"),
            (r#"{"limit":0}"#, "limit \"0\" is not within 1..50000"),
            (r#"{"limit":1.5}"#, "limit \"1.5\" is not within 1..50000"),
            (r#"{"limit":[1]}"#, "limit must be a single value"),
            (r#"{"offset":-1}"#, "offset \"-1\" is not a row number"),
        ];
        for (json, expected) in table {
            let message = filter(json).unwrap_err().message;
            assert!(message.starts_with(expected), "{json}: {message}");
        }
    }
}
