//! Assigns slots to buffers: which slots share memory, and how long each buffer lives.

use super::CompileError;
use super::slots::{Lowered, SlotId, for_tensors, in_place, slots_of};
use edge_ocr_engine::plan::{Step, Tensor};
use edge_ocr_engine::tensor::SLACK_BYTES;

/// Memory that holds one or more slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Name of the slot that it is made for.
    pub name: String,
    /// Bytes with the slack after them, a multiple of 64.
    pub bytes: usize,
    /// Step that writes it first (0 for the network's input).
    pub first: usize,
    /// Step that needs it last.
    pub last: usize,
}

/// Where a slot lies.
#[derive(Clone, Copy, Debug)]
struct Place {
    buffer: usize,
    /// Bytes from the buffer's start.
    offset: usize,
    pixel_stride: usize,
}

/// Slots in buffers.
#[derive(Clone, Debug)]
pub struct Placed {
    /// All buffers.
    pub buffers: Vec<Buffer>,
    places: Vec<Place>,
    tensors: Vec<Tensor>,
}

impl Placed {
    /// A slot's tensor for these offsets of the buffers.
    pub fn tensor(&self, slot: SlotId, offsets: &[usize]) -> Tensor {
        let (place, mut t) = (self.places[slot], self.tensors[slot]);
        t.offset = offsets[place.buffer] + place.offset;
        t.shape.pixel_stride = place.pixel_stride;
        t
    }

    /// A drafted step with its tensors in place.
    pub fn place(&self, step: &Step, offsets: &[usize]) -> Step {
        let mut step = *step;
        for_tensors(&mut step, &mut |t| *t = self.tensor(t.offset, offsets));
        step
    }
}

/// First and last step of each slot; a slot that no step touches has first > last.
fn lifetimes(net: &Lowered) -> Vec<(usize, usize)> {
    let mut lives = vec![(usize::MAX, 0); net.slots.len()];
    let mut touch = |slot: SlotId, step: usize| {
        let (first, last) = &mut lives[slot];
        (*first, *last) = ((*first).min(step), (*last).max(step));
    };
    touch(net.input, 0);
    for (i, draft) in net.steps.iter().enumerate() {
        let (read, written) = slots_of(&draft.step);
        read.into_iter().chain([written]).for_each(|slot| touch(slot, i));
    }
    touch(net.output, net.steps.len());
    // A concatenation is touched when its parts are, and its parts live as long as it does.
    for i in (0..net.slots.len()).rev() {
        let mut at = i;
        while let Some((whole, _)) = net.slots[at].part_of {
            let (first, last) = lives[i];
            if first <= last {
                lives[whole] = (lives[whole].0.min(first), lives[whole].1.max(last));
            }
            at = whole;
        }
    }
    lives
}

/// Gives each slot a buffer.
pub fn assign_buffers(net: &Lowered) -> Result<Placed, CompileError> {
    let lives = lifetimes(net);
    // Slots that take over another one's memory.
    let mut same_as: Vec<Option<SlotId>> = vec![None; net.slots.len()];
    for (i, draft) in net.steps.iter().enumerate() {
        let (_, y) = slots_of(&draft.step);
        if net.slots[y].part_of.is_some() || has_parts(net, y) {
            continue;
        }
        let fits = |x: &SlotId| {
            let (a, b) = (&net.slots[*x], &net.slots[y]);
            *x != y
                && a.part_of.is_none()
                && a.tensor.shape == b.tensor.shape
                && a.tensor.dtype.size() == b.tensor.dtype.size()
                && lives[*x].1 == i
        };
        let twice = |x: &SlotId| slots_of(&draft.step).0.iter().filter(|s| *s == x).count() > 1;
        same_as[y] = in_place(&draft.step).into_iter().find(|x| fits(x) && !twice(x));
    }
    let mut placed = Placed { buffers: Vec::new(), places: Vec::new(), tensors: Vec::new() };
    let mut buffer_of: Vec<Option<usize>> = vec![None; net.slots.len()];
    for (id, &(first, last)) in lives.iter().enumerate() {
        let (mut root, mut offset) = (id, 0);
        let mut steps = 0;
        loop {
            if let Some((whole, at)) = net.slots[root].part_of {
                (root, offset) = (whole, offset + at);
            } else if let Some(x) = same_as[root] {
                root = x;
            } else {
                break;
            }
            steps += 1;
            if steps > net.slots.len() {
                return Err(CompileError::Refused("slots that are part of each other".into()));
            }
        }
        let slot = &net.slots[root];
        let buffer = *buffer_of[root].get_or_insert_with(|| {
            // Kernels read the slack while other threads write the next tensor, so nothing else lies there.
            let bytes = (slot.bytes() + SLACK_BYTES).next_multiple_of(64);
            placed.buffers.push(Buffer { name: slot.name.clone(), bytes, first: usize::MAX, last: 0 });
            placed.buffers.len() - 1
        });
        if first <= last {
            let b = &mut placed.buffers[buffer];
            (b.first, b.last) = (b.first.min(first), b.last.max(last));
        }
        placed.places.push(Place { buffer, offset, pixel_stride: slot.tensor.shape.pixel_stride });
        placed.tensors.push(net.slots[id].tensor);
    }
    drop_unused(&mut placed);
    Ok(placed)
}

fn has_parts(net: &Lowered, slot: SlotId) -> bool {
    net.slots.iter().any(|s| s.part_of.is_some_and(|(whole, _)| whole == slot))
}

/// Removes buffers that no step touches.
fn drop_unused(placed: &mut Placed) {
    let mut new = Vec::new();
    let mut kept = Vec::new();
    for b in placed.buffers.drain(..) {
        let used = b.first <= b.last;
        new.push(if used { kept.len() } else { 0 });
        if used {
            kept.push(b);
        }
    }
    placed.places.iter_mut().for_each(|p| p.buffer = new[p.buffer]);
    placed.buffers = kept;
}
