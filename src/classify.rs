//! Does a line stand on its head? The text-line classifier `[1, 3, 48, 192]` to the probabilities of 0 and 180 degrees.

use crate::error::StageError;
use crate::image::PixelView;
use crate::image::resize::{self, ResizeScratch};
use crate::infer::{Network, Shape};
use crate::models::{Kind, Manifest, ModelError};
use crate::prepare::Normaliser;
use std::sync::Arc;

/// A classifier of text lines.
pub struct Classifier {
    network: Arc<dyn Network>,
    normaliser: Normaliser,
    width: usize,
    height: usize,
    /// Which output means 180 degrees.
    turned: usize,
    /// Probability above which it is believed.
    thresh: f32,
}

/// What one thread needs.
#[derive(Default)]
pub struct Scratch {
    resize: ResizeScratch,
    pixels: Vec<u8>,
    input: Vec<f32>,
    output: Vec<f32>,
}

impl Classifier {
    /// Binds a network; refuses one that does not tell 0 from 180 degrees.
    pub fn new(network: Arc<dyn Network>, manifest: &Manifest, thresh: Option<f32>) -> Result<Classifier, ModelError> {
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
        let probe = Shape::picture(height, width);
        let output = network.output_shape(probe).map_err(|e| wrong(e.to_string()))?;
        if output.axes() != [1, facts.labels_deg.len()] {
            return Err(wrong(format!("for {probe} it answers {output}, not 1x{}", facts.labels_deg.len())));
        }
        let thresh = thresh.unwrap_or(facts.thresh);
        Ok(Classifier { normaliser: Normaliser::new(&manifest.input), network, width, height, turned, thresh })
    }

    /// Whether the line stands on its head: class 180 is the likeliest and above the threshold.
    pub fn is_turned(&self, line: PixelView<'_>, scratch: &mut Scratch) -> Result<bool, StageError> {
        let ratio = line.width() as f64 / line.height().max(1) as f64;
        let scaled = ((self.height as f64 * ratio).ceil() as usize).clamp(1, self.width);
        scratch.pixels.resize(scaled * self.height * 3, 0);
        resize::linear(line, &mut scratch.pixels, scaled, self.height, &mut scratch.resize)?;
        let mut model = self.network.at(Shape::picture(self.height, self.width))?;
        scratch.input.resize(model.input_shape().elements(), 0.0);
        scratch.output.resize(model.output_shape().elements(), 0.0);
        self.normaliser.fill(&scratch.pixels, scaled, &mut scratch.input, self.width, self.height);
        model.run(&scratch.input, &mut scratch.output)?;
        let p = scratch.output.get(self.turned).copied().unwrap_or(0.0);
        Ok(p > self.thresh && scratch.output.iter().all(|other| *other <= p))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Picture;
    use crate::infer::fake::FakeNetwork;

    /// Says 180 with the brightness of the first pixel.
    fn fake() -> Arc<FakeNetwork> {
        Arc::new(FakeNetwork::new(|_, input| {
            let p = (input[0] + 1.0) / 2.0;
            (Shape::from_slice(&[1, 2]).unwrap(), vec![1.0 - p, p])
        }))
    }

    #[test]
    fn only_a_sure_180_turns_a_line() {
        let manifest = Manifest::parse(include_str!("../models/ppocr-mobile-v2-cls.toml")).unwrap();
        let classifier = Classifier::new(fake(), &manifest, None).unwrap();
        for (grey, turned) in [(255, true), (200, false), (0, false)] {
            let line = Picture::new(40, 20, [grey; 3]).unwrap();
            assert_eq!(classifier.is_turned(line.view(), &mut Scratch::default()).unwrap(), turned, "{grey}");
        }
    }

    #[test]
    fn a_network_of_another_shape_is_refused() {
        let manifest = Manifest::parse(include_str!("../models/ppocr-mobile-v2-cls.toml")).unwrap();
        let other = FakeNetwork::new(|_, _| (Shape::from_slice(&[1, 4]).unwrap(), vec![0.0; 4]));
        assert!(matches!(Classifier::new(Arc::new(other), &manifest, None), Err(ModelError::WrongKind { .. })));
    }
}
