//! A child that borrows the memory of its parent until it executes its program.
//!
//! What `vfork` and `posix_spawn` do: nothing is copied, so a start costs the same whatever the parent holds, and
//! neither of the two has to copy a page when it first writes to it afterwards. The thread that makes it stands still
//! meanwhile, and it alone.

#![expect(
    unsafe_code,
    reason = "a child with a stack of its own cannot be made by calling a function"
)]

use std::ffi::{c_int, c_void};
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use rustix::io::Errno;
use rustix::process::Pid;

use super::Newborn;
use super::raw::{self, Clone3, CloneArgs};

/// Makes a child that calls `child` with the memory of this process and ends with the code that it returns, unless it
/// executes a program. Returns when it has done either; what it wrote is there then. It must only make system calls:
/// other threads of this process go on, and what it allocates or locks would stay so. Its signal handlers are gone, what
/// was ignored is still ignored.
///
/// # With several threads
///
/// * The child has what this thread has in registers, its thread-local memory (`errno` is there) among it. Nobody else
///   uses that, for this thread does not go on before the child is done with it.
/// * Each thread has a stack for its child, which it alone names.
/// * The kernel kills children of a thread that asked for it when that thread ends: threads that make children do not
///   end before the process does.
/// * Whoever may send signals to the child can stop it before the program is executed, and with it this thread.
/// * A child that becomes another user changes what the kernel lets others see of the memory that it borrows: it has to
///   be set right again before anybody can make use of that. It cannot make namespaces.
///
/// # Errors
///
/// There is no child. `NOSYS`: this kernel, sandbox or architecture has no such way.
pub(super) fn vfork<F: FnMut() -> c_int>(
    cgroup: Option<BorrowedFd<'_>>,
    table: Table,
    named: Named,
    stack: &mut ChildStack,
    newborn: &Newborn,
    mut child: F,
) -> Result<(Pid, Option<OwnedFd>), Errno> {
    let mut pidfd: RawFd = -1;
    let how = Clone3 {
        cgroup,
        ..Clone3::default()
    };
    let mut args = CloneArgs::new(how, &mut pidfd, Some(newborn));
    args.flags |= FLAG_VM | FLAG_VFORK;
    if table == Table::Shared {
        args.flags |= FLAG_FILES;
    }
    if named == Named::ByNumber {
        args.flags &= !raw::FLAG_PIDFD;
    }
    args.stack = stack.0.as_mut_ptr() as u64;
    args.stack_size = size_of::<Stack>() as u64;
    // SAFETY: the arguments are valid, the stack is as large as is said, borrowed for this call alone, and lives until this thread
    // goes on, which is after the child has left it; so does the closure, which is called once, with nobody else using it.
    let result = unsafe { clone_onto(&mut args, enter::<F>, ptr::from_mut(&mut child).cast()) };
    let Ok(pid) = i32::try_from(result) else {
        return Err(Errno::INVAL);
    };
    if pid < 0 {
        return Err(Errno::from_raw_os_error(-pid));
    }
    let pidfd = match named {
        // SAFETY: the kernel has just opened this descriptor for us and nobody else knows it.
        Named::ByDescriptor => Some(unsafe { OwnedFd::from_raw_fd(pidfd) }),
        Named::ByNumber => None,
    };
    Ok((Pid::from_raw(pid).ok_or(Errno::INVAL)?, pidfd))
}

/// How a child is told apart from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// By a descriptor, which can be waited for.
    ByDescriptor,
    /// By its number, which is its own until it is reaped: for those who alone reap. A descriptor costs as much as a tenth of
    /// the rest of a start.
    ByNumber,
}

/// What descriptors a child has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// Copies of all.
    Copied,
    /// Those of its parent: what it opens is open there, what it closes is closed there. So it does neither, until it has
    /// taken a table of its own by [`take_table_below`](raw::take_table_below).
    Shared,
}

const FLAG_VM: u64 = 0x100;
const FLAG_FILES: u64 = 0x400;
const FLAG_VFORK: u64 = 0x4000;

/// Where a child lives. Memory that was never used costs nothing, so it is not part of the stack of the thread, which a
/// large frame would touch page by page.
pub(super) struct ChildStack(Box<MaybeUninit<Stack>>);

impl ChildStack {
    /// An unused one.
    pub(super) fn new() -> Self {
        Self(Box::new_uninit())
    }
}

impl std::fmt::Debug for ChildStack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChildStack")
    }
}

/// The child's calls are not nested deeply, and its largest buffer has a few KiB.
#[repr(align(16))]
struct Stack {
    _bytes: [u8; 64 * 1024],
}

/// Where the child begins.
extern "C" fn enter<F: FnMut() -> c_int>(child: *mut c_void) -> ! {
    // SAFETY: this is what `vfork` has passed; it lives, and the thread that owns it stands still.
    let child = unsafe { &mut *child.cast::<F>() };
    raw::exit(child())
}

/// `clone3`, whose child calls `enter` with `argument` on the stack of the arguments. Answers as the kernel does: the
/// number of the child, or an error as a negative number.
///
/// # Safety
///
/// The arguments have to name a stack that nobody else uses while the child does.
#[cfg(target_arch = "x86_64")]
unsafe fn clone_onto(
    args: &mut CloneArgs,
    enter: extern "C" fn(*mut c_void) -> !,
    argument: *mut c_void,
) -> i64 {
    let result;
    // SAFETY: the parent only makes a system call, which keeps all registers but those that are named. The child has
    // these registers too, an empty stack, and never gets beyond the call.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 => result,
            in("rdi") ptr::from_mut(args),
            in("rsi") size_of::<CloneArgs>(),
            in("r12") argument,
            in("r13") enter,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// See above.
///
/// # Safety
///
/// As above.
#[cfg(target_arch = "aarch64")]
unsafe fn clone_onto(
    args: &mut CloneArgs,
    enter: extern "C" fn(*mut c_void) -> !,
    argument: *mut c_void,
) -> i64 {
    let result;
    // SAFETY: the parent only makes a system call, which keeps all registers but the first. The child has these
    // registers too, an empty stack, and never gets beyond the call.
    unsafe {
        std::arch::asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x9",
            "blr x10",
            "brk #1",
            "2:",
            inlateout("x0") ptr::from_mut(args) => result,
            in("x1") size_of::<CloneArgs>(),
            in("x8") libc::SYS_clone3,
            in("x9") argument,
            in("x10") enter,
        );
    }
    result
}

/// Nobody has written it for this architecture.
///
/// # Safety
///
/// None is needed.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn clone_onto(
    _args: &mut CloneArgs,
    _enter: extern "C" fn(*mut c_void) -> !,
    _argument: *mut c_void,
) -> i64 {
    -i64::from(libc::ENOSYS)
}
