//! Telling one process from every other. A process id alone is reused, so a worker is its id, its start time and the
//! boot it lives in; and whatever is signalled is held by a pidfd first and checked second.

use std::{fs, io, process};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::experiment::WorkerIdentity;

/// The identity of this process.
pub fn own(nonce: &str) -> io::Result<WorkerIdentity> {
    let pid = i32::try_from(process::id()).map_err(io::Error::other)?;
    of(pid, nonce)?.ok_or_else(|| io::Error::other("/proc does not show this process: is /proc mounted?"))
}

/// The identity of the process `pid`, which may be a zombie; `None` where there is none.
pub fn of(pid: i32, nonce: &str) -> io::Result<Option<WorkerIdentity>> {
    let boot_id = boot_id()?;
    Ok(stat(pid)?.map(|stat| WorkerIdentity { pid, start_ticks: stat.start_ticks, boot_id, nonce: nonce.to_owned() }))
}

/// Whether just this process still lives. A zombie does not: it has ended, and only waits for its parent to look.
pub fn alive(identity: &WorkerIdentity) -> io::Result<bool> {
    Ok(same_boot(identity)?
        && stat(identity.pid)?.is_some_and(|stat| stat.lives() && stat.start_ticks == identity.start_ticks))
}

/// Whether the process belongs to the present boot of this machine. If not, the machine was restarted (or it is
/// another machine), and its process id means nothing here.
pub fn same_boot(identity: &WorkerIdentity) -> io::Result<bool> {
    Ok(identity.boot_id == boot_id()?)
}

/// Sends a signal to just this process; `false` where it is gone. A process that has got the same id since is safe: the
/// pidfd is opened first, then the identity is checked, so the check and the signal are about the same process.
pub fn signal(identity: &WorkerIdentity, signal: Signal) -> io::Result<bool> {
    let Some(pid) = Pid::from_raw(identity.pid) else { return Ok(false) };
    let handle = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(handle) => handle,
        Err(rustix::io::Errno::SRCH) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    if !alive(identity)? {
        return Ok(false);
    }
    match pidfd_send_signal(&handle, signal) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::SRCH) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// What `/proc/PID/stat` says that matters here.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    letter: char,
    start_ticks: u64,
}

impl Stat {
    fn lives(&self) -> bool {
        !matches!(self.letter, 'Z' | 'X' | 'x')
    }
}

fn stat(pid: i32) -> io::Result<Option<Stat>> {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(text) => parse(&text).map(Some).ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat reads: {text}"))),
        // ESRCH: it ended between the opening and the reading.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Fields 3 and 22. The second field is the program's name, which may hold spaces and parentheses, so the count begins
/// after the last `)`.
fn parse(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let letter = fields.next()?.chars().next()?;
    Some(Stat { letter, start_ticks: fields.nth(18)?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    struct Sleeper(Child);

    impl Sleeper {
        fn new() -> Sleeper {
            Sleeper(Command::new("sleep").arg("600").spawn().unwrap())
        }
        fn identity(&self) -> WorkerIdentity {
            of(self.0.id() as i32, "n").unwrap().unwrap()
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let numbers: Vec<String> = (4..=30).map(|field| field.to_string()).collect();
        let text = format!("17 (a) S (b c) R {}", numbers.join(" "));
        assert_eq!(parse(&text), Some(Stat { letter: 'R', start_ticks: 22 }));
        assert_eq!(parse("17 (cut off"), None);
        assert_eq!(parse("17 (short) S 1 2 3"), None);
    }

    #[test]
    fn this_process_is_alive_as_itself_only() {
        let me = own("n").unwrap();
        assert!(alive(&me).unwrap());
        assert!(!alive(&WorkerIdentity { start_ticks: me.start_ticks + 1, ..me.clone() }).unwrap());
        assert!(!alive(&WorkerIdentity { boot_id: "another boot".into(), ..me }).unwrap());
    }

    #[test]
    fn a_zombie_has_ended() {
        let mut sleeper = Sleeper::new();
        let identity = sleeper.identity();
        assert!(alive(&identity).unwrap());
        assert!(signal(&identity, Signal::KILL).unwrap());
        // Its parent, this test, has not looked yet: until then the kernel keeps the id and the start time.
        while alive(&identity).unwrap() {
            std::thread::yield_now();
        }
        assert!(!signal(&identity, Signal::KILL).unwrap());
        sleeper.0.wait().unwrap();
        assert_eq!(of(identity.pid, "n").unwrap(), None);
    }

    #[test]
    fn a_process_with_a_reused_id_is_never_signalled() {
        let mut innocent = Sleeper::new();
        let me = innocent.identity();
        let before = WorkerIdentity { start_ticks: me.start_ticks - 1, ..me.clone() };
        assert!(!signal(&before, Signal::KILL).unwrap());
        assert!(!signal(&WorkerIdentity { boot_id: "another boot".into(), ..me }, Signal::KILL).unwrap());
        assert_eq!(innocent.0.try_wait().unwrap(), None);
    }
}
