//! A network whose answer is a closure: tests detection and recognition without weights.

use super::{Answer, InferError, Model, Pool, Session, Shape, borrow_aligned};
use std::sync::Arc;

type Compute = dyn Fn(Shape, &[f32]) -> (Shape, Vec<f32>) + Send + Sync;

/// Answers every input with what the closure makes of it. The closure sees planes of -1 to 1, padding as 0.
#[derive(Clone)]
pub struct FakeModel(pub Arc<Compute>);

impl FakeModel {
    /// A network that computes `answer(input shape, input)`; the closure is also called with zeros to learn the
    /// output shape.
    pub fn new(answer: impl Fn(Shape, &[f32]) -> (Shape, Vec<f32>) + Send + Sync + 'static) -> Self {
        FakeModel(Arc::new(answer))
    }
}

impl Model for FakeModel {
    fn engine(&self) -> &'static str {
        "fake"
    }

    fn session(&self, input: Shape) -> Result<Arc<dyn Session>, InferError> {
        let (output, _) = (self.0)(input, &vec![0.0; input.elements()]);
        Ok(Arc::new(FakeSession { answer: self.0.clone(), input, output }))
    }
}

struct FakeSession {
    answer: Arc<Compute>,
    input: Shape,
    output: Shape,
}

impl Session for FakeSession {
    fn input_shape(&self) -> Shape {
        self.input
    }

    fn output_shape(&self) -> Shape {
        self.output
    }

    fn memory_bytes(&self) -> usize {
        self.input.elements().next_multiple_of(64) + self.output.elements() * size_of::<f32>()
    }

    fn input<'a>(&self, memory: &'a mut [u8]) -> Result<&'a mut [u8], InferError> {
        borrow_aligned("fake", memory, self.input.elements())
    }

    fn run<'a>(&self, memory: &'a mut [u8], columns: &[usize], _: Option<&mut Pool>) -> Result<Answer<'a>, InferError> {
        let memory = borrow_aligned("fake", memory, self.memory_bytes())?;
        let (pixels, output) = memory.split_at_mut(self.input.elements().next_multiple_of(64));
        let &[_, _, height, width] = self.input.axes() else { panic!("an image's shape") };
        let mut planes = vec![0.0; self.input.elements()];
        for (i, value) in planes.iter_mut().enumerate() {
            let (x, y, plane) = (i % width, i / width % height, i / (width * height) % 3);
            let image = i / (3 * width * height);
            if x < columns[image] {
                *value = f32::from(pixels[((image * height + y) * width + x) * 3 + plane]) / 127.5 - 1.0;
            }
        }
        let (_, values) = (self.answer)(self.input, &planes);
        let output: &mut [f32] = bytemuck::cast_slice_mut(output);
        output.copy_from_slice(&values);
        Ok(Answer::F32(output))
    }
}
