//! Query strings in the published bracket form: `where[0][0]=status&where[0][1]==&where[0][2]=1`, percent-encoded or
//! not (API.md section 6). Nothing is ever ignored: an unknown parameter is refused by its name, because a filter that is
//! dropped shows every row.

use std::borrow::Cow;
use std::collections::BTreeMap;

use cashier_core::filter::LIST_VALUES_MAX;
use cashier_core::ids::{ID_MAX, Login};
use cashier_core::refusal::Refusal;
use percent_encoding::percent_decode_str;

use crate::wire::filter::{Node, Parameters};
use crate::wire::read::shown;

/// Pairs of one query: every list value that the filter allows, and a margin for conditions, order and limits.
const PAIRS_MAX: usize = LIST_VALUES_MAX + 500;

/// Brackets behind one name: `whereIn[0][1][2]` is the deepest published form.
const DEPTH_MAX: usize = 3;

/// Reads the raw query of a request: the text after the `?`.
pub(super) fn parse(raw: &str) -> Result<Parameters, Refusal> {
    let mut parameters = BTreeMap::new();
    for (count, pair) in raw.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        if count >= PAIRS_MAX {
            return Err(Refusal::invalid(format!("the query has more than {PAIRS_MAX} parameters")));
        }
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (decoded(key, key)?, decoded(value, key)?);
        let (name, indexes) = name_and_indexes(&key)?;
        put(&mut parameters, name, &indexes, value.into_owned())
            .map_err(|why| Refusal::invalid(format!("{} {why}", shown(&key))))?;
    }
    Ok(Parameters(parameters))
}

/// The `login` parameter, which must be an id where it is given.
pub(super) fn login(parameters: &mut Parameters) -> Result<Option<Login>, Refusal> {
    let Some(text) = parameters.take("login")? else { return Ok(None) };
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let login = if plain { text.parse().ok() } else { None };
    let login = login.filter(|login| (1..=ID_MAX).contains(login));
    login.map(|login| Some(Login(login))).ok_or_else(|| Refusal::invalid("login must be the number of an account"))
}

/// Percent-decodes, with `+` for a space as browsers write forms.
fn decoded<'a>(text: &'a str, key: &str) -> Result<Cow<'a, str>, Refusal> {
    let wrong = || Refusal::invalid(format!("{} is not percent-encoded UTF-8", shown(key)));
    if !text.contains('+') {
        return percent_decode_str(text).decode_utf8().map_err(|_| wrong());
    }
    let text = text.replace('+', " ");
    let decoded = percent_decode_str(&text).decode_utf8().map_err(|_| wrong())?;
    Ok(Cow::Owned(decoded.into_owned()))
}

/// Splits `name[0][1]` into its name and indexes.
fn name_and_indexes(key: &str) -> Result<(&str, Vec<u32>), Refusal> {
    let wrong = || Refusal::invalid(format!("{} is not a known parameter", shown(key)));
    let Some((name, brackets)) = key.split_once('[') else { return Ok((key, Vec::new())) };
    let brackets = brackets.strip_suffix(']').ok_or_else(wrong)?;
    let read = |index: &str| index.bytes().all(|byte| byte.is_ascii_digit()).then(|| index.parse().ok()).flatten();
    let indexes: Option<Vec<u32>> = brackets.split("][").map(read).take(DEPTH_MAX + 1).collect();
    let indexes = indexes.filter(|indexes| indexes.len() <= DEPTH_MAX).ok_or_else(wrong)?;
    Ok((name, indexes))
}

fn put(
    parameters: &mut BTreeMap<String, Node>,
    name: &str,
    indexes: &[u32],
    value: String,
) -> Result<(), &'static str> {
    const TWICE: &str = "is given twice";
    let Some((last, parents)) = indexes.split_last() else {
        let earlier = parameters.insert(name.to_owned(), Node::Text(value));
        return earlier.map_or(Ok(()), |_| Err(TWICE));
    };
    let empty = || Node::List(BTreeMap::new());
    let mut node = parameters.entry(name.to_owned()).or_insert_with(empty);
    for index in parents {
        let Node::List(inner) = node else { return Err(TWICE) };
        node = inner.entry(*index).or_insert_with(empty);
    }
    let Node::List(inner) = node else { return Err(TWICE) };
    inner.insert(*last, Node::Text(value)).map_or(Ok(()), |_| Err(TWICE))
}

#[cfg(test)]
mod tests {
    use cashier_core::filter::{Filter, TransactionField};
    use proptest::prelude::*;

    use super::*;

    fn read(raw: &str) -> Result<Filter<TransactionField>, Refusal> {
        parse(raw)?.into_filter()
    }

    /// The published request without the parameters that do not filter.
    const PUBLISHED: &str = "where[0][0]=status&where[0][1]==&where[0][2]=1&orderBy[0][0]=created_time&orderBy[0][1]=desc&limit=50&offset=0";

    #[test]
    fn the_published_form_reads_the_same_raw_percent_encoded_and_as_json() {
        let expected = Parameters::from_json(
            br#"{"where":[["status","=",1]],"orderBy":[["created_time","desc"]],"limit":50,"offset":0}"#,
        );
        let expected = expected.unwrap().into_filter::<TransactionField>().unwrap();
        assert_eq!(expected.conditions().len(), 1);
        let upper = PUBLISHED.replace('[', "%5B").replace(']', "%5D").replace("==", "=%3D");
        for raw in [PUBLISHED, &upper, &upper.to_lowercase().replace("orderby", "orderBy"), &format!("&{PUBLISHED}&&")]
        {
            assert_eq!(read(raw).unwrap(), expected, "{raw}");
        }
        let lists = "whereIn[0][0]=status&whereIn[0][1][0]=1&whereIn[0][1][1]=2&whereBetween[3][0]=id&whereBetween[3][1][0]=1&whereBetween[3][1][1]=9&orderBy[0]=id&orderBy[1]=ASC";
        let json = br#"{"whereIn":[["status",[1,2]]],"whereBetween":[["id",[1,9]]],"orderBy":["id","ASC"]}"#;
        assert_eq!(read(lists).unwrap(), Parameters::from_json(json).unwrap().into_filter().unwrap());
        let like = "where[0][0]=provider&where[0][1]=like&where[0][2]=str%25+x";
        assert_eq!(
            read(like).unwrap(),
            Parameters::from_json(br#"{"where":[["provider","like","str% x"]]}"#).unwrap().into_filter().unwrap()
        );
    }

    #[test]
    fn an_unknown_or_repeated_parameter_is_refused_by_name() {
        let many = (0..1501).map(|n| format!("whereIn[0][1][{n}]=1")).collect::<Vec<_>>().join("&");
        let table = [
            ("color=red", "color is not a known parameter"),
            ("wher%65x[0][0]=status", "wherex is not a known parameter"),
            ("where[0][0=status", "where[0][0 is not a known parameter"),
            ("where[][0]=status", "where[][0] is not a known parameter"),
            ("where[a][0]=status", "where[a][0] is not a known parameter"),
            ("where[+0][0]=status", "where[ 0][0] is not a known parameter"),
            ("where[99999999999]=1", "where[99999999999] is not a known parameter"),
            ("where[0][0][0][0]=status", "where[0][0][0][0] is not a known parameter"),
            ("limit=1&limit=2", "limit is given twice"),
            ("where[0][0]=id&where[0][0]=id", "where[0][0] is given twice"),
            ("where[0]=id&where[0][0]=id", "where[0][0] is given twice"),
            ("limit=%ff", "limit is not percent-encoded UTF-8"),
            ("limit", "limit \"\" is not within 1..50000"),
            (&many, "the query has more than 1500 parameters"),
        ];
        for (raw, expected) in table {
            assert_eq!(read(raw).unwrap_err().message, expected, "{raw}");
        }
        assert_eq!(read("").unwrap(), Filter::default());
    }

    proptest! {
        #[test]
        fn every_pair_of_an_accepted_query_is_read(raw in "[a-z0-9=&\\[\\]%+.]{0,60}") {
            if let Ok(parameters) = parse(&raw) {
                let pairs = raw.split('&').filter(|pair| !pair.is_empty()).count();
                prop_assert_eq!(count(&Node::List((0..).zip(parameters.0.into_values()).collect())), pairs);
            }
        }
    }

    fn count(node: &Node) -> usize {
        match node {
            Node::Text(_) => 1,
            Node::List(inner) => inner.values().map(count).sum(),
        }
    }
}
