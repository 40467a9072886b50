//! The real program in a terminal of its own.
#![allow(dead_code, reason = "each test program uses its part")]

use std::{
    io::{Read, Write},
    num::NonZero,
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// Long enough for the slowest machine; nothing waits for it in vain.
const PATIENCE: Duration = Duration::from_secs(300);

/// A program in a terminal, and what that terminal shows.
pub struct Terminal {
    master: Box<dyn MasterPty + Send>,
    pub child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    screen: Arc<Mutex<vt100::Parser>>,
    pub bytes: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    pub fn start(command: CommandBuilder, rows: u16, cols: u16) -> Terminal {
        Terminal::start_with(command, rows, cols, |reader, buffer| reader.read(buffer))
    }

    /// A terminal that takes what the program sends in a way of its own.
    pub fn start_with(
        command: CommandBuilder,
        rows: u16,
        cols: u16,
        take: impl Fn(&mut dyn Read, &mut [u8]) -> std::io::Result<usize> + Send + 'static,
    ) -> Terminal {
        let pair = native_pty_system().openpty(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(size(rows), size(cols), 0)));
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (seen, kept) = (Arc::clone(&screen), Arc::clone(&bytes));
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = take(&mut reader, &mut buffer) {
                kept.lock().unwrap().extend_from_slice(&buffer[..read]);
                seen.lock().unwrap().process(&buffer[..read]);
            }
        });
        let keys = pair.master.take_writer().unwrap();
        Terminal { master: pair.master, child, keys, screen, bytes }
    }

    pub fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    pub fn type_keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    pub fn resize(&mut self, rows: u16, cols: u16) {
        self.screen.lock().unwrap().screen_mut().set_size(size(rows), size(cols));
        self.master.resize(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
    }

    /// Waits until the terminal shows what is wanted.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&str) -> bool) {
        let begin = Instant::now();
        while !wanted(&self.text()) {
            assert!(begin.elapsed() < PATIENCE, "no {what} in:\n{}", self.text());
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn wait_for_text(&self, text: &str) {
        self.wait_for(text, |screen| screen.contains(text));
    }

    /// Whether the terminal shows what it showed before the program.
    pub fn is_given_back(&self) -> bool {
        let parser = self.screen.lock().unwrap();
        let screen = parser.screen();
        !screen.alternate_screen()
            && !screen.hide_cursor()
            && !screen.bracketed_paste()
            && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
    }

    /// Waits for the end; the terminal must be as it was found.
    pub fn end(mut self) -> u32 {
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begin.elapsed() < PATIENCE, "it does not end; the screen:\n{}", self.text());
            thread::sleep(Duration::from_millis(20));
        };
        while !self.is_given_back() {
            assert!(begin.elapsed() < PATIENCE, "the terminal was not given back");
            thread::sleep(Duration::from_millis(20));
        }
        status.exit_code()
    }
}

fn size(cells: u16) -> NonZero<u16> {
    NonZero::new(cells).unwrap()
}

pub fn linf_tui(store: &Path) -> CommandBuilder {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_linf-tui"));
    command.arg("--store");
    command.arg(store);
    command.env("LANG", "C.UTF-8");
    command.env_remove("LC_ALL");
    command.env_remove("LINF_ASCII");
    command.env("TERM", "xterm-256color");
    // Whatever the settings of whoever runs the tests.
    command.env("XDG_CONFIG_HOME", store.join("no-settings"));
    command.env("XDG_STATE_HOME", store.join("state"));
    command.cwd(env!("CARGO_MANIFEST_DIR"));
    command
}
