//! Files that could not be moved or deleted: they are retried now and then, and each reason is logged once.

use super::dispose::dispose;
use super::file_tracker::File;
use crate::util::retry::Retry;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Pause between two retries.
const PAUSE: Duration = Duration::from_secs(60);
/// Most files that are retried; further ones stay until the program restarts.
const MAX_QUEUED: usize = 4096;

/// See the module.
#[derive(Debug)]
pub struct DisposalQueue {
    /// With the folder where each is to go; `None`: it is to be deleted.
    files: VecDeque<(File, Option<PathBuf>)>,
    /// When they are retried next.
    pub pause: Retry,
    /// The reason that was logged last.
    last_reason: Option<String>,
}

impl Default for DisposalQueue {
    fn default() -> Self {
        DisposalQueue { files: VecDeque::new(), pause: Retry::new(PAUSE, PAUSE), last_reason: None }
    }
}

impl DisposalQueue {
    /// Moves a file of `folder` to `to`, or deletes it.
    ///
    /// # Errors
    /// The sentence to log; `None` if the last failure had the same reason.
    pub fn dispose(&mut self, folder: &Path, file: File, to: Option<PathBuf>) -> Result<(), Option<String>> {
        let Err(reason) = dispose(folder, &file, to.as_deref()) else { return Ok(()) };
        let path = folder.join(&file.name);
        if self.files.len() < MAX_QUEUED {
            self.files.push_back((file, to));
        }
        if self.pause.until().is_none() {
            self.pause.failed(Instant::now());
        }
        if self.last_reason.as_ref() == Some(&reason) {
            log::debug!("{} cannot be put away because {reason}", path.display());
            return Err(None);
        }
        let sentence = format!(
            "{} cannot be put away because {reason}, so it stays, is tried again, and is read once more by the next run if it is there then; \
             check the rights and the space of both folders",
            path.display()
        );
        self.last_reason = Some(reason);
        Err(Some(sentence))
    }

    /// Retries the files if it is time, up to the first that fails, which goes to the end of the queue. Returns the
    /// files that are gone.
    pub fn retry(&mut self, folder: &Path, now: Instant) -> Vec<File> {
        let mut gone = Vec::new();
        if self.pause.until().is_none_or(|due| now < due) {
            return gone;
        }
        while let Some((file, to)) = self.files.pop_front() {
            if let Err(reason) = dispose(folder, &file, to.as_deref()) {
                log::debug!("{} still cannot be put away because {reason}", folder.join(&file.name).display());
                self.files.push_back((file, to));
                self.pause.failed(now);
                return gone;
            }
            gone.push(file);
        }
        log::info!("what was left in {} is put away", folder.display());
        self.last_reason = None;
        self.pause.succeeded();
        gone
    }
}
