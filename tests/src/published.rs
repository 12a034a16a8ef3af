//! Compares an answer with a published example: every field that the page shows, its value as written, and the order.
//! Fields added later may stand between them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Asserts that `answer` shows everything of `example`: the same fields in the same order, each value written the same.
#[track_caller]
pub fn shows(answer: &str, example: &str) {
    if let Err(difference) = compare("", answer, example) {
        panic!("{difference}\nanswered {answer}");
    }
}

fn compare(place: &str, answer: &str, example: &str) -> Result<(), String> {
    match (read_object(answer), read_object(example)) {
        (Some(answered), Some(published)) => compare_objects(place, &answered, &published),
        _ => match (read_array(answer), read_array(example)) {
            (Some(answered), Some(published)) if answered.len() == published.len() => (answered.iter())
                .zip(&published)
                .enumerate()
                .try_for_each(|(at, (one, other))| compare(&format!("{place}[{at}]"), one.get(), other.get())),
            (Some(answered), Some(published)) => {
                Err(format!("{place} has {} entries, the page shows {}", answered.len(), published.len()))
            }
            _ if answer.trim() == example.trim() => Ok(()),
            _ => Err(format!("{place} is {answer}, the page shows {example}")),
        },
    }
}

fn compare_objects(place: &str, answered: &JsonPairs, published: &JsonPairs) -> Result<(), String> {
    let names: Vec<&str> = published.0.iter().map(|(name, _)| &**name).collect();
    let order: Vec<&str> = answered.0.iter().map(|(name, _)| &**name).filter(|name| names.contains(name)).collect();
    if order != names {
        return Err(format!("{place} has its fields as {order:?}, the page as {names:?}"));
    }
    published.0.iter().try_for_each(|(name, value)| {
        let own = answered.0.iter().find(|(known, _)| known == name).map_or("", |(_, own)| own.get());
        compare(&format!("{place}.{name}"), own, value.get())
    })
}

fn read_object(text: &str) -> Option<JsonPairs> {
    serde_json::from_str(text).ok()
}

fn read_array(text: &str) -> Option<Vec<Box<RawValue>>> {
    text.trim_start().starts_with('[').then(|| serde_json::from_str(text).ok()).flatten()
}

/// An object's members as written.
struct JsonPairs(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for JsonPairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = JsonPairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonPairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(JsonPairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_named_by_its_place() {
        let example = r#"{"rows":[{"id":15,"amount":250.0}],"count":1}"#;
        let table = [
            (r#"{"rows":[{"id":15,"later":1,"amount":250.0}],"count":1}"#, ""),
            (r#"{"rows":[{"amount":250.0,"id":15}],"count":1}"#, r#".rows[0] has its fields as ["amount", "id"]"#),
            (r#"{"rows":[{"id":15,"amount":250}],"count":1}"#, ".rows[0].amount is 250, the page shows 250.0"),
            (r#"{"rows":[],"count":1}"#, ".rows has 0 entries"),
            (r#"{"rows":[{"id":15,"amount":250.0}]}"#, r#" has its fields as ["rows"]"#),
        ];
        for (answer, expected) in table {
            let difference = compare("", answer, example).err().unwrap_or_default();
            assert!(difference.starts_with(expected) && difference.is_empty() == expected.is_empty(), "{difference}");
        }
    }
}
