//! Shapes of tensors.

/// A tensor shape `[N, C, H, W]` of an input, or up to four axes of an output; never a symbolic axis.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Shape {
    axes: [usize; 4],
    rank: u8,
}

impl Shape {
    /// The shape of one image of three channels: `[1, 3, height, width]`.
    pub fn image(height: usize, width: usize) -> Shape {
        Shape::images(1, height, width)
    }

    /// The shape of `count` images of three channels: `[count, 3, height, width]`.
    pub fn images(count: usize, height: usize, width: usize) -> Shape {
        Shape { axes: [count, 3, height, width], rank: 4 }
    }

    /// A shape of one to four axes; `None` for any other number.
    pub fn from_slice(axes: &[usize]) -> Option<Shape> {
        let mut all = [1; 4];
        all.get_mut(..axes.len()).filter(|s| !s.is_empty())?.copy_from_slice(axes);
        Some(Shape { axes: all, rank: axes.len() as u8 })
    }

    /// The axes, outermost first.
    pub fn axes(&self) -> &[usize] {
        &self.axes[..self.rank as usize]
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.axes().iter().product()
    }
}

impl std::fmt::Display for Shape {
    /// `1x3x48x320`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, axis) in self.axes().iter().enumerate() {
            write!(f, "{}{axis}", if i == 0 { "" } else { "x" })?;
        }
        Ok(())
    }
}
