//! A screen drawn into memory, as the terminal would show it: for the pictures in the docs.

use std::{path::Path, time::Duration};

use anyhow::{Result, bail};
use crossterm::event::KeyEvent;
use ratatui::{buffer::Buffer, layout::Rect};
use tokio::{
    sync::{
        mpsc::{self, UnboundedReceiver},
        watch,
    },
    time::timeout,
};

use super::{
    look::Look,
    message::{Effect, Msg},
    model::Model,
    orders,
    update::update,
    view::view,
    watcher::{self, Orders},
};
use crate::store::Store;

/// How long nothing must come from the store before it counts as read.
const QUIET: Duration = Duration::from_millis(700);

/// What the screen shows of the store at `root` after these keys. Keys that would change the store are not obeyed.
pub async fn picture(root: &Path, name: &str, look: Look, size: (u16, u16), keys: &[KeyEvent]) -> Result<Buffer> {
    let store = Store::open_existing(root).await?;
    let (messages, mut inbox) = mpsc::unbounded_channel();
    let (orders, told) = watch::channel(Orders { focused: true, ..Orders::default() });
    tokio::spawn(watcher::watch_store(store.clone(), told, messages));
    let mut model = Model::new(look, jiff::tz::TimeZone::UTC, name.to_owned(), size);
    settle(&mut model, &mut inbox, &orders).await;
    for key in keys {
        let effects = update(&mut model, Msg::Key(*key));
        obey(&store, effects, &mut model, &orders).await;
        settle(&mut model, &mut inbox, &orders).await;
    }
    if !model.known.loaded {
        bail!("the store at {} could not be read in time", root.display());
    }
    let area = Rect::new(0, 0, size.0, size.1);
    let mut buffer = Buffer::empty(area);
    view(&model, area, &mut buffer);
    Ok(buffer)
}

/// Takes in what the store has to say until it falls silent.
async fn settle(model: &mut Model, inbox: &mut UnboundedReceiver<Msg>, orders: &watch::Sender<Orders>) {
    // The machine's load is news for ever; the first reading will do.
    while let Ok(Some(message)) = timeout(QUIET, inbox.recv()).await {
        let last = matches!(message, Msg::Machine(_)) && model.machine.is_some();
        follow(update(model, message), orders);
        if last {
            return;
        }
    }
}

async fn obey(store: &Store, effects: Vec<Effect>, model: &mut Model, orders: &watch::Sender<Orders>) {
    for effect in &effects {
        if matches!(effect, Effect::LoadConfigs | Effect::MeasurePace) {
            for message in orders::carry_out(store, effect.clone()).await {
                follow(update(model, message), orders);
            }
        }
    }
    follow(effects, orders);
}

fn follow(effects: Vec<Effect>, orders: &watch::Sender<Orders>) {
    for effect in effects {
        if let Effect::Follow(interest) = effect {
            orders.send_modify(|orders| orders.interest = interest);
        }
    }
}
