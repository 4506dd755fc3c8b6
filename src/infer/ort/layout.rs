//! Shapes: which ones a network is prepared for, and what it answers to each.

use crate::infer::Shape;
use crate::models::Kind;

/// The shapes of a network's input that are to come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizes {
    /// The least along each axis.
    pub least: Shape,
    /// The one that comes most.
    pub usual: Shape,
    /// The greatest along each axis.
    pub greatest: Shape,
    /// Whether widths may come that are no multiple of a recogniser's step.
    pub any_width: bool,
}

impl Sizes {
    /// Whether `shape` lies between the least and the greatest along each axis.
    pub fn contain(&self, shape: Shape) -> bool {
        let axes = shape.axes().iter().zip(self.least.axes()).zip(self.greatest.axes());
        shape.axes().len() == self.least.axes().len()
            && axes.into_iter().all(|((n, least), most)| (least..=most).contains(&n))
    }
}

/// How the output of a network follows from its input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layout {
    /// `[N, 1, H, W]`.
    Map,
    /// `[N, (W + extra) / stride, classes]`.
    Steps {
        /// Columns for each step.
        stride: usize,
        /// A last step is there although so many of its columns are missing.
        extra: usize,
        /// Classes of a step.
        classes: usize,
    },
}

impl Layout {
    /// What a network of that kind answered for `input`. `None` if no such network does.
    pub fn of(kind: Kind, input: Shape, output: &[usize]) -> Option<Layout> {
        let &[n, _, h, w] = input.axes() else { return None };
        match (kind, output) {
            (Kind::Detector, &[images, 1, height, width]) if (images, height, width) == (n, h, w) => Some(Layout::Map),
            (Kind::Recogniser, &[images, steps, classes])
                if images == n && steps > 0 && w.is_multiple_of(steps) && classes > 1 =>
            {
                Some(Layout::Steps { stride: w / steps, extra: 0, classes })
            }
            _ => None,
        }
    }

    /// Learns how a network rounds widths that are no multiple of its step, from what it answers to wider inputs.
    /// `answer` gives the shape of an output.
    ///
    /// # Errors
    /// Those of `answer`.
    pub fn learn<E>(self, input: Shape, mut answer: impl FnMut(Shape) -> Result<Vec<usize>, E>) -> Result<Layout, E> {
        let (Layout::Steps { stride, classes, .. }, &[n, _, h, w]) = (self, input.axes()) else { return Ok(self) };
        // By how many columns an input is wider that has one step more: more than `least`, and `most` do.
        let (mut least, mut most) = (0, stride);
        while most - least > 1 {
            let middle = least.midpoint(most);
            match answer(Shape::images(n, h, w + middle))?.get(1) {
                Some(steps) if *steps > w / stride => most = middle,
                _ => least = middle,
            }
        }
        Ok(Layout::Steps { stride, extra: stride - most, classes })
    }

    /// The shape of the output for `input`.
    pub fn output(self, input: Shape) -> Option<Shape> {
        let &[n, _, h, w] = input.axes() else { return None };
        match self {
            Layout::Map => Shape::from_slice(&[n, 1, h, w]),
            Layout::Steps { stride, extra, classes } => Shape::from_slice(&[n, (w + extra) / stride, classes]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_follows_from_the_first_answer() {
        let input = Shape::images(1, 48, 320);
        let steps = Layout::of(Kind::Recogniser, input, &[1, 40, 18710]).unwrap();
        assert_eq!(steps.output(Shape::images(4, 48, 808)).unwrap().axes(), [4, 101, 18710]);
        let map = Layout::of(Kind::Detector, Shape::image(160, 320), &[1, 1, 160, 320]).unwrap();
        assert_eq!(map.output(Shape::image(640, 640)).unwrap().axes(), [1, 1, 640, 640]);
    }

    #[test]
    fn rounding_of_widths_is_learnt() {
        let input = Shape::image(48, 320);
        let layout = Layout::of(Kind::Recogniser, input, &[1, 40, 9]).unwrap();
        for extra in 0..8 {
            let answer = |shape: Shape| Ok::<_, ()>(vec![1, (shape.axes()[3] + extra) / 8, 9]);
            let learnt = layout.learn(input, answer).unwrap();
            for width in 300..400 {
                assert_eq!(learnt.output(Shape::image(48, width)).unwrap().axes(), [1, (width + extra) / 8, 9]);
            }
        }
        assert_eq!(layout.learn(input, |_| Err("no")), Err("no"));
    }

    #[test]
    fn answers_of_other_networks_are_none() {
        let input = Shape::image(48, 320);
        for output in [&[1, 0, 9][..], &[1, 40, 1], &[2, 40, 9], &[1, 39, 9], &[1, 40], &[1, 1, 48, 320]] {
            assert_eq!(Layout::of(Kind::Recogniser, input, output), None, "{output:?}");
        }
        assert_eq!(Layout::of(Kind::Detector, input, &[1, 1, 24, 160]), None);
    }

    #[test]
    fn sizes_contain_what_lies_between() {
        let sizes = Sizes {
            least: Shape::image(48, 320),
            usual: Shape::images(4, 48, 320),
            greatest: Shape::images(8, 48, 3200),
            any_width: false,
        };
        assert!(sizes.contain(Shape::images(3, 48, 321)));
        for shape in [Shape::images(9, 48, 320), Shape::image(48, 319), Shape::image(47, 320), Shape::image(48, 3201)] {
            assert!(!sizes.contain(shape), "{shape}");
        }
    }
}
