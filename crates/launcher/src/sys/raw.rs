//! System calls that have no safe wrapper elsewhere. All that is unsafe is here.
//!
//! Each of these only makes system calls: no memory is allocated, no lock is taken. So all of them may be called in a
//! child that was forked and has not executed its program yet.

#![expect(
    unsafe_code,
    reason = "fork, exec, wait4, signal dispositions and Landlock have no safe wrapper"
)]

use std::ffi::{CStr, c_int, c_long, c_uint};
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use rustix::io::Errno;
use rustix::process::{Pid, Signal};

use super::Newborn;
use super::c_strings::CStrings;

/// What a child is cloned with, beside a copy of everything.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clone3<'a> {
    /// The control group to be born in.
    pub(super) cgroup: Option<BorrowedFd<'a>>,
    /// In a PID namespace of its own.
    pub(super) new_pid: bool,
    /// In a user namespace of its own.
    pub(super) new_user: bool,
}

/// Makes a copy of this process that calls `child` and ends with the code that it returns. The copy has only this
/// thread: what it calls must take no lock and allocate nothing, or it may hang, since another thread may have held the
/// lock just then. Its signal handlers are gone, what was ignored is still ignored. Others can see it as the `newborn`.
pub(super) fn fork(
    how: Clone3<'_>,
    newborn: Option<&Newborn>,
    child: impl FnOnce() -> c_int,
) -> Result<(Pid, OwnedFd), Errno> {
    let mut pidfd: RawFd = -1;
    let mut args = CloneArgs::new(how, &mut pidfd, newborn);
    // SAFETY: the arguments are a valid `clone_args` of the size that is said. Without CLONE_VM the child has its own
    // copy of the memory and stack, so neither side sees what the other writes; the child ends after the closure, so
    // nothing that both own is dropped twice.
    let mut result = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            ptr::from_mut(&mut args),
            size_of::<CloneArgs>(),
        )
    };
    if result == -1 && errno() == Errno::NOSYS && how.cgroup.is_none() {
        // Some sandboxes know only the older call.
        let flags = (args.flags & !(FLAG_CLEAR_SIGHAND | FLAG_PARENT_SETTID)) | args.exit_signal;
        // SAFETY: as above; a stack of null means a copy of this one, and the third argument is where the pidfd goes on
        // every architecture.
        result = unsafe {
            libc::syscall(
                libc::SYS_clone,
                flags,
                ptr::null_mut::<u8>(),
                ptr::from_mut(&mut pidfd),
                ptr::null_mut::<u8>(),
                ptr::null_mut::<u8>(),
            )
        };
    }
    match result {
        -1 => Err(errno()),
        0 => exit(child()),
        pid => {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            // SAFETY: the kernel has just opened this descriptor for us and nobody else knows it.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok((pid.ok_or(Errno::INVAL)?, pidfd))
        }
    }
}

const FLAG_NEWPID: u64 = 0x2000_0000;
const FLAG_NEWUSER: u64 = 0x1000_0000;
pub(super) const FLAG_PIDFD: u64 = 0x1000;
const FLAG_PARENT_SETTID: u64 = 0x10_0000;
const FLAG_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const FLAG_INTO_CGROUP: u64 = 0x2_0000_0000;

/// `struct clone_args` of the kernel.
#[derive(Default)]
#[repr(C)]
pub(super) struct CloneArgs {
    pub(super) flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    pub(super) stack: u64,
    pub(super) stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

impl CloneArgs {
    /// For a child that is cloned so, whose descriptor the kernel writes there, and its number into `newborn`. Both
    /// have to live until it is cloned.
    pub(super) fn new(how: Clone3<'_>, pidfd: &mut RawFd, newborn: Option<&Newborn>) -> Self {
        let mut flags = FLAG_PIDFD | FLAG_CLEAR_SIGHAND;
        if newborn.is_some() {
            flags |= FLAG_PARENT_SETTID;
        }
        if how.cgroup.is_some() {
            flags |= FLAG_INTO_CGROUP;
        }
        if how.new_pid {
            flags |= FLAG_NEWPID;
        }
        if how.new_user {
            flags |= FLAG_NEWUSER;
        }
        Self {
            flags,
            pidfd: ptr::from_mut(pidfd) as u64,
            // An atomic, so it does not matter who reads it meanwhile.
            parent_tid: newborn.map_or(0, |newborn| newborn.expect() as u64),
            exit_signal: u64::from(libc::SIGCHLD.unsigned_abs()),
            cgroup: how
                .cgroup
                .map_or(0, |fd| u64::from(fd.as_raw_fd().unsigned_abs())),
            ..Self::default()
        }
    }
}

/// Becomes another program. Returns only why it did not.
pub(super) fn execve(program: &CStr, argv: &CStrings, env: &CStrings) -> Errno {
    // SAFETY: the path ends with a NUL; both lists end with a null pointer, and what they point to ends with NULs and
    // lives as long as they do.
    unsafe {
        libc::execve(program.as_ptr(), argv.as_ptr(), env.as_ptr());
    }
    errno()
}

/// Ends this process at once, without running anything that was registered for its end.
pub(super) fn exit(code: c_int) -> ! {
    // SAFETY: it takes no pointers and does not return.
    unsafe { libc::_exit(code) }
}

/// A process that was waited for.
pub(super) struct Waited {
    /// Which.
    pub(super) pid: Pid,
    /// How it ended, as `wait4` says it.
    pub(super) status: c_int,
    /// What it used, with what it waited for itself.
    pub(super) rusage: libc::rusage,
}

/// Reaps a child, this one or any. `None` when there are children but none of them is dead and `block` is not set.
pub(super) fn wait(pid: Option<Pid>, block: bool) -> Result<Option<Waited>, Errno> {
    let mut status: c_int = 0;
    let mut rusage = MaybeUninit::<libc::rusage>::zeroed();
    let flags = libc::__WALL | if block { 0 } else { libc::WNOHANG };
    let which = pid.map_or(-1, Pid::as_raw_pid);
    // SAFETY: both pointers are to memory of ours of the right types.
    let result = unsafe { libc::wait4(which, &raw mut status, flags, rusage.as_mut_ptr()) };
    if result == -1 {
        return Err(errno());
    }
    Ok(Pid::from_raw(result).map(|pid| Waited {
        pid,
        status,
        // SAFETY: it was zeroed, which is a valid value, and then filled in.
        rusage: unsafe { rusage.assume_init() },
    }))
}

/// Sets every signal to its default.
pub(super) fn default_signals() {
    for signal in 1..=LAST_SIGNAL {
        set_disposition(signal, DEFAULT);
    }
}

/// The signals that are ignored.
pub(super) fn ignored_signals() -> Vec<c_int> {
    (1..=LAST_SIGNAL)
        .filter(|signal| disposition(*signal) == Some(IGNORE))
        .collect()
}

/// Sets this signal to its default.
pub(super) fn default_signal(signal: c_int) {
    set_disposition(signal, DEFAULT);
}

/// Ignores this signal.
pub(super) fn ignore(signal: Signal) {
    set_disposition(signal.as_raw(), IGNORE);
}

/// Not by the C library, which keeps two signals to itself that may have been ignored by whoever started this process.
fn set_disposition(signal: c_int, disposition: u64) {
    // A `struct sigaction` of the kernel: what to do comes first, and no flags and no mask follow.
    let action = [disposition, 0, 0, 0];
    // SAFETY: the pointer is to as many bytes as the kernel reads at most, and no function is called on the signal. For
    // signals whose disposition cannot be changed the call fails and changes nothing.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            signal,
            ptr::from_ref(&action),
            ptr::null_mut::<u64>(),
            size_of::<u64>(),
        );
    }
}

fn disposition(signal: c_int) -> Option<u64> {
    let mut action = [0; 4];
    // SAFETY: the pointer is to as many bytes as the kernel writes at most.
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            signal,
            ptr::null::<u64>(),
            ptr::from_mut(&mut action),
            size_of::<u64>(),
        )
    };
    (result == 0).then_some(action[0])
}

const DEFAULT: u64 = 0;
const IGNORE: u64 = 1;

/// The last of the real-time signals on Linux.
const LAST_SIGNAL: c_int = 64;

/// Lets every signal through to this thread, or none that can be held back.
pub(super) fn block_signals(block: bool) {
    // SAFETY: the set is initialised by the call before it is used.
    unsafe {
        let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
        if block {
            libc::sigfillset(set.as_mut_ptr());
        } else {
            libc::sigemptyset(set.as_mut_ptr());
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, set.as_ptr(), ptr::null_mut());
    }
}

/// A descriptor that is readable when a child has died. SIGCHLD has to be blocked.
pub(super) fn child_deaths() -> Result<OwnedFd, Errno> {
    // SAFETY: the set is initialised before it is used, and the descriptor is new and known to nobody else.
    unsafe {
        let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGCHLD);
        let fd = libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        owned(c_long::from(fd))
    }
}

/// Makes `target` another name of `source`, one that stays open when a program is executed.
pub(super) fn dup_onto(source: BorrowedFd<'_>, target: RawFd) -> Result<(), Errno> {
    // SAFETY: it takes no pointers. The target is one of the three standard descriptors, which nobody here owns.
    done(c_long::from(unsafe {
        libc::dup2(source.as_raw_fd(), target)
    }))
}

/// Closes all descriptors from `first` on except `kept`. For a child only: whoever owns them must never use them again.
pub(super) fn close_all_but<const N: usize>(first: c_uint, kept: [BorrowedFd<'_>; N]) {
    let mut kept = kept.map(|fd| fd.as_raw_fd().unsigned_abs());
    kept.sort_unstable();
    let mut first = first;
    for fd in kept {
        if let Some(last) = fd.checked_sub(1) {
            close_range(first, last);
        }
        first = first.max(fd + 1);
    }
    close_range(first, c_uint::MAX);
}

fn close_range(first: c_uint, last: c_uint) {
    if first > last {
        return;
    }
    // SAFETY: it takes no pointers; in a child that ends without dropping anything, nobody uses these descriptors
    // afterwards.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0_u32) };
    if result == -1 {
        for fd in first..=last.min(MAX_OLD_DESCRIPTOR) {
            // SAFETY: as above.
            unsafe { libc::close(RawFd::try_from(fd).unwrap_or(RawFd::MAX)) };
        }
    }
}

/// Gives a child that shares the table of its parent one of its own, with copies of all below `first` and of nothing
/// else. `NOSYS` and `INVAL`: before Linux 5.9 that cannot be asked for.
pub(super) fn take_table_below(first: c_uint) -> Result<(), Errno> {
    // SAFETY: it takes no pointers. As long as the table is shared, the kernel copies it before it closes anything, and
    // if it cannot, closes nothing; so the parent's descriptors stay as they are. The child names none from `first` on.
    done(unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            c_uint::MAX,
            CLOSE_RANGE_UNSHARE,
        )
    })
}

const CLOSE_RANGE_UNSHARE: c_uint = 1 << 1;

/// Kernels before 5.9 cannot close ranges. Everything that the launcher opens is closed by itself when a program is
/// executed, so this only is about what it inherited, which has low numbers.
const MAX_OLD_DESCRIPTOR: c_uint = 65_535;

/// Moves this process into new namespaces; `flags` are those of `unshare`.
pub(super) fn unshare(flags: c_int) -> Result<(), Errno> {
    // SAFETY: it takes no pointers; the flags that are used here (user, mount, network) share nothing with other
    // threads that Rust relies on.
    done(c_long::from(unsafe { libc::unshare(flags) }))
}

/// Switches on the loopback interface of this process's network namespace. `socket` is any socket of it.
pub(super) fn switch_on_loopback(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: all zero is a valid `ifreq`, and it outlives the calls.
    unsafe {
        let mut request: libc::ifreq = MaybeUninit::zeroed().assume_init();
        for (to, from) in request.ifr_name.iter_mut().zip(c"lo".to_bytes()) {
            *to = from.cast_signed();
        }
        let fd = socket.as_raw_fd();
        done(c_long::from(libc::ioctl(
            fd,
            libc::SIOCGIFFLAGS as _,
            &raw mut request,
        )))?;
        request.ifr_ifru.ifru_flags |= UP;
        done(c_long::from(libc::ioctl(
            fd,
            libc::SIOCSIFFLAGS as _,
            &raw mut request,
        )))
    }
}

/// `IFF_UP` in the width that an `ifreq` has.
const UP: i16 = 1;

/// Sends a signal to the process group whose number is that of this process (Linux 6.9).
pub(super) fn signal_group(pidfd: BorrowedFd<'_>, signal: Signal) -> Result<(), Errno> {
    // SAFETY: a null `siginfo` is allowed.
    done(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal.as_raw(),
            ptr::null::<libc::siginfo_t>(),
            PIDFD_SIGNAL_PROCESS_GROUP,
        )
    })
}

const PIDFD_SIGNAL_PROCESS_GROUP: c_uint = 1 << 2;

/// The version of Landlock that the kernel offers.
pub(super) fn landlock_version() -> Result<u32, Errno> {
    // SAFETY: with this flag no attributes are read.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            ptr::null::<LandlockRuleset>(),
            0_usize,
            LANDLOCK_CREATE_RULESET_VERSION,
        )
    };
    u32::try_from(version).map_err(|_| errno())
}

const LANDLOCK_CREATE_RULESET_VERSION: c_uint = 1;

/// `struct landlock_ruleset_attr` of the kernel, up to its sixth version.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct LandlockRuleset {
    /// What about files is forbidden where no rule allows it.
    pub(super) handled_access_fs: u64,
    /// What about the network is forbidden where no rule allows it.
    pub(super) handled_access_net: u64,
    /// What is forbidden towards processes outside.
    pub(super) scoped: u64,
}

/// A set of Landlock rules. Fields that the kernel does not know have to be 0.
pub(super) fn landlock_ruleset(attributes: LandlockRuleset) -> Result<OwnedFd, Errno> {
    // SAFETY: the pointer is to attributes of the size that is said; the descriptor is new and known to nobody else.
    unsafe {
        owned(libc::syscall(
            libc::SYS_landlock_create_ruleset,
            ptr::from_ref(&attributes),
            size_of::<LandlockRuleset>(),
            0_u32,
        ))
    }
}

/// `struct landlock_path_beneath_attr` of the kernel.
#[repr(C, packed)]
struct LandlockPathBeneath {
    allowed_access: u64,
    parent_fd: i32,
}

/// Allows this access to a path and all beneath.
pub(super) fn landlock_allow(
    ruleset: BorrowedFd<'_>,
    path: BorrowedFd<'_>,
    access: u64,
) -> Result<(), Errno> {
    let rule = LandlockPathBeneath {
        allowed_access: access,
        parent_fd: path.as_raw_fd(),
    };
    // SAFETY: the pointer is to a rule of the kind that is said.
    done(unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset.as_raw_fd(),
            LANDLOCK_RULE_PATH_BENEATH,
            ptr::from_ref(&rule),
            0_u32,
        )
    })
}

const LANDLOCK_RULE_PATH_BENEATH: c_uint = 1;

/// Puts this process under a set of Landlock rules, for ever.
pub(super) fn landlock_restrict(ruleset: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: it takes no pointers.
    done(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0_u32) })
}

fn done(result: c_long) -> Result<(), Errno> {
    if result == -1 { Err(errno()) } else { Ok(()) }
}

/// # Safety
///
/// If it is not -1, it is a new descriptor that nobody owns.
unsafe fn owned(result: c_long) -> Result<OwnedFd, Errno> {
    match RawFd::try_from(result) {
        // SAFETY: the caller says so.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(errno()),
    }
}

fn errno() -> Errno {
    // SAFETY: the C library gives a pointer to this thread's own number, which is always valid.
    Errno::from_raw_os_error(unsafe { *libc::__errno_location() })
}

/// How the kernel gives this thread its turns; `None`: it does not say.
pub(super) fn scheduling() -> Option<c_int> {
    // SAFETY: it takes no pointers.
    let policy = unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) };
    c_int::try_from(policy).ok().filter(|policy| *policy >= 0)
}

/// Has the kernel give this thread its turns so, one of the ways without priorities. Not by the C library, of which some
/// refuse to.
pub(super) fn set_scheduling(policy: c_int) -> Result<(), Errno> {
    // A `struct sched_param` of the kernel.
    let priority: c_int = 0;
    // SAFETY: the pointer is to as many bytes as the kernel reads.
    done(unsafe {
        libc::syscall(
            libc::SYS_sched_setscheduler,
            0,
            policy,
            ptr::from_ref(&priority),
        )
    })
}

/// Has all threads of this process take their memory from one place (glibc, which otherwise gives each its own). To be
/// called before there are threads.
pub(super) fn share_one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes no pointers, and only changes how memory is given out from now on.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}
