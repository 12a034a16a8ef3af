//! The system calls of a process that opens an unknown library: a list of what loading and ordinary constructors need. A call
//! that reaches for processes, the network or files ends the process, so that such a module is refused instead of
//! constructed again in the cashier, where nothing would hold it. `cage` decides when the filter is entered.
#![cfg(target_os = "linux")]

/// Enters the filter.
///
/// # Errors
/// The kernel or this processor has none.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
pub(super) fn filter() -> Result<(), String> {
    Err("not made for this processor".to_owned())
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
pub(super) use self::filters::filter;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
mod filters {
    use std::collections::BTreeMap;

    use seccompiler::{
        BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule,
    };

    type Rules = BTreeMap<i64, Vec<SeccompRule>>;

    /// Loading, memory, threads, clocks, reading, and the answer.
    const ALLOWED: &[i64] = &[
        libc::SYS_brk,
        libc::SYS_clock_getres,
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        libc::SYS_clone,
        // Answered with "no such call" by a filter of its own, so that the C library falls back to clone.
        libc::SYS_clone3,
        libc::SYS_close,
        libc::SYS_dup,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_faccessat,
        libc::SYS_faccessat2,
        libc::SYS_fadvise64,
        libc::SYS_fstat,
        libc::SYS_futex,
        libc::SYS_getcwd,
        libc::SYS_getdents64,
        libc::SYS_getegid,
        libc::SYS_geteuid,
        libc::SYS_getgid,
        libc::SYS_getpid,
        libc::SYS_getppid,
        libc::SYS_getrandom,
        libc::SYS_getrusage,
        libc::SYS_gettid,
        libc::SYS_gettimeofday,
        libc::SYS_getuid,
        libc::SYS_get_robust_list,
        libc::SYS_lseek,
        libc::SYS_madvise,
        libc::SYS_membarrier,
        libc::SYS_mincore,
        libc::SYS_mmap,
        libc::SYS_mprotect,
        libc::SYS_mremap,
        libc::SYS_munmap,
        libc::SYS_nanosleep,
        libc::SYS_newfstatat,
        libc::SYS_openat,
        libc::SYS_ppoll,
        libc::SYS_pread64,
        libc::SYS_preadv,
        libc::SYS_read,
        libc::SYS_readlinkat,
        libc::SYS_readv,
        libc::SYS_restart_syscall,
        libc::SYS_rseq,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sched_getaffinity,
        libc::SYS_sched_yield,
        libc::SYS_set_robust_list,
        libc::SYS_set_tid_address,
        libc::SYS_sigaltstack,
        libc::SYS_statx,
        libc::SYS_sysinfo,
        libc::SYS_tgkill,
        libc::SYS_times,
        libc::SYS_uname,
        libc::SYS_write,
        libc::SYS_writev,
    ];
    /// The same by their older names.
    #[cfg(target_arch = "x86_64")]
    const ALLOWED_OLD: &[i64] = &[
        libc::SYS_access,
        libc::SYS_arch_prctl,
        libc::SYS_dup2,
        libc::SYS_getrlimit,
        libc::SYS_lstat,
        libc::SYS_open,
        libc::SYS_poll,
        libc::SYS_readlink,
        libc::SYS_stat,
        libc::SYS_time,
    ];
    #[cfg(not(target_arch = "x86_64"))]
    const ALLOWED_OLD: &[i64] = &[];

    /// Reaching out: each ends the process.
    const FATAL: &[i64] = &[
        libc::SYS_accept,
        libc::SYS_accept4,
        libc::SYS_bind,
        libc::SYS_connect,
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_fchmod,
        libc::SYS_fchmodat,
        libc::SYS_fchown,
        libc::SYS_fchownat,
        libc::SYS_kill,
        libc::SYS_linkat,
        libc::SYS_listen,
        libc::SYS_mkdirat,
        libc::SYS_mknodat,
        libc::SYS_pidfd_getfd,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_send_signal,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_ptrace,
        libc::SYS_renameat2,
        libc::SYS_sendmmsg,
        libc::SYS_sendmsg,
        libc::SYS_sendto,
        libc::SYS_socket,
        libc::SYS_socketpair,
        libc::SYS_symlinkat,
        libc::SYS_tkill,
        libc::SYS_truncate,
        libc::SYS_unlinkat,
        libc::SYS_utimensat,
    ];
    /// The same by their older names.
    #[cfg(target_arch = "x86_64")]
    const FATAL_OLD: &[i64] = &[
        libc::SYS_chmod,
        libc::SYS_chown,
        libc::SYS_creat,
        libc::SYS_fork,
        libc::SYS_lchown,
        libc::SYS_link,
        libc::SYS_mkdir,
        libc::SYS_mknod,
        libc::SYS_rename,
        libc::SYS_renameat,
        libc::SYS_rmdir,
        libc::SYS_symlink,
        libc::SYS_unlink,
        libc::SYS_utime,
        libc::SYS_utimes,
        libc::SYS_vfork,
    ];
    #[cfg(not(target_arch = "x86_64"))]
    const FATAL_OLD: &[i64] = &[];

    /// What a name of the process means to `prctl` and to `prlimit64`: itself.
    const SELF: u64 = 0;
    /// `prctl` that names a mapping, which allocators do.
    const PR_SET_VMA: u64 = 0x5356_4d41;

    pub(in crate::plugins::loading) fn filter() -> Result<(), String> {
        // The list comes last: it also bars entering another filter.
        for program in programs().map_err(|error| error.to_string())? {
            seccompiler::apply_filter(&program).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn programs() -> Result<[BpfProgram; 4], BackendError> {
        let me = u64::from(std::process::id());
        let is = |argument, value| one(argument, SeccompCmpOp::Eq, value);
        let flag = |argument, flag: i32| {
            let flag = u64::from(flag.unsigned_abs());
            one(argument, SeccompCmpOp::MaskedEq(flag), flag)
        };

        let mut fatal: Rules = [FATAL, FATAL_OLD].concat().into_iter().map(|call| (call, Vec::new())).collect();
        let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
        fatal.insert(libc::SYS_clone, vec![one(0, SeccompCmpOp::MaskedEq(thread), 0)?]);
        // Its own signals are how an abort ends.
        fatal.insert(libc::SYS_tgkill, vec![one(0, SeccompCmpOp::Ne, me)?]);

        let mut written = Rules::new();
        let mut opens = vec![(libc::SYS_openat, 2)];
        #[cfg(target_arch = "x86_64")]
        opens.push((libc::SYS_open, 1));
        for (call, argument) in opens {
            let flags = [libc::O_WRONLY, libc::O_RDWR, libc::O_CREAT, libc::O_TRUNC];
            written.insert(call, flags.into_iter().map(|it| flag(argument, it)).collect::<Result<_, _>>()?);
        }

        let unknown = Rules::from([(libc::SYS_clone3, Vec::new())]);

        let mut allowed: Rules = [ALLOWED, ALLOWED_OLD].concat().into_iter().map(|call| (call, Vec::new())).collect();
        allowed.insert(libc::SYS_prlimit64, vec![is(0, SELF)?, is(0, me)?]);
        let named = u64::from(libc::PR_SET_NAME.unsigned_abs());
        allowed.insert(libc::SYS_prctl, vec![is(0, named)?, is(0, PR_SET_VMA)?]);

        // Copies and flags of descriptors; not F_SETOWN and F_SETSIG, by which the kernel sends signals to any process.
        let plain = [libc::F_DUPFD, libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_SETFL, libc::F_DUPFD_CLOEXEC];
        let plain =
            plain.into_iter().map(|command| is(1, u64::from(command.unsigned_abs()))).collect::<Result<_, _>>()?;
        allowed.insert(libc::SYS_fcntl, plain);

        let errno = |number: i32| SeccompAction::Errno(number.unsigned_abs());
        Ok([
            program(fatal, SeccompAction::Allow, SeccompAction::KillProcess)?,
            program(written, SeccompAction::Allow, errno(libc::EACCES))?,
            program(unknown, SeccompAction::Allow, errno(libc::ENOSYS))?,
            program(allowed, errno(libc::EPERM), SeccompAction::Allow)?,
        ])
    }

    fn program(rules: Rules, otherwise: SeccompAction, matching: SeccompAction) -> Result<BpfProgram, BackendError> {
        SeccompFilter::new(rules, otherwise, matching, std::env::consts::ARCH.try_into()?)?.try_into()
    }

    fn one(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, BackendError> {
        SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?])
    }
}
