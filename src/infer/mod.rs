//! Running a network, whichever engine does it.
//!
//! Detection and recognition know the two traits of this file and nothing of the engine behind them, so that
//! their logic is tested with a fake and so that every engine is held against the same code.
//!
//! - [`Network`]: one loaded model (weights); hands out a [`Model`] for a fixed input shape.
//! - [`Model`]: that network at one shape, ready to run.

#[cfg(test)]
pub mod fake;
#[cfg(feature = "tract")]
pub mod tract;

/// A tensor shape `[N, C, H, W]` of an input, or up to four axes of an output; never a symbolic axis.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Shape {
    axes: [usize; 4],
    rank: u8,
}

impl Shape {
    /// The shape of one picture of three channels: `[1, 3, height, width]`.
    pub fn picture(height: usize, width: usize) -> Shape {
        Shape::pictures(1, height, width)
    }

    /// The shape of `count` pictures of three channels: `[count, 3, height, width]`.
    pub fn pictures(count: usize, height: usize, width: usize) -> Shape {
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

/// A network at one fixed shape.
pub trait Model {
    /// Shape of the input, `[N, 3, H, W]`, f32, channels and normalisation as the model's manifest says.
    fn input_shape(&self) -> Shape;
    /// Shape of the output, f32, row-major.
    fn output_shape(&self) -> Shape;
    /// Runs once. `input` and `output` must have exactly the elements of the two shapes.
    fn run(&mut self, input: &[f32], output: &mut [f32]) -> Result<(), InferError>;
}

/// A loaded network that can be run at several shapes, from several threads at once.
pub trait Network: Send + Sync {
    /// The name of the engine: `tract`, `arena`, `ort`.
    fn engine(&self) -> &'static str;
    /// The shape of the output for an input, without preparing a plan: to refuse a network that is not what it should be.
    fn output_shape(&self, input: Shape) -> Result<Shape, InferError> {
        self.at(input).map(|model| model.output_shape())
    }

    /// The network at `input`, prepared now or taken from the engine's bounded cache of prepared plans.
    fn at(&self, input: Shape) -> Result<Box<dyn Model>, InferError>;

    /// Drops what was prepared, where that gives memory back; it is prepared again when it is needed.
    fn release(&self) {}
}

/// Why an engine could not run a model.
#[derive(thiserror::Error, Debug, Clone, PartialEq)]
pub enum InferError {
    /// The network cannot take this input shape.
    #[error(
        "the model {model} cannot run at input {shape}: {reason}; use a model of the PP-OCR family, or other input sizes"
    )]
    Shape {
        /// File or manifest name.
        model: String,
        /// The shape asked for.
        shape: Shape,
        /// The engine's words.
        reason: String,
    },
    /// The run itself failed.
    #[error("the model {model} failed while it ran: {reason}; verify the file with `edge-ocr models verify`")]
    Run {
        /// File or manifest name.
        model: String,
        /// The engine's words.
        reason: String,
    },
    /// The caller's buffer does not fit (a defect of the caller, not of its input).
    #[error("a buffer of {got} elements was given where the model {model} needs {want}")]
    Buffer {
        /// File or manifest name.
        model: String,
        /// Elements needed.
        want: usize,
        /// Elements given.
        got: usize,
    },
}
