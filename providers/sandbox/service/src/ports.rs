//! What the service needs from the machine: the time, waiting, and random bytes.
//! Passed in, so that a test controls all three.

use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

/// Time of day and waiting.
pub trait SandboxClock: Send + Sync + 'static {
    /// Unix seconds.
    fn now_unix(&self) -> i64;
    /// Every delay of a switch or a retry. I/O timeouts do not use it.
    fn sleep(&self, delay: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct MachineClock;

impl SandboxClock for MachineClock {
    fn now_unix(&self) -> i64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    }

    fn sleep(&self, delay: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(delay))
    }
}

/// Random bytes for ids.
pub trait SandboxEntropy: Send + Sync + 'static {
    /// Sixteen bytes, never the same twice.
    ///
    /// # Errors
    /// When the machine's random source fails.
    fn draw(&self) -> Result<[u8; 16], String>;
}

/// The machine's random source.
#[derive(Debug, Clone, Copy, Default)]
pub struct MachineEntropy;

impl SandboxEntropy for MachineEntropy {
    fn draw(&self) -> Result<[u8; 16], String> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
        Ok(bytes)
    }
}

/// The same ids in every run: SHA-256 of seed and counter.
#[derive(Debug)]
pub struct SeededEntropy {
    seed: u64,
    drawn: Mutex<u64>,
}

impl SeededEntropy {
    pub fn new(seed: u64) -> Self {
        Self { seed, drawn: Mutex::new(0) }
    }
}

impl SandboxEntropy for SeededEntropy {
    fn draw(&self) -> Result<[u8; 16], String> {
        let mut drawn = self.drawn.lock().map_err(|_| "another thread panicked while drawing an id".to_owned())?;
        *drawn = drawn.wrapping_add(1);
        let digest = Sha256::new().chain_update(self.seed.to_be_bytes()).chain_update(drawn.to_be_bytes()).finalize();
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(digest.iter()) {
            *to = *from;
        }
        Ok(bytes)
    }
}
