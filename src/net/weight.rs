//! What keeps a stream of events from slowing a call: a thread of little weight, and sockets that hoard nothing.

use std::io;
use std::os::fd::AsRawFd;

/// A tenth of a thread of ordinary weight: with a core that signalling has filled, enough that a command is answered.
const NICE: i32 = 10;
/// How long a turn of this thread may be, in nanoseconds. It only has to be longer than an ordinary one: then Linux 6.12
/// and later stop it as soon as a thread with a shorter turn wakes.
const TURN: u64 = 5_000_000;

/// `struct sched_attr`, as it was in the beginning (`SCHED_ATTR_SIZE_VER0`).
#[repr(C)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// From now on this thread gives way to the others: it does not stop a running one when it wakes, is stopped by one that
/// wakes, and gets a tenth of a core that is wanted by one other. It cannot be undone.
pub fn give_way() -> io::Result<()> {
    let wanted = Attributes {
        size: size_of::<Attributes>() as u32,
        policy: libc::SCHED_BATCH as u32,
        flags: 0,
        nice: NICE,
        priority: 0,
        runtime: TURN,
        deadline: 0,
        period: 0,
    };
    // SAFETY: the kernel reads `size` bytes of a structure that outlives the call; it concerns the calling thread alone.
    let done = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const wanted, 0) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The kernel keeps no more than so many bytes for a peer that have not yet been sent; it keeps megabytes otherwise, for
/// each peer that is slow.
pub fn hoard_no_more(socket: &impl AsRawFd, bytes: i32) -> io::Result<()> {
    // SAFETY: the kernel reads an int that outlives the call, from a descriptor that is open as long as `socket` is.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_NOTSENT_LOWAT,
            (&raw const bytes).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_gives_way_has_less_weight() {
        let told = std::thread::spawn(|| {
            give_way().expect("a thread may always give way");
            // SAFETY: plain questions about the calling thread.
            unsafe { (libc::getpriority(libc::PRIO_PROCESS, 0), libc::sched_getscheduler(0)) }
        });
        assert_eq!(told.join().expect("it ends"), (NICE, libc::SCHED_BATCH));
    }
}
