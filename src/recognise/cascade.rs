//! One recogniser, or two: a small one that reads every line, and a large one that reads again what the small one is
//! not certain of.

use super::{Certainty, Recogniser, RecogniserError, Restriction};
use crate::infer::InferError;
use std::sync::Arc;

/// Which of the recognisers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// The one that every line is given to.
    First,
    /// The one that reads again.
    Second,
}

/// The recognisers of a pipeline.
#[derive(Clone)]
pub struct Recognisers {
    first: Arc<Recogniser>,
    second: Option<Arc<Recogniser>>,
}

/// What may come out of the recognisers that made it.
#[derive(Clone, Debug, PartialEq)]
pub struct Restrictions {
    /// None if the first recogniser does not know all characters that may come out.
    first: Option<Restriction>,
    second: Option<Restriction>,
}

impl Recognisers {
    /// `second` reads again what `first` is not certain of; nothing if it is not given.
    pub fn new(first: Arc<Recogniser>, second: Option<Arc<Recogniser>>) -> Recognisers {
        Recognisers { first, second }
    }

    /// One of them; the first where there is no second.
    pub fn get(&self, reader: Reader) -> &Recogniser {
        match (reader, &self.second) {
            (Reader::Second, Some(second)) => second,
            _ => &self.first,
        }
    }

    /// The one that has the last word.
    pub fn last(&self) -> Reader {
        if self.second.is_some() { Reader::Second } else { Reader::First }
    }

    /// The one that begins to read under `restrictions`.
    pub fn starting(&self, restrictions: &Restrictions) -> Reader {
        if restrictions.first.is_some() { Reader::First } else { self.last() }
    }

    /// Whether a line of the first recogniser stays as it is, because there is no second one or the first is certain.
    pub fn is_final(&self, certainty: Certainty) -> bool {
        self.second.is_none() || self.first.is_certain(certainty)
    }

    /// What may come out: only `allowed_chars`, and only what fits the [`pattern`](super::pattern); all characters in any
    /// order if not given. With two recognisers the second must know them; the first is passed over if it does not.
    ///
    /// # Errors
    /// [`RecogniserError::Param`] for characters that the model does not know and for a pattern that is none.
    pub fn restrictions(
        &self,
        allowed_chars: Option<&str>,
        pattern: Option<&str>,
    ) -> Result<Restrictions, RecogniserError> {
        let first = self.first.restriction(allowed_chars, pattern);
        match &self.second {
            None => Ok(Restrictions { first: Some(first?), second: None }),
            Some(second) => {
                Ok(Restrictions { first: first.ok(), second: Some(second.restriction(allowed_chars, pattern)?) })
            }
        }
    }

    /// Gives back the memory of prepared plans, see [`Model::release`](crate::infer::Model::release).
    pub fn release(&self) {
        self.first.release();
        if let Some(second) = &self.second {
            second.release();
        }
    }

    /// Makes the plans of the narrowest widths, `plans` of them.
    pub fn warm_up(&self, plans: usize) -> Result<(), InferError> {
        self.first.warm_up(plans)?;
        self.second.iter().try_for_each(|second| second.warm_up(plans))
    }
}

impl Restrictions {
    /// What may come out of one of the recognisers.
    pub fn of(&self, reader: Reader) -> Option<&Restriction> {
        match reader {
            Reader::First => self.first.as_ref(),
            Reader::Second => self.second.as_ref(),
        }
    }
}
