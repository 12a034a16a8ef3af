//! The HTTP client as the modules' network: one pool per provider, requests and replies as SDK types.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::http_client::{Egress, EgressError, EgressReply, EgressRequest, EgressRules, HttpClient, NeverSent};
use super::port::{EgressPolicy, HttpReply, HttpRequest, Network, Networks, SendError};

impl Networks for HttpClient {
    fn open(&self, policy: EgressPolicy) -> Result<Arc<dyn Network>, String> {
        Ok(Arc::new(self.pool(EgressRules::read(&policy.hosts, &policy.private)?)))
    }
}

impl Network for Egress {
    fn permits(&self, url: &str) -> Result<(), String> {
        Self::permits(self, url)
    }

    fn send(&self, request: HttpRequest, within: Duration) -> BoxFuture<'static, Result<HttpReply, SendError>> {
        let egress = self.clone();
        async move { Self::send(&egress, outgoing(request), within).await.map(reply).map_err(error) }.boxed()
    }
}

fn outgoing(request: HttpRequest) -> EgressRequest {
    let boxed = |(name, value): (String, String)| (name.into_boxed_str(), value.into_boxed_str());
    EgressRequest {
        method: request.method.as_str().into(),
        url: request.url.into_boxed_str(),
        headers: request.headers.into_iter().map(boxed).collect(),
        body: Bytes::from(request.body),
    }
}

fn reply(reply: EgressReply) -> HttpReply {
    let text = |(name, value): (Box<str>, Box<str>)| (name.into_string(), value.into_string());
    HttpReply {
        status: reply.status,
        headers: reply.headers.into_iter().map(text).collect(),
        body: Vec::from(reply.body),
    }
}

fn error(error: EgressError) -> SendError {
    match error {
        EgressError::NeverSent(why) => match why {
            NeverSent::Refused(_) | NeverSent::Busy => SendError::Refused(why.to_string()),
            NeverSent::Dns(_) | NeverSent::Connect(_) | NeverSent::Tls(_) => SendError::NeverSent(why.to_string()),
        },
        EgressError::Unknown(why) => SendError::Unknown(why.to_string()),
    }
}
