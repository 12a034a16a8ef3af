//! The `Date` of a reply, in the one form that HTTP lets servers send (RFC 9110, section 5.6.7): `Sun, 06 Nov 1994 08:49:37
//! GMT`. Any other text is none. It does not judge clocks.

use url::{Host, Url};

use super::port::{HttpReply, SendError};
use crate::ports::Clock;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The host of a request whose reply can witness the time: over TLS and named, because a peer that is reached otherwise is
/// probably on this machine or network and shares its clock.
pub(in crate::plugins) fn witness(url: &str) -> Option<String> {
    let url = Url::parse(url).ok().filter(|url| url.scheme() == "https")?;
    match url.host() {
        Some(Host::Domain(name)) if name != "localhost" => Some(name.to_owned()),
        Some(Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_)) | None => None,
    }
}

/// Lets the clock compare itself with when the witness says that it replied.
pub(in crate::plugins) fn compare(clock: &dyn Clock, witness: Option<String>, reply: &Result<HttpReply, SendError>) {
    let date = reply.as_ref().ok().and_then(|reply| reply.header("date")).and_then(unix_seconds);
    if let Some((host, date)) = witness.zip(date) {
        clock.peer_stated(&host, date);
    }
}

/// Unix seconds of an HTTP date.
fn unix_seconds(text: &str) -> Option<i64> {
    let (_, rest) = text.split_once(", ")?;
    let mut words = rest.split(' ');
    let (day, month, year) = (number(words.next()?)?, words.next()?, number(words.next()?)?);
    let mut clock = words.next()?.split(':').map(number);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let gmt = words.next() == Some("GMT") && words.next().is_none() && clock.next().is_none();
    let month = i64::try_from(MONTHS.iter().position(|known| *known == month)?).ok()?;
    let fits = (1..=31).contains(&day) && (1970..=9999).contains(&year) && hour < 24 && minute < 60 && second <= 60;
    (gmt && fits).then(|| ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
}

fn number(digits: &str) -> Option<i64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// Days since 1970-01-01 in the Gregorian calendar; the year is counted from March, so that a leap day ends it.
fn days(year: i64, month_from_zero: i64, day: i64) -> i64 {
    let from_march = (month_from_zero + 10) % 12;
    let year = if month_from_zero < 2 { year - 1 } else { year };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * from_march + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_host_over_tls_is_a_witness() {
        assert_eq!(witness("https://api.example.com:8443/v1?x").as_deref(), Some("api.example.com"));
        for other in ["http://api.example.com/", "https://localhost/", "https://10.1.2.3/", "https://[::1]/", "no URL"]
        {
            assert_eq!(witness(other), None, "{other}");
        }
    }

    #[test]
    fn dates_of_replies_are_read() {
        let table = [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Tue, 29 Feb 2000 23:59:60 GMT", Some(951_868_800)),
            ("Sat, 28 Nov 2026 22:47:28 GMT", Some(1_795_906_048)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("Sun Nov  6 08:49:37 1994", None),
            ("Sun, 06 Nov 1994 08:49:37 UTC", None),
            ("Sun, 06 Nov 1994 24:00:00 GMT", None),
            ("Sun, 6 Nov 99999999999999999999 08:49:37 GMT", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(unix_seconds(text), expected, "{text}");
        }
    }
}
