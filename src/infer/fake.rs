//! A network whose answer is a closure: tests detection and recognition without weights.

use super::{InferError, Model, Network, Shape};
use std::sync::Arc;

type Answer = dyn Fn(Shape, &[f32]) -> (Shape, Vec<f32>) + Send + Sync;

/// Answers every input with what the closure makes of it.
#[derive(Clone)]
pub struct FakeNetwork(pub Arc<Answer>);

impl FakeNetwork {
    /// A network that computes `answer(input shape, input)`; the closure is also called with zeros to learn the output shape.
    pub fn new(answer: impl Fn(Shape, &[f32]) -> (Shape, Vec<f32>) + Send + Sync + 'static) -> Self {
        FakeNetwork(Arc::new(answer))
    }
}

impl Network for FakeNetwork {
    fn engine(&self) -> &'static str {
        "fake"
    }

    fn at(&self, input: Shape) -> Result<Box<dyn Model>, InferError> {
        let (output, _) = (self.0)(input, &vec![0.0; input.elements()]);
        Ok(Box::new(FakeModel { answer: self.0.clone(), input, output }))
    }
}

struct FakeModel {
    answer: Arc<Answer>,
    input: Shape,
    output: Shape,
}

impl Model for FakeModel {
    fn input_shape(&self) -> Shape {
        self.input
    }

    fn output_shape(&self) -> Shape {
        self.output
    }

    fn run(&mut self, input: &[f32], output: &mut [f32]) -> Result<(), InferError> {
        let (_, values) = (self.answer)(self.input, input);
        output.copy_from_slice(&values);
        Ok(())
    }
}
