//! Variants of a JSON value for the checks: the same value with its keys in reverse order, and every value that differs
//! from it at one position.

use serde_json::{Value, json};

/// Compact JSON with the keys of every object in descending order.
pub(crate) fn reversed(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.iter().collect();
            keys.sort_by(|(one, _), (other, _)| other.cmp(one));
            let fields: Vec<String> =
                keys.into_iter().map(|(key, value)| format!("{}:{}", json!(key), reversed(value))).collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(reversed).collect();
            format!("[{}]", items.join(","))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

/// Every value that results from replacing one node of `value` or removing one of its fields.
pub(crate) fn mutations(value: &Value) -> Vec<Value> {
    let mut mutations = Vec::new();
    for path in paths(value) {
        for other in replacements() {
            let mut copy = value.clone();
            if let Some(node) = copy.pointer_mut(&path) {
                *node = other;
                mutations.push(copy);
            }
        }
        if let Some((parent, key)) = path.rsplit_once('/') {
            let mut copy = value.clone();
            if let Some(Value::Object(map)) = copy.pointer_mut(parent) {
                map.remove(&key.replace("~1", "/").replace("~0", "~"));
                mutations.push(copy);
            }
        }
    }
    mutations
}

/// Values that break a parser which trusts its input.
fn replacements() -> Vec<Value> {
    let numbers = ["0", "-1", "0.001", "99999999999999999999999999", "1e400"];
    let mut values = vec![
        Value::Null,
        json!(true),
        json!(""),
        json!("☂"),
        json!("-"),
        json!([]),
        json!([null]),
        json!({}),
        json!({"id": 1}),
    ];
    values.extend(numbers.iter().filter_map(|number| serde_json::from_str(number).ok()));
    values
}

/// The JSON pointers of all nodes, the root first.
fn paths(value: &Value) -> Vec<String> {
    let mut found = vec![String::new()];
    let children: Vec<(String, &Value)> = match value {
        Value::Object(map) => {
            map.iter().map(|(key, child)| (key.replace('~', "~0").replace('/', "~1"), child)).collect()
        }
        Value::Array(items) => items.iter().enumerate().map(|(at, child)| (at.to_string(), child)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for (key, child) in children {
        found.extend(paths(child).into_iter().map(|rest| format!("/{key}{rest}")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_in_reverse_order() {
        let value = json!({"a": {"b": 1, "c": [2, {"d": 3, "e": null}]}, "f": "x"});
        assert_eq!(reversed(&value), r#"{"f":"x","a":{"c":[2,{"e":null,"d":3}],"b":1}}"#);
    }

    #[test]
    fn every_node_is_replaced_and_every_field_removed() {
        let value = json!({"a/b": [1]});
        assert_eq!(paths(&value), ["", "/a~1b", "/a~1b/0"]);
        let mutations = mutations(&value);
        assert!(mutations.contains(&json!({})), "removed");
        assert!(mutations.contains(&json!({"a/b": [null]})));
        assert!(mutations.contains(&json!({"a/b": true})));
        assert!(mutations.contains(&Value::Null));
    }
}
