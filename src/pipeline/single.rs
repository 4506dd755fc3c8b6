//! The stages by themselves: only find text, only read boxes, only read one line.

use super::Pipeline;
use super::lines::LineBox;
use crate::detect::TextBox;
use crate::error::Error;
use crate::image::PixelView;
use crate::page::OwnedLine;

impl Pipeline {
    /// Finds the boxes of text and reads none of them. The boxes are in no particular order, in pixels of `image`.
    ///
    /// The image is taken as it is: regions, turn and enhancements of the configuration are of no effect, and there is
    /// no second look for dotted print, which [`run`](Self::run) takes where it read nothing certain.
    ///
    /// # Errors
    /// [`Error::Config`] in a pipeline of [`Mode::Line`](crate::config::Mode::Line), which has no detector;
    /// [`Error::Infer`] if the network fails.
    pub fn detect<'a>(&mut self, image: impl Into<PixelView<'a>>) -> Result<Vec<TextBox>, Error> {
        self.stages.detect(image.into())
    }

    /// Reads given boxes: those of [`detect`](Self::detect), or others, by `TextBox::from(corners)`. The answer has one
    /// line for each box, in the order of the boxes. Nothing is left out for a low score; where nothing is read, the
    /// text is empty and the score 0.
    ///
    /// A box that is higher than wide is turned, and with [`Config::classify`](crate::Config) one that is upside down,
    /// too. Regions, turn and enhancements of the configuration are of no effect; allowed characters and pattern are.
    ///
    /// # Errors
    /// [`Error::Infer`] if a network fails.
    pub fn recognise<'a>(
        &mut self,
        image: impl Into<PixelView<'a>>,
        boxes: &[TextBox],
    ) -> Result<Vec<OwnedLine>, Error> {
        self.stages.boxes.clear();
        self.stages.boxes.extend(boxes.iter().map(LineBox::found));
        self.stages.recognise(image.into(), &self.profile)
    }

    /// Reads an image that is one line of text, cut out and upright. Works in every pipeline; no score is too low.
    ///
    /// # Errors
    /// [`Error::Infer`] if the network fails.
    pub fn recognise_line<'a>(&mut self, line: impl Into<PixelView<'a>>) -> Result<OwnedLine, Error> {
        let line = line.into();
        self.stages.boxes.clear();
        self.stages.boxes.push(LineBox::whole(line.width(), line.height()));
        let mut lines = self.stages.recognise(line, &self.profile)?;
        Ok(lines.remove(0))
    }
}
