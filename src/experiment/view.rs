//! What a net sees of a data set's images.

use super::DatasetId;

/// The images of a data set as a net sees them: whole, or a square window of each.
///
/// Windows of training images are drawn at random where a batch is augmented; everywhere else they are the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct View {
    /// Whose images.
    pub id: DatasetId,
    /// The window's side in pixels.
    crop: Option<usize>,
}

impl View {
    /// Windows of `crop` × `crop` pixels; `None`, or the images' own side, is the whole image.
    ///
    /// # Panics
    /// If a window does not fit into the images, or has no pixel: parsing a config refuses both.
    pub fn new(id: DatasetId, crop: Option<usize>) -> View {
        if let Some(side) = crop {
            assert!((1..=id.height().min(id.width())).contains(&side), "no window of {side} pixels in {id}");
        }
        View { id, crop: crop.filter(|&side| (side, side) != (id.height(), id.width())) }
    }

    /// The window's side, where there is a window.
    pub fn crop(self) -> Option<usize> {
        self.crop
    }

    /// Colour channels: 1 or 3.
    pub fn channels(self) -> usize {
        self.id.channels()
    }

    /// Rows of what a net sees.
    pub fn height(self) -> usize {
        self.crop.unwrap_or(self.id.height())
    }

    /// Columns of what a net sees.
    pub fn width(self) -> usize {
        self.crop.unwrap_or(self.id.width())
    }

    /// Values of what a net sees: channels × height × width.
    pub fn pixels(self) -> usize {
        self.channels() * self.height() * self.width()
    }

    /// Rows and columns of a whole image that a window leaves out; half of them, rounded down, lie before the middle one.
    pub fn slack(self) -> (usize, usize) {
        (self.id.height() - self.height(), self.id.width() - self.width())
    }
}

impl From<DatasetId> for View {
    fn from(id: DatasetId) -> View {
        View::new(id, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_of_the_whole_side_is_the_whole_image() {
        let tiny = DatasetId::TinyImagenet;
        assert_eq!(View::new(tiny, Some(64)), tiny.into());
        let view = View::new(tiny, Some(56));
        assert_eq!((view.pixels(), view.slack(), view.crop()), (9408, (8, 8), Some(56)));
        assert_eq!(View::from(tiny).slack(), (0, 0));
    }

    #[test]
    #[should_panic(expected = "no window of 29 pixels in mnist")]
    fn a_window_larger_than_the_image_is_none() {
        View::new(DatasetId::Mnist, Some(29));
    }
}
