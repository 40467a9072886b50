//! The queue between the training thread and the writer thread.

use std::{
    collections::VecDeque,
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    time::Duration,
};

use super::StepPoint;
use crate::experiment::Steered;
use crate::store::{
    AttackRow, CheckpointRow, EpochRow, EvalRow, EventRow, Findings, Gauge, Margins, Outcome, StoreError,
};

/// Where the answer to a question goes.
pub(super) type Reply = mpsc::Sender<Result<(), StoreError>>;

/// What the training thread says.
#[derive(Debug)]
pub(super) enum Message {
    Step(StepPoint),
    Gauge(u64, Gauge, f64),
    Epoch(EpochRow),
    Eval(Box<(EvalRow, Margins)>),
    Attack(Box<(AttackRow, Findings)>),
    Event(EventRow),
    Checkpoint(CheckpointRow),
    Heartbeat,
    Steered(Vec<Steered>, Reply),
    Flush(Reply),
    Finish(Outcome, Reply),
    TruncateAfter(u64, Reply),
}

impl Message {
    /// Whether somebody waits for an answer.
    pub(super) fn is_question(&self) -> bool {
        matches!(self, Message::Flush(_) | Message::Finish(..) | Message::TruncateAfter(..) | Message::Steered(..))
    }

    pub(super) fn into_reply(self) -> Option<Reply> {
        match self {
            Message::Flush(reply)
            | Message::Finish(_, reply)
            | Message::TruncateAfter(_, reply)
            | Message::Steered(_, reply) => Some(reply),
            _ => None,
        }
    }
}

/// How the writing goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriterStatus {
    /// How often training had to wait because too many messages waited already.
    pub waits: u64,
    /// Steps that came a second time and were ignored: a fault of the caller.
    pub ignored_steps: u64,
    /// Set while nothing can be written.
    pub trouble: Option<Trouble>,
}

/// Why nothing can be written at the moment. Everything logged since is kept and tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Milliseconds since the Unix epoch of the first failure.
    pub since_ms: i64,
    /// A sentence that names the file and what to do.
    pub text: String,
    /// Messages kept in memory.
    pub kept: usize,
}

/// Messages that may wait before training waits too: at 10 steps a second, almost two hours of a full disk; about 6 MB.
const CAPACITY: usize = 65_536;

/// So many wake the writer before its quarter of a second is over.
const WAKE: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Mailbox {
    state: Mutex<State>,
    /// For the writer: something urgent, much, or the end.
    wake: Condvar,
    /// For training: there is room again.
    room: Condvar,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<Message>,
    /// Messages that the writer holds and has not yet written.
    taken: usize,
    urgent: bool,
    /// No more messages will come.
    closed: bool,
    /// No more messages will be taken.
    writer_gone: bool,
    status: WriterStatus,
}

impl State {
    fn is_full(&self) -> bool {
        self.messages.len() + self.taken >= CAPACITY && !self.writer_gone
    }
}

impl Mailbox {
    pub(super) fn push(&self, message: Message) {
        let mut state = self.lock();
        if state.is_full() {
            state.status.waits += 1;
            state = self.room.wait_while(state, |state| state.is_full()).unwrap_or_else(PoisonError::into_inner);
        }
        // With nobody to take it, the message is dropped, and with it the sender of its answer: who asks learns of it.
        if !state.writer_gone {
            state.messages.push_back(message);
            if state.messages.len() == WAKE {
                self.wake.notify_one();
            }
        }
    }

    /// Does not wait for room: who asks waits for the answer anyway.
    pub(super) fn push_urgent(&self, message: Message) {
        let mut state = self.lock();
        if !state.writer_gone {
            state.messages.push_back(message);
            state.urgent = true;
            self.wake.notify_one();
        }
    }

    /// Everything that was said, after at most `patience`; `None` at the end.
    pub(super) fn take(&self, patience: Duration) -> Option<VecDeque<Message>> {
        let waits = |state: &mut State| !state.urgent && !state.closed && state.messages.len() < WAKE;
        let (mut state, _) =
            self.wake.wait_timeout_while(self.lock(), patience, waits).unwrap_or_else(PoisonError::into_inner);
        state.urgent = false;
        let messages = mem::take(&mut state.messages);
        state.taken += messages.len();
        (!messages.is_empty() || !state.closed).then_some(messages)
    }

    /// The writer has dealt with so many of the messages it took.
    pub(super) fn done(&self, messages: usize) {
        self.lock().taken -= messages;
        self.room.notify_all();
    }

    /// Waits until something urgent is said, or the end, or `patience` is over: how the writer waits while it cannot
    /// write.
    pub(super) fn wait_for_urgent(&self, patience: Duration) {
        let waits = |state: &mut State| !state.urgent && !state.closed;
        drop(self.wake.wait_timeout_while(self.lock(), patience, waits).unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub(super) fn writer_gone(&self) {
        let mut state = self.lock();
        state.writer_gone = true;
        state.messages.clear();
        self.room.notify_all();
    }

    pub(super) fn status(&self) -> WriterStatus {
        let state = self.lock();
        let mut status = state.status.clone();
        if let Some(trouble) = &mut status.trouble {
            trouble.kept = state.messages.len() + state.taken;
        }
        status
    }

    pub(super) fn update_status(&self, update: impl FnOnce(&mut WriterStatus)) {
        update(&mut self.lock().status);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread, time::Instant};

    use super::*;

    #[test]
    fn training_waits_only_when_too_much_waits_to_be_written() {
        let mailbox = Arc::new(Mailbox::default());
        (0..CAPACITY).for_each(|_| mailbox.push(Message::Heartbeat));
        assert_eq!(mailbox.status().waits, 0);
        let training = thread::spawn({
            let mailbox = Arc::clone(&mailbox);
            move || mailbox.push(Message::Heartbeat)
        });
        while mailbox.status().waits == 0 {
            thread::yield_now();
        }
        // Taken is not written: a writer that cannot write does not make room.
        assert_eq!(mailbox.take(Duration::ZERO).unwrap().len(), CAPACITY);
        thread::sleep(Duration::from_millis(10));
        assert!(!training.is_finished());
        mailbox.done(1);
        training.join().unwrap();
        assert_eq!(mailbox.take(Duration::ZERO).unwrap().len(), 1);
    }

    #[test]
    fn nobody_waits_for_a_writer_that_is_gone() {
        let mailbox = Mailbox::default();
        let (reply, answer) = mpsc::channel();
        mailbox.push_urgent(Message::Flush(reply));
        mailbox.writer_gone();
        assert!(answer.recv().is_err());
        let (reply, answer) = mpsc::channel();
        mailbox.push_urgent(Message::Flush(reply));
        assert!(answer.recv().is_err());
        (0..=CAPACITY).for_each(|_| mailbox.push(Message::Heartbeat));
    }

    #[test]
    fn a_question_wakes_the_writer_and_the_end_is_told() {
        let mailbox = Mailbox::default();
        let (reply, _answer) = mpsc::channel();
        mailbox.push_urgent(Message::Flush(reply));
        let started = Instant::now();
        assert_eq!(mailbox.take(Duration::from_secs(60)).unwrap().len(), 1);
        mailbox.close();
        assert!(mailbox.take(Duration::from_secs(60)).is_none());
        assert!(started.elapsed() < Duration::from_secs(60));
    }
}
