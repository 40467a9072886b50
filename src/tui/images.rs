//! Test images, and how one is drawn in cells.

use ratatui::style::{Color, Style};

use super::{
    graphics::{self, Graphics},
    look::{Depth, Look},
    pen::Pen,
};
use crate::dataset::{Normalizer, View, middle};

/// Columns of the widest picture: three stand side by side.
const WIDEST: u16 = 32;

/// The test images of one dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// 1 for grey, 3 for red, green and blue.
    pub channels: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
    /// All pixels, `[N, C, H, W]`.
    pub pixels: Vec<u8>,
}

impl Images {
    /// The colour of a pixel, if there is one.
    fn pixel(&self, image: usize, row: usize, column: usize) -> Option<(u8, u8, u8)> {
        let plane = self.height * self.width;
        let start = image * self.channels * plane + row * self.width + column;
        let channel = |index: usize| self.pixels.get(start + index * plane).copied();
        if row >= self.height || column >= self.width {
            return None;
        }
        match self.channels {
            3 => Some((channel(0)?, channel(1)?, channel(2)?)),
            _ => channel(0).map(|grey| (grey, grey, grey)),
        }
    }

    /// What a net sees of one of these, which are whole; nothing where there is no such image.
    pub fn seen(&self, image: usize, view: View) -> Images {
        let whole = self.pixels.chunks_exact(view.id.pixels()).nth(image);
        let pixels = whole.map_or_else(Vec::new, |whole| middle(whole, view));
        Images { channels: self.channels, height: view.height(), width: view.width(), pixels }
    }

    /// One image `[C·H·W]` as the net reads it, back in pixels.
    pub fn of_normalized(view: impl Into<View>, image: &[f32]) -> Images {
        let view = view.into();
        let normalizer = Normalizer::new(view.id);
        let plane = view.height() * view.width();
        let pixel = |(index, value): (usize, &f32)| {
            let mean = normalizer.mean().get(index / plane).copied().unwrap_or_default();
            // As a cast saturates, what lies outside is black or white.
            ((value / normalizer.scale() + mean) * 255.0).round() as u8
        };
        let pixels = image.iter().enumerate().map(pixel).collect();
        Images { channels: view.channels(), height: view.height(), width: view.width(), pixels }
    }

    /// How the one image of `other` differs from one of these: grey where it does not, the largest difference black or
    /// white; and that difference in pixel units, of [0, 1].
    pub fn difference(&self, image: usize, other: &Images) -> (Images, f64) {
        let size = self.channels * self.height * self.width;
        let these = self.pixels.get(image * size..).unwrap_or_default();
        let differences: Vec<i32> =
            these.iter().zip(&other.pixels).map(|(&this, &other)| i32::from(other) - i32::from(this)).collect();
        let most = differences.iter().map(|difference| difference.abs()).max().unwrap_or(0);
        let shade = |difference: &i32| (128 + 127 * difference / most.max(1)) as u8;
        let pixels = differences.iter().map(shade).collect();
        (Images { pixels, ..*self }, f64::from(most) / 255.0)
    }

    /// Puts an image on the screen as a picture, as large as fits. Answers the columns and rows it took.
    pub fn show(&self, image: usize, graphics: Graphics, pen: &mut Pen<'_>) -> (u16, u16) {
        let room = (pen.width().min(WIDEST), pen.height());
        let cells = graphics::cells(graphics, (self.width, self.height), room);
        let dots = (0..self.height).flat_map(|row| (0..self.width).map(move |column| (row, column)));
        let dots = dots.flat_map(|(row, column)| <[u8; 3]>::from(self.pixel(image, row, column).unwrap_or_default()));
        pen.picture(cells, (self.width as u32, self.height as u32), dots.collect());
        cells
    }

    /// Draws an image, two pixels a cell one above the other, or as shades of letters; shrinks by whole factors until it
    /// fits. Answers the columns and rows it took.
    pub fn draw(&self, image: usize, look: &Look, pen: &mut Pen<'_>) -> (u16, u16) {
        let two = look.unicode && look.depth != Depth::None;
        let aspect = if two { 1 } else { 2 };
        let mut shrink = 1;
        while shrink < 8
            && (self.width / shrink * if two { 1 } else { 2 } > usize::from(pen.width())
                || self.height / shrink > usize::from(pen.height()) * 2 / aspect)
        {
            shrink += 1;
        }
        let (columns, rows) = (self.width / shrink, self.height / shrink);
        let mean = |row: usize, column: usize| {
            let mut sum = [0u32; 3];
            for dy in 0..shrink {
                for dx in 0..shrink {
                    let (r, g, b) = self.pixel(image, row * shrink + dy, column * shrink + dx).unwrap_or_default();
                    sum = [sum[0] + u32::from(r), sum[1] + u32::from(g), sum[2] + u32::from(b)];
                }
            }
            sum.map(|value| (value / (shrink * shrink) as u32) as u8)
        };
        if two {
            for row in (0..rows).step_by(2) {
                for column in 0..columns {
                    let upper = colour(look.depth, mean(row, column));
                    let style = Style::new().fg(upper);
                    let style =
                        if row + 1 < rows { style.bg(colour(look.depth, mean(row + 1, column))) } else { style };
                    pen.symbol(column as u16, (row / 2) as u16, "▀", style);
                }
            }
            (columns as u16, rows.div_ceil(2) as u16)
        } else {
            const SHADES: [&str; 8] = [" ", ".", ":", "-", "=", "+", "#", "@"];
            for row in 0..rows {
                for column in 0..columns {
                    let [r, g, b] = mean(row, column).map(usize::from);
                    let shade = SHADES[(r * 3 + g * 6 + b) / 10 / 32];
                    for half in 0..2 {
                        pen.symbol((column * 2 + half) as u16, row as u16, shade, Style::new());
                    }
                }
            }
            (columns as u16 * 2, rows as u16)
        }
    }
}

/// The nearest colour that the terminal has.
fn colour(depth: Depth, [r, g, b]: [u8; 3]) -> Color {
    match depth {
        Depth::True => Color::Rgb(r, g, b),
        Depth::Indexed if r == g && g == b => Color::Indexed(match r {
            0..8 => 16,
            248.. => 231,
            grey => 232 + (grey - 8) / 10,
        }),
        Depth::Indexed => {
            let level = |value: u8| u8::try_from((u16::from(value) * 5 + 127) / 255).unwrap_or(5);
            Color::Indexed(16 + 36 * level(r) + 6 * level(g) + level(b))
        }
        Depth::Sixteen | Depth::None => match (u16::from(r) + u16::from(g) + u16::from(b)) / 3 {
            0..64 => Color::Black,
            64..128 => Color::DarkGray,
            128..192 => Color::Gray,
            _ => Color::White,
        },
    }
}

#[cfg(test)]
mod tests {
    use ratatui::{buffer::Buffer, layout::Rect};

    use super::*;
    use crate::dataset::{DatasetId, Split};
    use crate::tui::look::Plot;

    fn images() -> Images {
        Images { channels: 3, height: 4, width: 4, pixels: (0..96).map(|value| value * 2).collect() }
    }

    #[test]
    fn an_image_fits_where_it_is_drawn() {
        let look = Look { plot: Plot::Braille, unicode: true, depth: Depth::True, light: false };
        let mut buffer = Buffer::empty(Rect::new(0, 0, 4, 2));
        let area = buffer.area;
        assert_eq!(images().draw(1, &look, &mut Pen::new(&mut buffer, area)), (4, 2));
        assert_eq!(buffer[(0, 0)].fg, Color::Rgb(96, 128, 160));
        let small = Rect::new(0, 0, 2, 1);
        assert_eq!(images().draw(0, &look, &mut Pen::new(&mut buffer, small)), (2, 1));
    }

    #[test]
    fn what_the_net_reads_is_drawn_as_it_was() {
        for id in [DatasetId::Mnist, DatasetId::Cifar10] {
            let normalizer = Normalizer::new(id);
            let plane = id.height() * id.width();
            let pixels: Vec<u8> = (0..id.pixels()).map(|index| (index % 256) as u8).collect();
            let read = |(index, &pixel): (usize, &u8)| normalizer.table(index / plane)[usize::from(pixel)];
            let image: Vec<f32> = pixels.iter().enumerate().map(read).collect();
            let mut back = Images::of_normalized(id, &image);
            assert_eq!(back.pixels, pixels);
            back.pixels[5] = 25;
            back.pixels[6] = 0;
            let (difference, most) = Images { pixels, ..back.clone() }.difference(0, &back);
            assert_eq!((difference.pixels[4], difference.pixels[5], difference.pixels[6]), (128, 255, 90));
            assert!((most - 20.0 / 255.0).abs() < 1e-12);
        }
    }

    #[test]
    fn what_a_net_sees_is_the_middle() {
        let id = DatasetId::Cifar10;
        let pixels: Vec<u8> = (0..3 * id.pixels()).map(|index| (index * 89 % 251) as u8).collect();
        let whole = Images { channels: 3, height: id.height(), width: id.width(), pixels };
        let split = Split { images: whole.pixels.clone(), labels: vec![0; 3] };
        for side in [1, 27, 28, 32] {
            let view = View::new(id, Some(side));
            let seen = whole.seen(2, view);
            assert_eq!((seen.height, seen.width, &seen.pixels[..]), (side, side, &*split.image(view, 2)));
        }
        assert!(whole.seen(3, View::new(id, Some(28))).pixels.is_empty());
    }

    #[test]
    fn an_image_that_is_not_there_is_black() {
        let look = Look { plot: Plot::Ascii, unicode: false, depth: Depth::None, light: false };
        let mut buffer = Buffer::empty(Rect::new(0, 0, 20, 20));
        let area = buffer.area;
        images().draw(7, &look, &mut Pen::new(&mut buffer, area));
        assert!(buffer.content.iter().all(|cell| cell.symbol() == " "));
    }
}
