//! Persistent worker threads for data-parallel loops.

use std::any::Any;
use std::cell::Cell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::shared::SharedMut;

/// How often an idle thread looks for what it waits for before it sleeps: some 200 µs, about the gap between two kernels of
/// one training step. Being woken costs a thread of a virtual machine 50 µs and more, at every kernel.
const SPINS: u32 = 20_000;

thread_local! {
    static INSIDE_TASK: Cell<bool> = const { Cell::new(false) };
}

/// Worker threads, created once, that share out the tasks of one loop at a time.
///
/// Each thread begins with its own part of the tasks, the same in every loop of as many, so that what it wrote in one loop it
/// finds in its own caches in the next; then it helps the others. Kernels never let a result depend on who runs what.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Held for the length of a loop, so that loops of several callers follow one another.
    turn: Mutex<()>,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    done: Condvar,
    /// Counts the loops; a spinning worker watches it.
    generation: AtomicU64,
    /// As `State::active`; the spinning caller watches it.
    active: AtomicUsize,
    /// The next task of each thread's part.
    next: Vec<Next>,
}

/// On a cache line of its own: its thread counts up at every task, and others seldom look.
#[repr(align(64))]
struct Next(AtomicUsize);

#[derive(Default)]
struct State {
    job: Option<Job>,
    active: usize,
    panic: Option<Box<dyn Any + Send>>,
    stop: bool,
}

/// A loop in progress. The pointer is valid while `State::job` holds it or a worker counts as active.
#[derive(Clone, Copy)]
struct Job {
    body: *const (dyn Fn(usize) + Sync),
    tasks: usize,
}

// SAFETY: the pointee is Sync, and `Pool::run` keeps it alive until no worker can reach it.
unsafe impl Send for Job {}

impl Pool {
    /// A pool of `threads` threads, the caller's included; 0 means one for every core.
    pub fn new(threads: usize) -> Pool {
        let threads = if threads == 0 { std::thread::available_parallelism().map_or(1, |n| n.get()) } else { threads };
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            wake: Condvar::new(),
            done: Condvar::new(),
            generation: AtomicU64::new(0),
            active: AtomicUsize::new(0),
            next: (0..threads).map(|_| Next(AtomicUsize::new(0))).collect(),
        });
        let workers = (1..threads)
            .filter_map(|n| {
                let shared = Arc::clone(&shared);
                // A machine that refuses a thread gets a smaller pool: slower, same results.
                std::thread::Builder::new().name(format!("kernel-{n}")).spawn(move || shared.work(n)).ok()
            })
            .collect();
        Pool { shared, workers, turn: Mutex::new(()) }
    }

    /// Number of threads that run tasks, the caller's included.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `f(n, part)` for each part of `each` elements, the last may have fewer; parts are worked on at the same time.
    ///
    /// # Panics
    /// If `each` is 0.
    pub fn for_parts<T: Send>(&self, data: &mut [T], each: usize, f: impl Fn(usize, &mut [T]) + Sync) {
        let len = data.len();
        let shared = SharedMut::new(data);
        // SAFETY: each task has its own part.
        self.run(len.div_ceil(each), |n| f(n, unsafe { shared.part(n * each..(n * each + each).min(len)) }));
    }

    /// Calls `f(0)` … `f(tasks - 1)`, each once, on any thread and in any order, and returns when all are done.
    ///
    /// A panic of a task is passed on to the caller. Called from inside a task, the loop runs on that thread alone.
    pub fn run(&self, tasks: usize, f: impl Fn(usize) + Sync) {
        if self.workers.is_empty() || tasks <= 1 || INSIDE_TASK.get() {
            (0..tasks).for_each(f);
            return;
        }
        let _turn = lock(&self.turn);
        let body: &(dyn Fn(usize) + Sync) = &f;
        // SAFETY: only the lifetime changes. The job is withdrawn below, and all workers have left it, before `f` goes out of
        // scope.
        let body =
            unsafe { std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), *const (dyn Fn(usize) + Sync)>(body) };
        let job = Job { body, tasks };
        for (part, next) in self.shared.next.iter().enumerate() {
            next.0.store(job.part(part, self.shared.next.len()).start, Ordering::Relaxed);
        }
        self.shared.tell(|state| state.job = Some(job));

        let mine = catch_unwind(AssertUnwindSafe(|| job.work(&self.shared.next, 0)));

        lock(&self.shared.state).job = None;
        // No worker can take the job any more; those that have it are about to end.
        spin_until(|| self.shared.active.load(Ordering::Acquire) == 0);
        let mut state = lock(&self.shared.state);
        while state.active > 0 {
            state = self.shared.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let theirs = state.panic.take();
        drop(state);
        if let Some(panic) = mine.err().or(theirs) {
            resume_unwind(panic);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.tell(|state| state.stop = true);
        for worker in self.workers.drain(..) {
            // Workers catch the panics of tasks, so there is nothing to report.
            let _ = worker.join();
        }
    }
}

impl Job {
    /// The tasks that one of so many threads begins with.
    fn part(self, thread: usize, threads: usize) -> Range<usize> {
        thread * self.tasks / threads..(thread + 1) * self.tasks / threads
    }

    fn work(self, next: &[Next], thread: usize) {
        INSIDE_TASK.set(true);
        // SAFETY: the caller is `run` itself or a worker counted in `State::active`; `run` keeps it alive for them.
        let body = unsafe { &*self.body };
        let result = catch_unwind(AssertUnwindSafe(|| {
            for part in (thread..next.len()).chain(0..thread) {
                let end = self.part(part, next.len()).end;
                loop {
                    let task = next[part].0.fetch_add(1, Ordering::Relaxed);
                    if task >= end {
                        break;
                    }
                    body(task);
                }
            }
        }));
        INSIDE_TASK.set(false);
        if let Err(panic) = result {
            next.iter().for_each(|next| next.0.store(self.tasks, Ordering::Relaxed));
            resume_unwind(panic);
        }
    }
}

impl Shared {
    /// Changes the state and wakes the workers. The generation changes under the lock: a worker that has found it unchanged,
    /// and is about to wait, would miss the call.
    fn tell(&self, change: impl FnOnce(&mut State)) {
        let mut state = lock(&self.state);
        change(&mut state);
        self.generation.fetch_add(1, Ordering::Release);
        drop(state);
        self.wake.notify_all();
    }

    fn work(&self, thread: usize) {
        let mut seen = 0;
        loop {
            spin_until(|| self.generation.load(Ordering::Acquire) != seen);
            let mut state = lock(&self.state);
            while self.generation.load(Ordering::Acquire) == seen {
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            seen = self.generation.load(Ordering::Acquire);
            if state.stop {
                return;
            }
            let Some(job) = state.job else { continue };
            state.active += 1;
            self.active.store(state.active, Ordering::Release);
            drop(state);
            let result = catch_unwind(AssertUnwindSafe(|| job.work(&self.next, thread)));
            let mut state = lock(&self.state);
            state.active -= 1;
            self.active.store(state.active, Ordering::Release);
            if let Err(panic) = result {
                state.panic.get_or_insert(panic);
            }
            if state.active == 0 {
                self.done.notify_one();
            }
        }
    }
}

/// Looks again and again, for a while.
fn spin_until(come: impl Fn() -> bool) {
    for _ in 0..SPINS {
        if come() {
            return;
        }
        std::hint::spin_loop();
    }
}

/// No code panics while it holds one of these locks, so a poisoned one is still sound.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once() {
        for threads in [1, 2, 3, 7] {
            let pool = Pool::new(threads);
            for tasks in [0, 1, 2, 5, 100, 1000] {
                let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
                pool.run(tasks, |task| {
                    counts[task].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1), "{threads} threads, {tasks} tasks");
            }
        }
    }

    #[test]
    fn a_thread_that_is_done_with_its_part_helps_the_others() {
        let pool = Pool::new(2);
        // The first task lasts until all others are done, those of its own thread's part among them.
        let left = AtomicUsize::new(9);
        pool.run(10, |task| {
            if task > 0 {
                left.fetch_sub(1, Ordering::Release);
            }
            while task == 0 && left.load(Ordering::Acquire) > 0 {
                std::thread::yield_now();
            }
        });
        assert_eq!(left.into_inner(), 0);
    }

    #[test]
    fn nested_and_concurrent_loops_finish() {
        let pool = Pool::new(3);
        let sum = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    pool.run(10, |_| {
                        pool.run(10, |task| {
                            sum.fetch_add(task, Ordering::Relaxed);
                        });
                    });
                });
            }
        });
        assert_eq!(sum.into_inner(), 2 * 10 * 45);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let pool = Pool::new(2);
        let result = catch_unwind(AssertUnwindSafe(|| pool.run(50, |task| assert!(task != 17, "task 17"))));
        assert!(result.is_err());
        let ran = AtomicUsize::new(0);
        pool.run(8, |_| {
            ran.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(ran.into_inner(), 8);
    }
}
