//! The form in which a client wants a list: JSON, or CSV where it prefers that. Nothing is ever 406.

use http::HeaderMap;
use http::header::ACCEPT;

/// Whether the client names `text/csv`, and prefers nothing that is JSON.
pub(super) fn prefers_csv(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let (mut csv, mut json) = (0, 0);
    for range in values.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let weight = weight.map_or(1_000, thousandths);
        match &*kind {
            "text/csv" => csv = csv.max(weight),
            "application/json" => json = json.max(weight),
            _ => {}
        }
    }
    csv > 0 && csv >= json
}

/// `0.5` as 500; what is no weight is 0.
fn thousandths(weight: &str) -> u32 {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    let digits = format!("{whole}{fraction:0<3}");
    digits.parse().ok().filter(|weight| *weight <= 1_000 && fraction.len() <= 3).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn i10_csv_is_sent_to_who_prefers_it_and_json_to_everybody_else() {
        let table = [
            ("text/csv", true),
            ("TEXT/CSV; charset=utf-8", true),
            ("text/csv, */*;q=0.1", true),
            ("text/csv;q=0.5, application/json;q=0.4", true),
            ("application/json, text/csv;q=0.9", false),
            ("text/csv;q=0", false),
            ("text/csv;q=2", false),
            ("*/*", false),
            ("text/*", false),
            ("application/xml", false),
            ("", false),
        ];
        for (accept, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(prefers_csv(&headers), expected, "{accept}");
        }
        assert!(!prefers_csv(&HeaderMap::new()));
    }
}
