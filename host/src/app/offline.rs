//! What commands do with the databases of a stopped server.

use std::path::Path;
use std::sync::Arc;

use cashier_core::ids::{CustomerId, ServerName};

use super::trading::{self, ServerDependencies};
use super::{Machine, background_tasks, seal_keys};
use crate::clock_file::ClockFiles;
use crate::guarded_clock::GuardedClock;
use crate::pair::offline::{ServersElsewhere, TakeOver};
use crate::pair::{self, Reconciliation};
use crate::ports::{Clock, Fault};
use crate::settings::Settings;
use crate::strand;
use crate::strand::audit::{self, AuditChain};
use crate::strand::erasure::{self, Erased, ErasureOrder};
use crate::strand::unrecorded::{self, UnrecordedOperations};

/// Compares the databases of the settings; see [`pair::offline::reconcile`]. Stamps go on from the last plausible time, as the
/// server's do.
pub async fn reconcile(settings: &Settings, taken: TakeOver) -> Result<Reconciliation, Fault> {
    let Machine { clock, entropy, .. } = Machine::real();
    let files = Arc::new(ClockFiles::in_folder(&settings.bases));
    let guarded = Arc::clone(&clock);
    let now = || GuardedClock::open(guarded, files).now();
    // An error of the file names it.
    seal_keys(settings)?;
    let tasks = background_tasks();
    let beside = ServerDependencies {
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&entropy),
        bases: &settings.bases,
        spawn: &tasks,
        strict: settings.strict_key_permissions,
        posts: false,
    };
    let servers = trading::open_elsewhere(&settings.trading, &beside);
    let elsewhere = Some(ServersElsewhere { clock: &*clock, servers });
    pair::offline::reconcile(&settings.bases, &settings.seal_keys, entropy, now, taken, elsewhere).await
}

/// Whether a command that writes may open cashier.db, because it is of this very release.
pub fn check_release(database: &Path) -> Result<(), Fault> {
    strand::check_release(database, false)
}

/// Erases the texts of a customer from databases that no server has open; see [`erasure::erase`].
pub fn erase_customer(settings: &Settings, customer: CustomerId, by: &str) -> Result<Erased, Fault> {
    let Machine { clock, entropy, .. } = Machine::real();
    let now = GuardedClock::open(clock, Arc::new(ClockFiles::in_folder(&settings.bases))).now();
    let database = &settings.bases.join("cashier.db");
    erasure::erase(&ErasureOrder { database, customer, by, now }, seal_keys(settings)?, entropy)
}

/// Follows the chain of audit records in a folder of bases; see [`audit::verify`].
pub fn verify_audit(bases: &Path, anchor: Option<&str>) -> Result<AuditChain, Fault> {
    let database = &bases.join("cashier.db");
    strand::check_release(database, true)?;
    audit::verify(database, anchor)
}

/// The newest audit record's hash, hex; `None` without records.
pub fn audit_head(bases: &Path) -> Result<Option<String>, Fault> {
    let database = &bases.join("cashier.db");
    strand::check_release(database, true)?;
    audit::head(database)
}

/// The operations of a trading server that have no recorded outcome; see [`unrecorded::at_server`]. The cashier may be running.
pub fn unrecorded_operations(bases: &Path, server: &ServerName) -> Result<UnrecordedOperations, Fault> {
    let database = &bases.join("cashier.db");
    strand::check_release(database, true)?;
    unrecorded::at_server(database, server)
}
