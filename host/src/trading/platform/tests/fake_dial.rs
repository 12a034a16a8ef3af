//! Connections to the fake platform in memory, which tokio's own time governs.

use std::sync::Arc;

use cashier_fake_platform::{FakePlatform, serve};
use futures_util::future::BoxFuture;
use zeroize::Zeroizing;

use crate::trading::platform::dial::{PlatformDial, PlatformStream};

pub(super) const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.CANARY-TOKEN-CANARY-TOKEN.x";

pub(super) struct FakeDial(pub(super) Arc<FakePlatform>);

impl PlatformDial for FakeDial {
    fn dial(&self) -> BoxFuture<'static, Result<Box<dyn PlatformStream>, String>> {
        let fake = Arc::clone(&self.0);
        Box::pin(async move {
            if fake.state().is_down {
                return Err("nobody listens".to_owned());
            }
            let (client, server) = tokio::io::duplex(16 * 1024);
            tokio::spawn(serve(fake, server));
            Ok(Box::new(client) as Box<dyn PlatformStream>)
        })
    }

    fn token(&self) -> Result<Arc<Zeroizing<String>>, String> {
        Ok(Arc::new(Zeroizing::new(TOKEN.to_owned())))
    }
}
