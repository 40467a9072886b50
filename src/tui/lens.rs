//! How charts are looked at: along which axis, how much of it, and where the cursor stands.
//!
//! Every x axis is a rising function of the fractional epoch. So cursor, zoom and pan are kept in epochs, hold when the
//! axis is switched, and are the same in all charts.

/// What the x axis shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum AxisX {
    /// Epochs.
    #[default]
    Epoch,
    /// Steps.
    Step,
    /// Time spent training.
    Time,
    /// Time by the clock since the run began, pauses and evaluations included.
    Wall,
    /// The exponent p on a logarithmic axis; where p stands still (before and after its ramp) a strip of its own.
    #[value(name = "p")]
    Exponent,
    /// The way of ε_train, up or down; where it stands still a strip.
    #[value(name = "eps")]
    Epsilon,
}

impl AxisX {
    /// All of them.
    pub const ALL: [AxisX; 6] = [AxisX::Epoch, AxisX::Step, AxisX::Time, AxisX::Wall, AxisX::Exponent, AxisX::Epsilon];

    /// The next one; `x` goes round, and leaves ε_train out where it does not move.
    pub fn next(self, eps_moves: bool) -> AxisX {
        match self {
            AxisX::Epoch => AxisX::Step,
            AxisX::Step => AxisX::Time,
            AxisX::Time => AxisX::Exponent,
            AxisX::Exponent if eps_moves => AxisX::Epsilon,
            AxisX::Exponent | AxisX::Epsilon => AxisX::Wall,
            AxisX::Wall => AxisX::Epoch,
        }
    }
}

/// How charts are looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Lens {
    /// The x axis.
    pub x: AxisX,
    /// The cursor, as an epoch.
    pub cursor: Option<f64>,
    /// What is visible, in epochs; all where none is set.
    pub window: Option<(f64, f64)>,
    /// Whether losses stand on a logarithmic axis.
    pub log_y: bool,
    /// Weight of the past in the moving average; 0 is none.
    pub smooth: f64,
    /// Whether the accuracy axis spans the curves only.
    pub fit: bool,
}

impl Default for Lens {
    fn default() -> Self {
        Lens { x: AxisX::Epoch, cursor: None, window: None, log_y: true, smooth: 0.0, fit: false }
    }
}

impl Lens {
    /// The visible epochs of a run of so many.
    pub fn visible(&self, epochs: f64) -> (f64, f64) {
        self.window.unwrap_or((0.0, epochs.max(1e-9)))
    }

    /// Moves the cursor by a part of what is visible.
    pub fn move_cursor(&mut self, part: f64, start: f64, epochs: f64) {
        let (from, to) = self.visible(epochs);
        // Where training stands may be no number; the cursor is always one.
        let start = if start.is_nan() { from } else { start.clamp(from, to) };
        let at = self.cursor.unwrap_or(start) + part * (to - from);
        self.cursor = Some(at.clamp(from, to));
    }

    /// Makes the visible part `factor` times as long, around the cursor or the middle.
    pub fn zoom(&mut self, factor: f64, epochs: f64) {
        let (from, to) = self.visible(epochs);
        let centre = self.cursor.unwrap_or(f64::midpoint(from, to));
        let length = ((to - from) * factor).max(epochs * 1e-4);
        if length >= epochs {
            self.window = None;
            return;
        }
        let start = (centre - (centre - from) / (to - from) * length).clamp(0.0, epochs - length);
        self.window = Some((start, start + length));
    }

    /// Moves the visible part by a part of its length.
    pub fn pan(&mut self, part: f64, epochs: f64) {
        if let Some((from, to)) = self.window {
            let start = (from + part * (to - from)).clamp(0.0, (epochs - (to - from)).max(0.0));
            self.window = Some((start, start + (to - from)));
        }
    }
}
