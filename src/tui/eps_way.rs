//! The way that ε_train goes in a run, as an axis: where it climbs or falls the axis is as long as that takes it, and where it
//! stands there is a strip along which the epochs go on. So the axis rises with the epoch whatever ε_train does.

use std::fmt;

use super::wording;
use crate::experiment::{Config, Schedules};

/// The way of ε_train.
#[derive(Clone, Debug, PartialEq)]
pub struct EpsWay {
    /// Where epochs lie, in their order.
    places: Vec<Place>,
    /// Where it moves, in their order; all of them together are as long as 1.
    stretches: Vec<Stretch>,
    /// What ε_train is counted in: 1, or 1/255 where the config does so.
    parts: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    epoch: f64,
    x: f64,
}

/// A part of the way that leads up, or down.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stretch {
    /// Where it begins on the axis, and where it ends.
    x: (f64, f64),
    /// ε_train at both ends.
    eps: (f64, f64),
}

/// How long a strip is, beside a way of 1.
const STRIP: f64 = 0.15;
/// Places that are looked at between two epochs at which the schedule has a bend.
const PLACES: u32 = 128;
/// By less than this part of its largest, ε_train has not moved.
const STANDS: f64 = 1e-9;

impl EpsWay {
    /// The way in a run of this config.
    pub fn new(config: &Config, schedules: &Schedules) -> EpsWay {
        let last = schedules.epochs().max(1e-9);
        let schedule = &config.schedule;
        let hold = config.loss.eps_train_hold;
        let mut bends =
            vec![0.0, schedule.ramp_start, schedule.ramp_end, schedule.eps_start, schedule.eps_end, hold, last];
        bends.retain(|epoch| (0.0..=last).contains(epoch));
        bends.sort_by(f64::total_cmp);
        bends.dedup();
        let eps = |epoch: f64| schedules.at(epoch).eps_train;
        // Between bends the epochs, and ε_train just before and just after each: it may jump where a ramp is empty.
        let pieces: Vec<Vec<(f64, f64)>> = (bends.windows(2))
            .map(|ends| {
                let (from, to) = (ends[0], ends[1]);
                let at = |part: u32| from + (to - from) * f64::from(part) / f64::from(PLACES);
                let before_the_end = from + (to - from) * (1.0 - 1e-9);
                (0..=PLACES)
                    .map(|part| (at(part), eps(if part == PLACES { before_the_end } else { at(part) })))
                    .collect()
            })
            .collect();
        let all = || pieces.iter().flatten().chain([(last, eps(last))].iter()).copied().collect::<Vec<_>>();
        let largest = all().iter().fold(0.0_f64, |largest, place| largest.max(place.1));
        let whole = variation(&all());
        let parts = if config.loss.eps_train.to_string().ends_with("/255") { 255.0 } else { 1.0 };
        if whole <= largest * STANDS {
            let places = vec![Place { epoch: 0.0, x: 0.0 }, Place { epoch: last, x: 1.0 }];
            return EpsWay { places, stretches: Vec::new(), parts };
        }
        let mut way = EpsWay { places: Vec::new(), stretches: Vec::new(), parts };
        let (mut x, mut before) = (0.0, eps(0.0));
        for piece in pieces {
            let stands = variation(&piece) <= largest * STANDS;
            let (from, length) = (piece[0].0, piece[piece.len() - 1].0 - piece[0].0);
            for (epoch, eps) in piece {
                let moved = (eps - before).abs() / whole;
                if (eps - before).abs() > largest * STANDS {
                    way.go((x, x + moved), (before, eps));
                }
                x += moved;
                before = eps;
                let strip = if stands { STRIP * (epoch - from) / length } else { 0.0 };
                way.places.push(Place { epoch, x: x + strip });
            }
            if stands {
                x += STRIP;
            }
        }
        let jump = (eps(last) - before).abs();
        if jump > largest * 1e-6 {
            way.go((x, x + jump / whole), (before, eps(last)));
            way.places.push(Place { epoch: last, x: x + jump / whole });
        }
        way.begin_where_it_moves();
        way
    }

    /// Goes on along the axis: in the same direction the last stretch becomes longer.
    fn go(&mut self, x: (f64, f64), eps: (f64, f64)) {
        match self.stretches.last_mut() {
            Some(last) if (last.x.1 - x.0).abs() < 1e-6 && (last.eps.1 > last.eps.0) == (eps.1 > eps.0) => {
                (last.x.1, last.eps.1) = (x.1, eps.1);
            }
            _ => self.stretches.push(Stretch { x, eps }),
        }
    }

    /// Puts 0 where ε_train begins to move, so that what stands before it does not shift the rest.
    fn begin_where_it_moves(&mut self) {
        let start = self.stretches.first().map_or(0.0, |stretch| stretch.x.0);
        for place in &mut self.places {
            place.x -= start;
        }
        for stretch in &mut self.stretches {
            stretch.x = (stretch.x.0 - start, stretch.x.1 - start);
        }
    }

    /// Whether ε_train moves at all.
    pub fn moves(&self) -> bool {
        !self.stretches.is_empty()
    }

    /// Where an epoch lies.
    pub fn x(&self, epoch: f64) -> f64 {
        let next = self.places.partition_point(|place| place.epoch <= epoch);
        let (Some(before), Some(after)) =
            (next.checked_sub(1).and_then(|at| self.places.get(at)), self.places.get(next))
        else {
            let end = if next == 0 { self.places.first() } else { self.places.last() };
            return end.map_or(0.0, |place| place.x);
        };
        before.x + (after.x - before.x) * (epoch - before.epoch) / (after.epoch - before.epoch)
    }

    /// Whether a place on the axis is the same ε_train in both.
    pub fn is_like(&self, other: &EpsWay) -> bool {
        let close = |a: f64, b: f64| (a - b).abs() < 1e-6;
        let same = |(a, b): (&Stretch, &Stretch)| {
            close(a.x.0, b.x.0) && close(a.x.1, b.x.1) && close(a.eps.0, b.eps.0) && close(a.eps.1, b.eps.1)
        };
        self.stretches.len() == other.stretches.len() && self.stretches.iter().zip(&other.stretches).all(same)
    }

    /// ε_train as the config counts it: `0.45`, `12/255`.
    pub fn figure(&self, eps: f64) -> String {
        if self.parts == 1.0 {
            return wording::short((eps * 1e6).round() / 1e6);
        }
        format!("{}/255", (eps * self.parts * 10.0).round() / 10.0)
    }

    /// The axis in words: what it does, or that it does nothing, being `eps`.
    pub fn word(&self, eps: f64) -> String {
        match self.direction() {
            None => format!("ε_train, which stands at {}", self.figure(eps)),
            Some(direction) => format!("ε_train{direction}"),
        }
    }

    fn direction(&self) -> Option<Direction> {
        let up = |stretch: &Stretch| stretch.eps.1 > stretch.eps.0;
        match (self.stretches.iter().any(up), self.stretches.iter().any(|stretch| !up(stretch))) {
            (false, false) => None,
            (true, false) => Some(Direction::Up),
            (false, true) => Some(Direction::Down),
            (true, true) => Some(Direction::Both),
        }
    }

    /// Places on the axis and what ε_train is there.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        let step =
            nice(self.stretches.iter().map(|stretch| (stretch.eps.1 - stretch.eps.0).abs()).sum::<f64>() * self.parts);
        let mut ticks: Vec<(f64, String)> = Vec::new();
        for stretch in &self.stretches {
            let (low, high) =
                (stretch.eps.0.min(stretch.eps.1) * self.parts, stretch.eps.0.max(stretch.eps.1) * self.parts);
            let first = (low / step).ceil();
            let inside = (0..12).map(|index| (first + f64::from(index)) * step);
            // The ends have ticks of their own.
            let inside = inside.filter(|value| *value > low + step / 4.0 && *value < high - step / 4.0);
            let mut values: Vec<f64> = inside.map(|value| value / self.parts).collect();
            if stretch.eps.1 < stretch.eps.0 {
                values.reverse();
            }
            let length = (stretch.x.1 - stretch.x.0) / (stretch.eps.1 - stretch.eps.0).abs();
            let at = |value: f64| stretch.x.0 + (value - stretch.eps.0).abs() * length;
            let ends = |eps: f64, x: f64| (x, self.figure(eps));
            let begin = ends(stretch.eps.0, stretch.x.0);
            if ticks.last().is_none_or(|last| *last != begin) {
                ticks.push(begin);
            }
            ticks.extend(values.into_iter().map(|value| (at(value), self.figure(value))));
            ticks.push(ends(stretch.eps.1, stretch.x.1));
        }
        ticks
    }
}

/// Where it goes, behind its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
    Both,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::Up => "",
            Direction::Down => ", falling",
            Direction::Both => ", up and down",
        })
    }
}

/// How far it goes in all.
fn variation(places: &[(f64, f64)]) -> f64 {
    places.windows(2).map(|pair| (pair[1].1 - pair[0].1).abs()).sum()
}

/// A round step of which about six make this length.
fn nice(length: f64) -> f64 {
    let power = 10f64.powf((length / 6.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| length / step <= 7.0).unwrap_or(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::parse;

    fn way(loss: &str, schedule: &str) -> EpsWay {
        let text = format!(
            "data.dataset = 'cifar10'\nmodel = {{ depth = 2, width = 5 }}\n\
             train = {{ epochs = 100, batch_size = 8, lr = 0.1 }}\nschedule = {{ ramp_start = 20, ramp_end = 80{schedule} }}\n\
             loss = {{ lambda = 0.1{loss} }}\neval.eps = '8/255'"
        );
        let config = parse(&text).unwrap();
        EpsWay::new(&config, &Schedules::new(&config))
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-6
    }

    #[test]
    fn what_stands_is_a_strip_and_what_climbs_is_as_long_as_it_climbs() {
        let way = way(", eps_train = '8/255', eps_train_end = '24/255'", "");
        assert!(close(way.x(0.0), -STRIP) && close(way.x(10.0), -STRIP / 2.0) && close(way.x(20.0), 0.0));
        assert!(close(way.x(50.0), 0.5) && close(way.x(80.0), 1.0) && close(way.x(100.0), 1.0 + STRIP));
        assert_eq!(way.word(0.0), "ε_train");
        let ticks: Vec<String> = way.ticks().into_iter().map(|(_, text)| text).collect();
        assert_eq!(ticks, ["8/255", "10/255", "15/255", "20/255", "24/255"]);
    }

    #[test]
    fn what_falls_runs_to_the_right_all_the_same() {
        let way = way(", eps_train = 0.4, eps_train_end = 0.1", "");
        assert!(close(way.x(20.0), 0.0) && close(way.x(50.0), 0.5) && close(way.x(80.0), 1.0));
        assert_eq!(way.word(0.4), "ε_train, falling");
        let ticks = way.ticks();
        assert_eq!((ticks[0].1.as_str(), ticks.last().unwrap().1.as_str()), ("0.4", "0.1"));
        assert!(ticks.windows(2).all(|pair| pair[0].0 < pair[1].0), "{ticks:?}");
    }

    #[test]
    fn what_is_held_begins_where_it_falls() {
        let way = way(", eps_train = 0.4, eps_train_end = 0.3, eps_train_hold = 65", "");
        assert!(close(way.x(65.0), 0.0) && close(way.x(72.5), 0.5) && close(way.x(80.0), 1.0), "{way:?}");
        assert!([0.0, 20.0, 40.0, 65.0].windows(2).all(|pair| way.x(pair[0]) < way.x(pair[1])));
    }

    #[test]
    fn a_climb_from_nothing_and_a_fall_are_one_way() {
        let way = way(", eps_train = 0.4, eps_train_end = 0.2", ", eps_start = 0, eps_end = 10");
        assert_eq!(way.word(0.4), "ε_train, up and down");
        // Up by 0.4, then it stands, then down by 0.2, and stands again.
        assert!(close(way.x(0.0), 0.0) && close(way.x(10.0), 2.0 / 3.0), "{way:?}");
        assert!(close(way.x(20.0), 2.0 / 3.0 + STRIP) && close(way.x(80.0), 1.0 + STRIP));
        assert!(close(way.x(100.0), 1.0 + 2.0 * STRIP));
        assert_eq!(way.stretches.len(), 2);
    }

    #[test]
    fn what_never_moves_goes_by_epochs_and_says_so() {
        let way = way(", eps_train = '24/255'", "");
        assert!(!way.moves() && way.ticks().is_empty());
        assert!(close(way.x(25.0), 0.25));
        assert_eq!(way.word(24.0 / 255.0), "ε_train, which stands at 24/255");
    }

    #[test]
    fn ways_are_alike_where_a_place_means_the_same() {
        let one = way(", eps_train = 0.1, eps_train_end = 0.4", "");
        let loss = ", eps_train = 0.1, eps_train_end = 0.4";
        let other = way(loss, ", p_start = 4");
        assert!(one.is_like(&other) && !one.is_like(&way(", eps_train = 0.1, eps_train_end = 0.3", "")));
        assert!(!one.is_like(&way(", eps_train = 0.4, eps_train_end = 0.1", "")));
    }
}
