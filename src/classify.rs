//! Is a line upside down? The text-line classifier: `[1, 3, 48, 192]` to the probabilities of 0 and 180 degrees.

use crate::image::resize::{self, ResizeScratch};
use crate::image::{CHANNELS, PixelView};
use crate::infer::{Model, Session, Shape};
use crate::models::manifest::ChannelOrder;
use crate::models::{Kind, Manifest, ModelError};
use crate::network_input;
use crate::stage::StageError;
use std::sync::Arc;

/// A classifier of text lines.
pub struct Classifier {
    session: Arc<dyn Session>,
    order: ChannelOrder,
    width: usize,
    height: usize,
    /// Which output means 180 degrees.
    turned: usize,
    /// Probability above which it is believed.
    thresh: f32,
}

impl Classifier {
    /// Binds a network; refuses one that does not tell 0 from 180 degrees.
    pub fn new(model: Arc<dyn Model>, manifest: &Manifest, thresh: Option<f32>) -> Result<Classifier, ModelError> {
        let wrong =
            |reason: String| ModelError::WrongKind { name: manifest.name.clone(), kind: Kind::Classifier, reason };
        let (Some(facts), Some(height), Some(width)) =
            (&manifest.classifier, manifest.input.height_px, manifest.input.width_px)
        else {
            return Err(wrong("its manifest is of another kind".into()));
        };
        let turned = facts
            .labels_deg
            .iter()
            .position(|deg| *deg == 180)
            .ok_or_else(|| wrong("no class of its manifest is 180 degrees".into()))?;
        let probe = Shape::image(height, width);
        let session = model.session(probe).map_err(|e| wrong(e.to_string()))?;
        let output = session.output_shape();
        if output.axes() != [1, facts.labels_deg.len()] {
            return Err(wrong(format!("for {probe} it answers {output}, not 1x{}", facts.labels_deg.len())));
        }
        let thresh = thresh.unwrap_or(facts.thresh);
        Ok(Classifier { session, order: manifest.input.channel_order, width, height, turned, thresh })
    }

    /// Bytes of memory that [`is_turned`](Self::is_turned) needs.
    pub fn memory_bytes(&self) -> usize {
        self.session.memory_bytes()
    }

    /// Whether the line is upside down: class 180 is the most likely one, and above the threshold.
    pub fn is_turned(
        &self,
        line: PixelView<'_>,
        memory: &mut [u8],
        resize: &mut ResizeScratch,
    ) -> Result<bool, StageError> {
        let ratio = line.width() as f64 / line.height().max(1) as f64;
        let columns = ((self.height as f64 * ratio).ceil() as usize).clamp(1, self.width);
        let input = self.session.input(memory)?;
        resize::linear(line, &mut input[..columns * self.height * CHANNELS], columns, self.height, resize)?;
        network_input::expand_rows_in_place(input, columns, self.width, self.height, self.order);
        let answer = self.session.run(memory, &[columns], None)?;
        let p = answer.get(self.turned);
        Ok(p > self.thresh && (0..answer.len()).all(|other| answer.get(other) <= p))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Image;
    use crate::infer::fake::FakeModel;
    use crate::memory::Workspace;

    /// Says 180 with the brightness of the first pixel.
    fn fake() -> Arc<FakeModel> {
        Arc::new(FakeModel::new(|_, input| {
            let p = (input[0] + 1.0) / 2.0;
            (Shape::from_slice(&[1, 2]).unwrap(), vec![1.0 - p, p])
        }))
    }

    #[test]
    fn only_a_sure_180_turns_a_line() {
        let manifest = Manifest::parse(include_str!("../models/ppocr-mobile-v2-cls.toml")).unwrap();
        let classifier = Classifier::new(fake(), &manifest, None).unwrap();
        for (grey, turned) in [(255, true), (200, false), (0, false)] {
            let line = Image::new(40, 20, [grey; 3]).unwrap();
            let mut workspace = Workspace::on_heap();
            let memory = workspace.bytes(classifier.memory_bytes()).unwrap();
            let answer = classifier.is_turned(line.view(), memory, &mut ResizeScratch::default());
            assert_eq!(answer.unwrap(), turned, "{grey}");
        }
    }

    #[test]
    fn a_network_of_another_shape_is_refused() {
        let manifest = Manifest::parse(include_str!("../models/ppocr-mobile-v2-cls.toml")).unwrap();
        let other = FakeModel::new(|_, _| (Shape::from_slice(&[1, 4]).unwrap(), vec![0.0; 4]));
        assert!(matches!(Classifier::new(Arc::new(other), &manifest, None), Err(ModelError::WrongKind { .. })));
    }
}
