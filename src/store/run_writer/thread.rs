//! The writer thread: takes messages, writes them in batches, tries again what failed.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, mpsc},
    thread::{Builder, JoinHandle},
    time::Duration,
};

use tokio::runtime::{self, Runtime};

use super::{
    Trouble,
    mailbox::{Mailbox, Message},
    pen::{Opening, Pen},
};
use crate::store::{EventRow, StoreError, clock::now_ms};

/// A row is in the file after at most this.
const PATIENCE: Duration = Duration::from_millis(250);

/// Between two tries while the disk is full.
const RETRY: Duration = Duration::from_secs(1);

/// Messages in one transaction: with 7 points a step, about a thousand points.
const BATCH: usize = 144;

pub(super) fn spawn(
    opening: Opening,
    mailbox: Arc<Mailbox>,
    opened: mpsc::Sender<Result<(), StoreError>>,
) -> io::Result<JoinHandle<()>> {
    let runtime = runtime::Builder::new_current_thread().enable_time().build()?;
    Builder::new().name("run-writer".into()).spawn(move || {
        // However this thread ends, nobody shall wait for it.
        let _gone = Gone(&mailbox);
        match runtime.block_on(Pen::open(opening)) {
            Ok(pen) => {
                // Whoever opened may have given up; then the mailbox is closed and the writer ends by itself.
                let _ = opened.send(Ok(()));
                Writer { runtime, pen, mailbox: &mailbox, pending: VecDeque::new() }.run();
            }
            Err(error) => {
                let _ = opened.send(Err(error));
            }
        }
    })
}

struct Gone<'a>(&'a Mailbox);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.0.writer_gone();
    }
}

struct Writer<'a> {
    runtime: Runtime,
    pen: Pen,
    mailbox: &'a Mailbox,
    /// Taken from the mailbox and not yet in the file.
    pending: VecDeque<Message>,
}

impl Writer<'_> {
    fn run(mut self) {
        while let Some(messages) = self.mailbox.take(PATIENCE) {
            self.pending.extend(messages);
            while !self.pending.is_empty() {
                match self.write_batch() {
                    Ok(()) => self.note_recovery(),
                    Err(error) => {
                        self.report(&error);
                        self.refuse_question(error);
                        if self.mailbox.is_closed() {
                            // The last try: what is left is lost with the process, as the status says.
                            return;
                        }
                        self.mailbox.wait_for_urgent(RETRY);
                        break;
                    }
                }
            }
        }
        self.runtime.block_on(self.pen.close());
    }

    /// Writes the oldest messages, up to a batch or a question, and answers the question.
    fn write_batch(&mut self) -> Result<(), StoreError> {
        let limit = self.pending.len().min(BATCH);
        let question = self.pending.iter().take(limit).position(Message::is_question);
        let length = question.map_or(limit, |index| index + 1);
        let batch = &self.pending.make_contiguous()[..length];
        let ignored = self.runtime.block_on(self.pen.write(batch))?;
        self.mailbox.update_status(|status| status.ignored_steps += ignored);
        for reply in self.pending.drain(..length).filter_map(Message::into_reply) {
            // Who asked may no longer want to know.
            let _ = reply.send(Ok(()));
        }
        self.mailbox.done(length);
        Ok(())
    }

    /// While nothing can be written, whoever asks is told so at once; the rows themselves are kept. A second question
    /// is answered by the next try.
    fn refuse_question(&mut self, error: StoreError) {
        let Some(index) = self.pending.iter().position(Message::is_question) else { return };
        if let Some(reply) = self.pending.remove(index).and_then(Message::into_reply) {
            // Who asked may no longer want to know.
            let _ = reply.send(Err(error));
        }
        self.mailbox.done(1);
    }

    /// After a trouble is over, the run's events say what it was.
    fn note_recovery(&self) {
        let mut over = None;
        self.mailbox.update_status(|status| over = status.trouble.take());
        if let Some(trouble) = over {
            let now = now_ms();
            let seconds = (now - trouble.since_ms).max(0) / 1000;
            let text = format!("for {seconds} s nothing could be written; all of it is now: {}", trouble.text);
            let row = EventRow { time_ms: now, step: None, kind: "alarm".into(), text };
            // Does not wait for room, which only this thread makes.
            self.mailbox.push_urgent(Message::Event(row));
        }
    }

    fn report(&self, error: &StoreError) {
        let text = error.to_string();
        self.mailbox.update_status(|status| {
            let since_ms = status.trouble.as_ref().map_or_else(now_ms, |trouble| trouble.since_ms);
            status.trouble = Some(Trouble { since_ms, text, kept: self.pending.len() });
        });
    }
}
