//! A child that borrows the memory of its parent until it executes its program.
//!
//! What `vfork` and `posix_spawn` do: nothing is copied, so a start costs the same whatever the parent holds, and
//! neither of the two has to copy a page when it first writes to it afterwards. The parent stands still meanwhile.

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

use super::raw::{self, Clone3, CloneArgs};

/// Makes a child that calls `child` with the memory of this process and ends with the code that it returns, unless it
/// executes a program. Returns when it has done either; what it wrote is there then. It must only make system calls:
/// other threads of this process go on, and what it allocates or locks would stay so. Its signal handlers are gone, what
/// was ignored is still ignored.
///
/// Whoever may send signals to the child could stop it, and this process with it, before the program is executed. So it
/// must not become another user. Nor can it make namespaces.
///
/// # Errors
///
/// There is no child. `NOSYS`: this kernel, sandbox or architecture has no such way.
pub(super) fn vfork<F: FnMut() -> c_int>(
    cgroup: Option<BorrowedFd<'_>>,
    mut child: F,
) -> Result<(Pid, OwnedFd), Errno> {
    let mut stack = MaybeUninit::<Stack>::uninit();
    let mut pidfd: RawFd = -1;
    let how = Clone3 {
        cgroup,
        ..Clone3::default()
    };
    let mut args = CloneArgs::new(how, &mut pidfd);
    args.flags |= FLAG_VM | FLAG_VFORK;
    args.stack = stack.as_mut_ptr() as u64;
    args.stack_size = size_of::<Stack>() as u64;
    // SAFETY: the arguments are valid, the stack is as large as is said and lives until this process goes on, which is
    // after the child has left it; so does the closure, which is called once, with nobody else using it.
    let result = unsafe { clone_onto(&mut args, enter::<F>, ptr::from_mut(&mut child).cast()) };
    let Ok(pid) = i32::try_from(result) else {
        return Err(Errno::INVAL);
    };
    if pid < 0 {
        return Err(Errno::from_raw_os_error(-pid));
    }
    // SAFETY: the kernel has just opened this descriptor for us and nobody else knows it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok((Pid::from_raw(pid).ok_or(Errno::INVAL)?, pidfd))
}

const FLAG_VM: u64 = 0x100;
const FLAG_VFORK: u64 = 0x4000;

/// The child's calls are not nested deeply, and its largest buffer has a few KiB. Part of the parent's own stack, so it
/// costs nothing to have.
#[repr(align(16))]
struct Stack {
    _bytes: [u8; 64 * 1024],
}

/// Where the child begins.
extern "C" fn enter<F: FnMut() -> c_int>(child: *mut c_void) -> ! {
    // SAFETY: this is what `vfork` has passed; it lives, and its owner stands still.
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
