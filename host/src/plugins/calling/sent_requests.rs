//! What is noted of each request of an exchange for the log of calls to providers: method, host, time, status and how it ended.
//! Never a path, a query, a header or a body.

use std::time::Duration;

use cashier_core::provider_call::{CallOutcome, CallPurpose, ProviderCall};
use cashier_core::time::UnixTime;
use url::{Position, Url};

use super::call_failures::HostFailure;
use super::convert::SecretMasks;
use crate::plugins::egress::port::{HttpReply, HttpRequest, SendError};

/// The longest name of a host that DNS has, with a port.
const HOST_LENGTH_MAX: usize = 261;

/// A request that a module asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RequestLine {
    at: UnixTime,
    method: &'static str,
    host: String,
}

/// The same with how it ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SentRequest {
    line: RequestLine,
    status: u16,
    took: Duration,
    outcome: CallOutcome,
}

impl RequestLine {
    pub(super) fn of(request: &HttpRequest, at: UnixTime) -> Self {
        let host = |url: Url| url[Position::BeforeHost..Position::AfterPort].to_owned();
        let host = Url::parse(&request.url).map(host).unwrap_or_default();
        Self { at, method: request.method.as_str(), host }
    }

    /// Its end, when it was handed to the network and may take `within`.
    pub(super) fn ended(self, reply: &Result<HttpReply, SendError>, took: Duration, within: Duration) -> SentRequest {
        let (status, outcome) = match reply {
            Ok(reply) => (reply.status, CallOutcome::Answered),
            Err(SendError::Refused(_)) => (0, CallOutcome::Refused),
            Err(SendError::NeverSent(_)) => (0, CallOutcome::NeverSent),
            Err(SendError::Unknown(_)) if took >= within => (0, CallOutcome::TimedOut),
            Err(SendError::Unknown(_)) => (0, CallOutcome::NoAnswer),
        };
        SentRequest { line: self, status, took, outcome }
    }

    /// Its end, when it did not reach the network.
    pub(super) fn held_back(self, failure: &HostFailure) -> SentRequest {
        let outcome = match failure {
            HostFailure::RequestForbidden | HostFailure::MoneyForbidden | HostFailure::TooManySteps(_) => {
                CallOutcome::Refused
            }
            HostFailure::Call(_)
            | HostFailure::Overloaded
            | HostFailure::CircuitOpen
            | HostFailure::NotSent(_)
            | HostFailure::NoReply(_)
            | HostFailure::TimedOut => CallOutcome::NeverSent,
        };
        SentRequest { line: self, status: 0, took: Duration::ZERO, outcome }
    }
}

/// The requests of an exchange as they are logged. A secret that a module put into the name of a host is masked.
pub(super) fn logged(requests: &[SentRequest], purpose: CallPurpose, masks: &SecretMasks) -> Vec<ProviderCall> {
    let call = |sent: &SentRequest| ProviderCall {
        at: sent.line.at,
        purpose,
        method: sent.line.method.into(),
        host: masks.text(&sent.line.host, HOST_LENGTH_MAX),
        status: sent.status,
        duration_ms: u32::try_from(sent.took.as_millis()).unwrap_or(u32::MAX),
        outcome: sent.outcome,
    };
    requests.iter().map(call).collect()
}

#[cfg(test)]
mod tests {
    use cashier_provider_sdk::{Descriptor, ProviderConfig};

    use super::*;

    #[test]
    fn a_logged_request_has_no_part_of_its_url_but_the_host() {
        let url = "https://CANARYuser:CANARYword@api.example.test:8443/v1/CANARYpath?key=CANARYquery#CANARYmark";
        let request = HttpRequest::get(url);
        let sent = RequestLine::of(&request, UnixTime(1)).held_back(&HostFailure::TimedOut);
        let masks = SecretMasks::of(&ProviderConfig::default(), &Descriptor::default());
        let calls = logged(&[sent], CallPurpose::Query, &masks);
        assert_eq!(&*calls[0].host, "api.example.test:8443");
        assert!(!format!("{calls:?}").contains("CANARY"), "{calls:?}");
    }
}
