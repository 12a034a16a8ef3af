//! Paths of the built binaries and modules: beside the test binary, in the profile's folder of `target`.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

static BUILT: LazyLock<PathBuf> = LazyLock::new(|| {
    let here = std::env::current_exe().expect("the path of the test binary");
    let folder = here.parent().expect("a file is in a folder");
    // target/<profile>/deps/webhooks-0123 or target/<profile>/webhooks
    let is_deps = folder.file_name().is_some_and(|name| name == "deps");
    if is_deps { folder.parent().expect("deps is in a folder").to_path_buf() } else { folder.to_path_buf() }
});

/// `target/<profile>`.
pub fn built() -> &'static Path {
    &BUILT
}

/// The `cashier` binary.
pub fn cashier() -> PathBuf {
    present(built().join(format!("cashier{}", std::env::consts::EXE_SUFFIX)))
}

/// The sandbox service as a binary.
pub fn sandbox_service() -> PathBuf {
    present(built().join(format!("cashier-sandbox-service{}", std::env::consts::EXE_SUFFIX)))
}

/// A provider module by its code.
pub fn module(code: &str) -> PathBuf {
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    present(built().join(format!("{prefix}cashier_provider_{code}{suffix}")))
}

fn present(path: PathBuf) -> PathBuf {
    assert!(path.exists(), "{} is missing: run `cargo build --workspace` first", path.display());
    path
}
