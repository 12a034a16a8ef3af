//! What the probe process gives up before it opens a module: its session, privileges, network, other processes, files. It runs
//! in the child alone; `probe` starts and ends the child. System calls are in `system_calls`.

use std::time::Duration;

/// Processor seconds for constructors, layout check and descriptor; all three together take milliseconds.
pub(super) const CPU_TIME: Duration = Duration::from_secs(5);

/// Enters the cage.
///
/// # Returns
/// What this system does not offer, in words for a log line.
#[cfg(not(target_os = "linux"))]
pub(super) fn enter() -> Vec<String> {
    vec!["every limit: they are made for Linux".to_owned()]
}

#[cfg(target_os = "linux")]
pub(super) use self::linux::enter;

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use landlock::{
        ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, RestrictionStatus, Ruleset,
        RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
    };
    use rustix::process::{Resource, Rlimit, Signal};
    use rustix::thread::{CapabilitySet, CapabilitySets};

    use super::CPU_TIME;
    use crate::plugins::loading::system_calls;
    use crate::process;

    /// When the kernel kills: later than it sends SIGXCPU, the signal that states why, which needs time between the two.
    const CPU_SECONDS_HARD: u64 = CPU_TIME.as_secs() + 1;
    /// Address space of the child. Modules with all debug information map tens of megabytes.
    const MEMORY_BYTES: u64 = 2 * 1024 * 1024 * 1024;
    /// The kernel's highest score: what the child takes may be more than the machine has, and the cashier itself is large.
    const FIRST_WHEN_MEMORY_IS_SHORT: &str = "1000";
    /// Largest file the child may write: a constructor has nothing to write.
    const FILE_BYTES: u64 = 1024 * 1024;
    /// Open files: the libraries a module needs are opened one after the other.
    const FILES: u64 = 64;

    /// Folders of the system's libraries, beside those this program was loaded from and those that the environment names for the loader.
    const LIBRARY_FOLDERS: [&str; 12] = [
        "/lib",
        "/lib32",
        "/lib64",
        "/libx32",
        "/usr/lib",
        "/usr/lib32",
        "/usr/lib64",
        "/usr/libx32",
        "/usr/local/lib",
        "/usr/local/lib64",
        "/nix/store",
        "/gnu/store",
    ];
    /// Files the loader and C libraries read, and the random device of old ones.
    const FILES_READ: [&str; 4] = ["/etc/ld.so.cache", "/etc/ld.so.preload", "/dev/null", "/dev/urandom"];

    /// Enters the cage, for good.
    pub(in crate::plugins::loading) fn enter() -> Vec<String> {
        let mut missing = Vec::new();
        let mut tried = |what: &str, done: Result<(), String>| {
            if let Err(error) = done {
                missing.push(format!("{what} ({error})"));
            }
        };
        let text = |error: rustix::io::Errno| error.to_string();
        // The child owns no file yet but the standard three.
        tried("close inherited files", process::close_inherited().map_err(|error| error.to_string()));
        // Read and written before files are out of reach.
        let folders = library_folders();
        let first = std::fs::write("/proc/self/oom_score_adj", FIRST_WHEN_MEMORY_IS_SHORT);
        tried("end before the cashier when memory is short", first.map_err(|error| error.to_string()));
        tried(
            "end with the cashier",
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(text),
        );
        tried("own session", rustix::process::setsid().map(drop).map_err(text));
        tried("no new privileges", rustix::thread::set_no_new_privs(true).map_err(text));
        for (what, resource, soft, hard) in [
            ("limit of processor time", Resource::Cpu, CPU_TIME.as_secs(), CPU_SECONDS_HARD),
            ("limit of memory", Resource::As, MEMORY_BYTES, MEMORY_BYTES),
            ("no core file", Resource::Core, 0, 0),
            ("limit of file size", Resource::Fsize, FILE_BYTES, FILE_BYTES),
            ("limit of open files", Resource::Nofile, FILES, FILES),
        ] {
            let limit = Rlimit { current: Some(soft), maximum: Some(hard) };
            tried(what, rustix::process::setrlimit(resource, limit).map_err(text));
        }
        tried("no capabilities", drop_capabilities().map_err(text));
        match restrict_files(&folders) {
            Ok(RestrictionStatus { ruleset: RulesetStatus::FullyEnforced, .. }) => {}
            Ok(RestrictionStatus { ruleset: RulesetStatus::PartiallyEnforced, .. }) => {
                tried("landlock", Err("an older kernel: a part of it".to_owned()));
            }
            Ok(RestrictionStatus { ruleset: RulesetStatus::NotEnforced, .. }) => {
                tried("landlock: reading of files", Err("the kernel does not have it".to_owned()));
            }
            Err(error) => tried("landlock: reading of files", Err(error.to_string())),
        }
        let filtered = system_calls::filter();
        if filtered.is_err() {
            // Binds no root; threads count too, and this process has one.
            let none = Rlimit { current: Some(0), maximum: Some(0) };
            tried("limit of processes", rustix::process::setrlimit(Resource::Nproc, none).map_err(text));
        }
        tried("seccomp: network, processes, changes of files", filtered);
        missing
    }

    /// Root without capabilities may not read another process's environment or change another user's files.
    fn drop_capabilities() -> rustix::io::Result<()> {
        let none = CapabilitySet::empty();
        let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
        rustix::thread::set_capabilities(None, sets)
    }

    /// Only libraries and the module can be read, nothing can be written; no TCP, no signals and no abstract sockets.
    fn restrict_files(folders: &BTreeSet<PathBuf>) -> Result<RestrictionStatus, RulesetError> {
        let abi = ABI::V6;
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(abi))?
            .handle_access(AccessNet::from_all(abi))?
            .scope(Scope::from_all(abi))?
            .create()?
            .add_rules(path_beneath_rules(folders, read))?
            .add_rules(path_beneath_rules(FILES_READ, AccessFs::ReadFile))?
            .add_rule(PathBeneath::new(std::io::stderr(), AccessFs::ReadFile))?
            .restrict_self()
    }

    fn library_folders() -> BTreeSet<PathBuf> {
        let mut folders: BTreeSet<PathBuf> = LIBRARY_FOLDERS.iter().map(PathBuf::from).collect();
        let listed = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        folders.extend(std::env::split_paths(&listed).filter(|path| path.is_absolute()));
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let mapped = maps.lines().filter_map(|line| line.find('/').and_then(|at| line.get(at..)).map(Path::new));
        // By the file's own name: the folder of this program, where keys may lie, is none of them whatever it is called.
        let library = |path: &&Path| path.file_name().is_some_and(|name| name.to_string_lossy().contains(".so"));
        folders.extend(mapped.filter(library).filter_map(|path| Some(path.parent()?.to_owned())));
        let configured = std::fs::read_dir("/etc/ld.so.conf.d").into_iter().flatten().flatten();
        for text in configured.filter_map(|file| std::fs::read_to_string(file.path()).ok()) {
            folders.extend(text.lines().map(str::trim).filter(|line| line.starts_with('/')).map(PathBuf::from));
        }
        folders
    }
}
