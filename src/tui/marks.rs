//! What happened to a run on its way, as marks on the x axis of its charts.

use super::{
    chart::Mark,
    look::{Look, Tone},
};
use crate::store::EventRow;

/// The marks of a run's events; `x` is where a step lies on the axis. Orders that changed nothing about training and
/// attempts that begin where the axis does have none.
pub fn marks(events: &[EventRow], look: &Look, x: impl Fn(u64) -> f64) -> Vec<Mark> {
    let mark = |event: &EventRow| {
        let step = event.step?;
        let text = event.text.as_str();
        let (symbol, label, tone) = match event.kind.as_str() {
            "steer" => {
                let order = text.split(" from step ").next().unwrap_or(text);
                ("▲", order.to_owned(), Tone::Warn)
            }
            "attempt" if step > 0 && text.starts_with("resumes") => ("▶", "resumed".to_owned(), Tone::Strong),
            _ => return None,
        };
        let changes = !matches!(label.as_str(), "checkpoint" | "eval");
        changes.then(|| Mark { x: x(step), symbol, label, style: look.style(tone) })
    };
    events.iter().filter_map(mark).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::look::{Depth, Plot};

    #[test]
    fn changes_and_resumptions_are_marked() {
        let event = |step: Option<u64>, kind: &str, text: &str| EventRow {
            time_ms: 0,
            step,
            kind: kind.into(),
            text: text.into(),
        };
        let events = [
            event(Some(0), "attempt", "starts: 784-512×4-10 on cpu, 100 steps"),
            event(None, "steer", "asked for lr-factor=0.5"),
            event(Some(7), "steer", "lr-factor=0.5 from step 8 on"),
            event(Some(8), "steer", "checkpoint from step 9 on"),
            event(Some(9), "attempt", "stops as asked, after step 9"),
            event(Some(9), "attempt", "resumes from the checkpoint of step 9: 784-512×4-10 on cpu, 100 steps"),
        ];
        let look = Look { plot: Plot::Ascii, unicode: false, depth: Depth::None, light: false };
        let found: Vec<(f64, String)> =
            marks(&events, &look, |step| step as f64).into_iter().map(|mark| (mark.x, mark.label)).collect();
        assert_eq!(found, [(7.0, "lr-factor=0.5".to_owned()), (9.0, "resumed".to_owned())]);
    }
}
