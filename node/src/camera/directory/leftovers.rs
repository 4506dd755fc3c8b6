//! Files that could not be put away: they are tried again now and then, and told about once.

use super::dispose::put_away;
use super::shelf::File;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Between two tries.
const RETRY: Duration = Duration::from_secs(60);
/// Most files that are tried again; further ones stay until the program starts anew.
const MOST: usize = 4096;

/// See the module.
#[derive(Debug, Default)]
pub struct Leftovers {
    /// With the folder where each is to go; `None`: it is to be deleted.
    files: VecDeque<(File, Option<PathBuf>)>,
    /// When they are tried next.
    pub due: Option<Instant>,
    /// What was told last.
    told: Option<String>,
}

impl Leftovers {
    /// Puts a file of `folder` away.
    ///
    /// # Errors
    /// What is to be told if that fails; nothing if the last one failed for the same reason.
    pub fn put_away(&mut self, folder: &Path, file: File, to: Option<PathBuf>) -> Result<(), Option<String>> {
        let Err(reason) = put_away(folder, &file, to.as_deref()) else { return Ok(()) };
        let path = folder.join(&file.name);
        if self.files.len() < MOST {
            self.files.push_back((file, to));
        }
        self.due.get_or_insert_with(|| Instant::now() + RETRY);
        if self.told.as_ref() == Some(&reason) {
            log::debug!("{} cannot be put away because {reason}", path.display());
            return Err(None);
        }
        let sentence = format!(
            "{} cannot be put away because {reason}, so it stays, is tried again, and is read once more by the next run if it is there then; \
             check the rights and the space of both folders",
            path.display()
        );
        self.told = Some(reason);
        Err(Some(sentence))
    }

    /// Tries them again if it is time: up to the first that fails, which is then the last in the row. Those that have gone.
    pub fn try_again(&mut self, folder: &Path, now: Instant) -> Vec<File> {
        let mut gone = Vec::new();
        if self.due.is_none_or(|due| now < due) {
            return gone;
        }
        while let Some((file, to)) = self.files.pop_front() {
            if let Err(reason) = put_away(folder, &file, to.as_deref()) {
                log::debug!("{} still cannot be put away because {reason}", folder.join(&file.name).display());
                self.files.push_back((file, to));
                self.due = Some(now + RETRY);
                return gone;
            }
            gone.push(file);
        }
        log::info!("what was left in {} is put away", folder.display());
        (self.due, self.told) = (None, None);
        gone
    }
}
