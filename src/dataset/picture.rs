//! An image as text, for a terminal.

use super::View;

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// Half blocks in 24-bit colour: two pixels a cell.
    Truecolor,
    /// Half blocks in the 256-colour palette.
    Palette,
    /// Characters by brightness, two columns a pixel, and no escape sequences.
    Ascii,
}

/// From dark to bright.
const RAMP: &[u8] = b" .:-=+*#%@";

/// The RGB value of pixel (x, y) of an image `[C, H, W]` of the view's size; grey where there is one channel, black below it.
fn rgb(image: &[u8], view: View, x: usize, y: usize) -> [u8; 3] {
    if y == view.height() {
        return [0; 3];
    }
    let plane = view.height() * view.width();
    std::array::from_fn(|colour| image[colour.min(view.channels() - 1) * plane + y * view.width() + x])
}

/// The columns of a terminal that an image takes.
pub fn columns(view: View, ink: Ink) -> usize {
    if ink == Ink::Ascii { 2 * view.width() } else { view.width() }
}

/// The lines of text that show an image `[C, H, W]` of the view's size, each with its colours reset at the end.
pub fn lines(image: &[u8], view: View, ink: Ink) -> Vec<String> {
    let pixel = |x, y| rgb(image, view, x, y);
    if ink == Ink::Ascii {
        let characters = |y| (0..view.width()).map(move |x| RAMP[brightness(pixel(x, y)) * RAMP.len() / 256] as char);
        return (0..view.height()).map(|y| characters(y).flat_map(|c| [c, c]).collect()).collect();
    }
    let colour = |rgb: [u8; 3]| match ink {
        Ink::Truecolor => format!("2;{};{};{}", rgb[0], rgb[1], rgb[2]),
        _ => format!("5;{}", palette(rgb)),
    };
    (0..view.height())
        .step_by(2)
        .map(|y| {
            let cells =
                (0..view.width()).map(|x| format!("\x1b[38;{};48;{}m▀", colour(pixel(x, y)), colour(pixel(x, y + 1))));
            cells.chain(["\x1b[0m".to_owned()]).collect()
        })
        .collect()
}

fn brightness([red, green, blue]: [u8; 3]) -> usize {
    (usize::from(red) * 299 + usize::from(green) * 587 + usize::from(blue) * 114) / 1000
}

/// The nearest colour of xterm's palette: the grey ramp (232..=255) for greys, else the cube (16..=231).
fn palette(rgb: [u8; 3]) -> usize {
    if rgb[0] == rgb[1] && rgb[1] == rgb[2] {
        // Greys are 8, 18, … 238; black and white are corners of the cube.
        return match rgb[0] {
            0..4 => 16,
            247.. => 231,
            grey => 232 + (usize::from(grey).saturating_sub(3) / 10).min(23),
        };
    }
    // Steps of the cube are 0, 95, 135, 175, 215, 255.
    let step = |value: u8| match value {
        0..48 => 0,
        48..115 => 1,
        value => (usize::from(value) - 35) / 40,
    };
    16 + 36 * step(rgb[0]) + 6 * step(rgb[1]) + step(rgb[2])
}

#[cfg(test)]
mod tests {
    use super::super::DatasetId;
    use super::*;

    #[test]
    fn half_blocks_carry_two_rows_in_colour() {
        let mut image = vec![0; DatasetId::Cifar10.pixels()];
        image[1] = 250; // red at (1, 0)
        image[1024 + 32] = 7; // green at (0, 1)
        let lines = lines(&image, DatasetId::Cifar10.into(), Ink::Truecolor);
        assert_eq!(lines.len(), 16);
        assert!(lines[0].starts_with("\x1b[38;2;0;0;0;48;2;0;7;0m▀\x1b[38;2;250;0;0;48;2;0;0;0m▀"), "{:?}", lines[0]);
        assert!(lines.iter().all(|line| line.matches('▀').count() == 32 && line.ends_with("\x1b[0m")));
    }

    #[test]
    fn ascii_is_twice_as_wide_as_the_image_and_follows_brightness() {
        let mut image = vec![0; 784];
        (image[0], image[1]) = (255, 128);
        let view = View::from(DatasetId::Mnist);
        let lines = lines(&image, view, Ink::Ascii);
        assert_eq!((lines.len(), lines[0].len()), (28, columns(view, Ink::Ascii)));
        assert_eq!(lines[0].trim_end(), "@@++");
    }

    #[test]
    fn a_window_of_an_odd_height_ends_in_black() {
        let view = View::new(DatasetId::Mnist, Some(3));
        let lines = lines(&[200; 9], view, Ink::Truecolor);
        assert_eq!(lines.len(), 2);
        assert!(lines[1].starts_with("\x1b[38;2;200;200;200;48;2;0;0;0m▀"), "{:?}", lines[1]);
        assert!(lines.iter().all(|line| line.matches('▀').count() == columns(view, Ink::Truecolor)));
    }

    #[test]
    fn the_palette_has_the_nearest_colour() {
        let value = |index: usize| -> [i32; 3] {
            const STEPS: [i32; 6] = [0, 95, 135, 175, 215, 255];
            match index {
                232.. => [8 + 10 * (index as i32 - 232); 3],
                _ => [(index - 16) / 36, (index - 16) / 6 % 6, (index - 16) % 6].map(|step| STEPS[step]),
            }
        };
        for grey in 0..=255u8 {
            assert!((value(palette([grey; 3]))[0] - i32::from(grey)).abs() <= 8, "grey {grey}");
        }
        for rgb in [[0, 0, 255], [100, 47, 48], [115, 114, 155], [234, 235, 0]] {
            let found = value(palette(rgb));
            assert!((0..3).all(|i| (found[i] - i32::from(rgb[i])).abs() <= 48), "{rgb:?} became {found:?}");
        }
    }
}
