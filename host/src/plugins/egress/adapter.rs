//! The HTTP client as the modules' network: one pool per config. It decides nothing about a request or its outcome.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::http_client::{Egress, EgressError, EgressRequest, EgressRules, HttpClient, NeverSent};
use super::port::{EgressPolicy, HttpReply, HttpRequest, Network, Networks, SendError};

impl Networks for HttpClient {
    fn open(&self, policy: EgressPolicy) -> Result<Arc<dyn Network>, String> {
        Ok(Arc::new(self.pool(EgressRules::read(&policy.hosts, &policy.private)?)))
    }
}

impl Network for Egress {
    fn for_config(self: Arc<Self>) -> Arc<dyn Network> {
        Arc::new(self.apart())
    }

    fn permits(&self, url: &str) -> Result<(), String> {
        Self::permits(self, url)
    }

    fn send(&self, request: HttpRequest, within: Duration) -> BoxFuture<'static, Result<HttpReply, SendError>> {
        let HttpRequest { method, url, headers, body, .. } = request;
        let request = EgressRequest { method: method.as_str().to_owned(), url, headers, body: body.into() };
        let egress = self.clone();
        async move { Self::send(&egress, request, within).await.map_err(send_error) }.boxed()
    }
}

fn send_error(error: EgressError) -> SendError {
    match error {
        EgressError::NeverSent(why) => match why {
            NeverSent::Refused(_) | NeverSent::Busy => SendError::Refused(why.to_string()),
            NeverSent::Dns(_) | NeverSent::Connect(_) | NeverSent::Tls(_) => SendError::NeverSent(why.to_string()),
        },
        EgressError::Unknown(why) => SendError::Unknown(why.to_string()),
    }
}
