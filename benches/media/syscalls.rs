//! Counts the system calls of relays in this process, by standing in for functions of the C library.

use std::cell::Cell;
use std::ffi::{c_int, c_uint, c_void};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use libc::{size_t, ssize_t};

static SYSCALLS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static LEFT_OUT: Cell<bool> = const { Cell::new(false) };
}

/// The calls of this thread do not count.
pub fn leave_out() {
    LEFT_OUT.set(true);
}

/// How many there were.
pub fn counted() -> u64 {
    SYSCALLS.load(Relaxed)
}

fn count() {
    if !LEFT_OUT.get() {
        SYSCALLS.fetch_add(1, Relaxed);
    }
}

/// Stands in for functions of the C library, in this program only: counts, and makes the system call.
macro_rules! counted {
    ($($name:ident = $number:ident ( $($arg:ident : $kind:ty),* ) -> $result:ty;)*) => { $(
        /// # Safety
        /// As the function of the C library that it stands in for.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($arg: $kind),*) -> $result {
            count();
            // SAFETY: the caller's arguments are passed on as they are; the kernel checks them.
            unsafe { libc::syscall(libc::$number, $($arg),*) as $result }
        }
    )* };
}

counted! {
    recvfrom = SYS_recvfrom(fd: c_int, buf: *mut c_void, len: size_t, flags: c_int, from: *mut c_void, n: *mut c_void)
        -> ssize_t;
    sendto = SYS_sendto(fd: c_int, buf: *const c_void, len: size_t, flags: c_int, to: *const c_void, n: c_uint)
        -> ssize_t;
    epoll_wait = SYS_epoll_wait(fd: c_int, events: *mut c_void, room: c_int, ms: c_int) -> c_int;
    connect = SYS_connect(fd: c_int, to: *const c_void, n: c_uint) -> c_int;
}

/// `recv` and `send` are the same system calls as `recvfrom` and `sendto`.
///
/// # Safety
/// As `recv` of the C library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn recv(fd: c_int, buf: *mut c_void, len: size_t, flags: c_int) -> ssize_t {
    let none = std::ptr::null_mut();
    // SAFETY: passed on as it is, without an address.
    unsafe { recvfrom(fd, buf, len, flags, none, none) }
}

/// # Safety
/// As `send` of the C library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn send(fd: c_int, buf: *const c_void, len: size_t, flags: c_int) -> ssize_t {
    // SAFETY: passed on as it is, without an address.
    unsafe { sendto(fd, buf, len, flags, std::ptr::null(), 0) }
}
