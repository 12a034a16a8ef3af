//! Of which release a database is, for commands that work on the databases of a stopped server. It brings nothing up to date.

use std::path::Path;

use super::{connection, schema};
use crate::ports::Fault;

/// What a command of a stopped server needs: the database of this very release. Changes nothing; a file that cannot be read is
/// left to whoever opens it next.
///
/// # Errors
/// It is newer, or another program's. Earlier ones too, if the command writes: only a start of the server brings one up to date,
/// so that no command makes a return to the earlier program impossible.
pub(crate) fn check_release(database: &Path, earlier_is_fine: bool) -> Result<(), Fault> {
    let Ok(connection) = connection::connect_read_only(database) else { return Ok(()) };
    match schema::version(&connection).map_err(|fault| fault.during(database.display()))? {
        applied if applied < schema::STEPS.len() && !earlier_is_fine => Err(Fault::new(format!(
            "{}: its schema version is {applied}, and this program's is {}: start the server once, which brings it up to date",
            database.display(),
            schema::STEPS.len()
        ))),
        _ => Ok(()),
    }
}
