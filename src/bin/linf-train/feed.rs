//! Makes the batches ahead of the steps, on a thread of its own.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use anyhow::{Context, anyhow};

use crate::images::{EpochOrder, Filled, Images};

/// Batches that lie ready beside the one in use.
const READY: usize = 2;

/// The batches of a run from some step on, in order.
pub struct Feed {
    ready: Receiver<Filled>,
    /// Buffers that may be filled again.
    used: Sender<Filled>,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    /// The batches of the steps that follow `from` steps, up to `to`; `with_pixels` says whether values are wanted.
    pub fn new(images: Arc<Images>, from: u64, to: u64, with_pixels: bool) -> anyhow::Result<Feed> {
        let (to_trainer, ready) = sync_channel(READY - 1);
        let (used, from_trainer) = channel();
        let work = move || make(&images, from..to, with_pixels, &to_trainer, &from_trainer);
        let thread = std::thread::Builder::new().name("batches".into()).spawn(work);
        Ok(Feed { ready, used, thread: Some(thread.context("starting the thread that makes batches")?) })
    }

    /// The next batch; waits where it is not ready yet.
    ///
    /// # Errors
    /// If the thread broke down, or all batches have been taken.
    pub fn next(&mut self) -> anyhow::Result<Filled> {
        self.ready.recv().map_err(|_| match self.thread.take().map(JoinHandle::join) {
            Some(Err(_)) => anyhow!("the thread that makes batches broke down"),
            _ => anyhow!("all batches have been taken"),
        })
    }

    /// Gives a batch's buffers back.
    pub fn give_back(&self, filled: Filled) {
        // A thread that has ended needs none.
        let _ = self.used.send(filled);
    }
}

/// Ends when the trainer drops its ends of the channels.
fn make(images: &Images, steps: Range<u64>, with_pixels: bool, ready: &SyncSender<Filled>, used: &Receiver<Filled>) {
    let mut order = EpochOrder::default();
    for step in steps {
        let mut filled = used.try_recv().unwrap_or_default();
        images.fill(step, &mut order, &mut filled, with_pixels);
        if ready.send(filled).is_err() {
            return;
        }
    }
}
