//! What can be seen of a run's worker from outside, whoever started it.

use std::{
    io,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, ExitStatus},
};

use super::{identity, lock, worker_file::WorkerFile};
use crate::experiment::{LostReason, RunState, WorkerIdentity};

/// What is seen of a run's worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// A process is there that does not hold the run: it has not taken the lock yet, or has just given it free.
    Unsure,
    /// This worker holds the run.
    Holds(WorkerIdentity),
    /// Nobody works on the run.
    Gone {
        /// Which attempt has ended; `None` where none ever began.
        nonce: Option<String>,
        /// How the process ended, as far as that is known.
        how: LostReason,
    },
}

/// How long a spawned worker that nobody knows may take to say who it is. The dispatcher that started it ended in the
/// instant between the spawn and writing down the process.
const UNKNOWN_MS: i64 = 10_000;

/// Looks at the worker of the run in `run_dir`, which the catalog says is in `state`. `child` is its process where this
/// process started it; it is reaped here.
pub fn look(state: &RunState, run_dir: &Path, child: Option<&mut Child>, now_ms: i64) -> io::Result<Sight> {
    let own = child.is_some();
    let ended = child.map_or(Ok(None), Child::try_wait)?;
    // The lock first: what is read after it was free is the last word of whoever held it.
    let held = lock::held(&lock::of_worker(run_dir))?;
    let said = WorkerFile::read(run_dir)?;
    if held {
        return Ok(match said {
            // Held from another boot is held from another machine, on a shared disk.
            Some(said) if identity::alive(&said.identity)? || !identity::same_boot(&said.identity)? => {
                Sight::Holds(said.identity)
            }
            // It has taken the lock and is about to write its file.
            _ => Sight::Unsure,
        });
    }
    match (state.identity(), state) {
        (Some(expected), _) => {
            // A child is gone once it is reaped: only then is it known how it ended.
            if ended.is_none() && (own || identity::alive(expected)?) {
                return Ok(Sight::Unsure);
            }
            Ok(Sight::Gone { nonce: Some(expected.nonce.clone()), how: how(ended, expected)? })
        }
        (None, RunState::Starting { since_ms, .. }) => Ok(match said {
            Some(said) if said.began_ms >= *since_ms => {
                let how = how(ended, &said.identity)?;
                Sight::Gone { nonce: Some(said.identity.nonce), how }
            }
            // A clock that was set back must not make anybody wait.
            _ if (0..UNKNOWN_MS).contains(&(now_ms - since_ms)) => Sight::Unsure,
            _ => Sight::Gone { nonce: None, how: LostReason::Vanished },
        }),
        (None, _) => Ok(Sight::Gone { nonce: None, how: LostReason::Vanished }),
    }
}

fn how(ended: Option<ExitStatus>, identity: &WorkerIdentity) -> io::Result<LostReason> {
    let seen = ended.and_then(|status| {
        let signal = status.signal().map(|signal| LostReason::Signal { signal });
        signal.or(status.code().map(|code| LostReason::Exit { code }))
    });
    Ok(match seen {
        Some(seen) => seen,
        None if identity::same_boot(identity)? => LostReason::Vanished,
        None => LostReason::Reboot,
    })
}

#[cfg(test)]
mod tests {
    use std::{process::Command, time::Duration};

    use super::{super::lock::Lock, *};
    use crate::experiment::{PNorm, Progress};

    fn running(identity: WorkerIdentity) -> RunState {
        RunState::Running { identity, progress: Progress { step: 0, epoch: 0.0, p: PNorm::INFINITY }, retry: 0 }
    }

    fn me() -> WorkerIdentity {
        identity::own("mine").unwrap()
    }

    fn gone(nonce: &str, how: LostReason) -> Sight {
        Sight::Gone { nonce: Some(nonce.into()), how }
    }

    #[test]
    fn whoever_holds_the_lock_and_lives_is_the_worker() {
        let dir = tempfile::tempdir().unwrap();
        let _lock = Lock::take(&lock::of_worker(dir.path()), Duration::ZERO).unwrap().unwrap();
        // The lock without the file: it is about to be written.
        assert_eq!(look(&running(me()), dir.path(), None, 0).unwrap(), Sight::Unsure);
        WorkerFile { identity: me(), began_ms: 5 }.write(dir.path()).unwrap();
        let another = WorkerIdentity { nonce: "another".into(), start_ticks: 1, ..me() };
        for state in [running(me()), running(another), RunState::Starting { identity: None, since_ms: 0, retry: 0 }] {
            assert_eq!(look(&state, dir.path(), None, 0).unwrap(), Sight::Holds(me()), "{state:?}");
        }
    }

    #[test]
    fn a_reused_process_id_is_nobodys_worker() {
        let dir = tempfile::tempdir().unwrap();
        // This very process has the id, but started later than the worker that is looked for.
        let before = WorkerIdentity { start_ticks: me().start_ticks - 1, ..me() };
        WorkerFile { identity: before.clone(), began_ms: 5 }.write(dir.path()).unwrap();
        let seen = look(&running(before), dir.path(), None, 0).unwrap();
        assert_eq!(seen, gone("mine", LostReason::Vanished));
    }

    #[test]
    fn a_worker_from_before_the_reboot_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let before = WorkerIdentity { boot_id: "before".into(), ..me() };
        assert_eq!(look(&running(before), dir.path(), None, 0).unwrap(), gone("mine", LostReason::Reboot));
    }

    #[test]
    fn a_child_is_reaped_and_says_how_it_ended() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let identity = identity::of(child.id() as i32, "n").unwrap().unwrap();
        assert_eq!(look(&running(identity.clone()), dir.path(), Some(&mut child), 0).unwrap(), Sight::Unsure);
        child.kill().unwrap();
        let seen = loop {
            match look(&running(identity.clone()), dir.path(), Some(&mut child), 0).unwrap() {
                Sight::Unsure => std::thread::yield_now(),
                seen => break seen,
            }
        };
        assert_eq!(seen, gone("n", LostReason::Signal { signal: 9 }));
    }

    #[test]
    fn a_spawn_that_nobody_wrote_down_is_given_some_time() {
        let dir = tempfile::tempdir().unwrap();
        let spawning = RunState::Starting { identity: None, since_ms: 1000, retry: 0 };
        let nothing = Sight::Gone { nonce: None, how: LostReason::Vanished };
        assert_eq!(look(&spawning, dir.path(), None, 1500).unwrap(), Sight::Unsure);
        assert_eq!(look(&spawning, dir.path(), None, 1000 + UNKNOWN_MS).unwrap(), nothing);
        assert_eq!(look(&spawning, dir.path(), None, 0).unwrap(), nothing, "the clock was set back");
        // The file of an earlier attempt says nothing about this one; that of this one does.
        let dead = WorkerIdentity { start_ticks: 1, ..me() };
        WorkerFile { identity: dead.clone(), began_ms: 999 }.write(dir.path()).unwrap();
        assert_eq!(look(&spawning, dir.path(), None, 1500).unwrap(), Sight::Unsure);
        WorkerFile { identity: dead, began_ms: 1001 }.write(dir.path()).unwrap();
        let seen = look(&spawning, dir.path(), None, 1500).unwrap();
        assert_eq!(seen, gone("mine", LostReason::Vanished));
    }
}
