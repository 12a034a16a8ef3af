//! Ways to bend a JSON value: the same value with its keys the other way round, and every value
//! that differs from it in one place.

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

/// Every value that `value` becomes when one node of it is replaced, or one field left out.
pub(crate) fn bent(value: &Value) -> Vec<Value> {
    let mut bent = Vec::new();
    for path in paths(value) {
        for other in replacements() {
            let mut copy = value.clone();
            if let Some(node) = copy.pointer_mut(&path) {
                *node = other;
                bent.push(copy);
            }
        }
        if let Some((parent, key)) = path.rsplit_once('/') {
            let mut copy = value.clone();
            if let Some(Value::Object(map)) = copy.pointer_mut(parent) {
                map.remove(&key.replace("~1", "/").replace("~0", "~"));
                bent.push(copy);
            }
        }
    }
    bent
}

/// Values that upset a reader who trusts what it is sent.
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
    fn keys_come_the_other_way_round() {
        let value = json!({"a": {"b": 1, "c": [2, {"d": 3, "e": null}]}, "f": "x"});
        assert_eq!(reversed(&value), r#"{"f":"x","a":{"c":[2,{"e":null,"d":3}],"b":1}}"#);
    }

    #[test]
    fn every_node_is_replaced_and_every_field_left_out() {
        let value = json!({"a/b": [1]});
        assert_eq!(paths(&value), ["", "/a~1b", "/a~1b/0"]);
        let bent = bent(&value);
        assert!(bent.contains(&json!({})), "left out");
        assert!(bent.contains(&json!({"a/b": [null]})));
        assert!(bent.contains(&json!({"a/b": true})));
        assert!(bent.contains(&Value::Null));
    }
}
