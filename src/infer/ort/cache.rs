//! The cache of engines that TensorRT built: minutes of work, valid for one network on one GPU with one set of
//! versions.
//!
//! ONNX Runtime has a cache too, which knows neither weights nor shapes nor versions in full and does not notice a file
//! that is half written. So every engine has a folder of its own here, named by a [`Key`], which is built beside its
//! place, sealed by a marker and renamed:
//!
//! ```text
//! .lock                                            held by the one that builds
//! .ppocrv6-small-det-0123456789abcdef.building-77  what process 77 builds, or has left
//! ppocrv6-small-det-0123456789abcdef/              an engine: what ONNX Runtime wrote, and
//!   edge-ocr.json                                  the marker: key, node shares, checksums
//! ```
//!
//! Engines of one model with other keys stay, because a board may switch between two versions.

mod key;
mod marker;
mod names;
#[cfg(test)]
mod tests;

pub use key::Key;
pub use marker::Marker;

use crate::param::Param;
use key::Facts;
use marker::State;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Why the cache cannot be used.
#[derive(thiserror::Error, Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum CacheError {
    /// The system refuses.
    #[error(
        "in the cache of engines {path} cannot be {what}: {reason}; {remedy}, or give another folder with {cache}",
        cache = Param::OrtCache
    )]
    System {
        /// File or folder.
        path: String,
        /// What was to be done with it: `made`, `locked`, `read`, `written` or `removed`.
        what: &'static str,
        /// The system's words.
        reason: String,
        /// What the user can do.
        remedy: &'static str,
    },
    /// Nothing was built.
    #[error(
        "TensorRT left no engine of the model {model} in {path}; free space there, or give another folder with {cache}",
        cache = Param::OrtCache
    )]
    NoEngine {
        /// File or manifest name.
        model: String,
        /// The folder.
        path: String,
    },
}

impl CacheError {
    fn system<'a>(path: &'a Path, what: &'static str) -> impl Fn(io::Error) -> CacheError + 'a {
        move |error| CacheError::System {
            path: path.display().to_string(),
            what,
            reason: error.to_string(),
            remedy: match error.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free space there",
                ErrorKind::PermissionDenied if what == "read" => "let this user read it",
                ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => "make it writable for this user",
                ErrorKind::NotADirectory | ErrorKind::AlreadyExists => "move away what is in its place",
                ErrorKind::Unsupported => "use a disk of this machine",
                _ => "check the disk",
            },
        }
    }
}

/// A folder of engines, which several processes may use at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The cache in `root`, which is made when something is built.
    pub fn new(root: impl Into<PathBuf>) -> Cache {
        Cache { root: root.into() }
    }

    /// Where the cache is if nothing else is said: `tensorrt` in systemd's `$CACHE_DIRECTORY`, or else
    /// `edge-ocr/tensorrt` in `$XDG_CACHE_HOME` or `~/.cache`. `None` if none of the variables holds an absolute path.
    pub fn usual() -> Option<PathBuf> {
        usual(|name| std::env::var_os(name))
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The place of the engine that `key` asks for. `model` is the model's name, for people; the
    /// engine is found by the key. This hashes the network: keep the entry.
    pub fn entry(&self, key: &Key<'_>, model: &str) -> Entry<'_> {
        let facts = key.facts();
        let digest = facts.digest();
        let name = names::folder(model, &digest);
        Entry { cache: self, model: model.into(), folder: self.root.join(&name), name, facts, digest }
    }

    /// What is in the folder, by names that are UTF-8.
    fn names(&self) -> Result<Vec<String>, CacheError> {
        let unreadable = CacheError::system(&self.root, "read");
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(&unreadable)?,
        };
        let names = entries.map(|entry| entry.map(|entry| entry.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect::<io::Result<_>>().map_err(unreadable)
    }

    /// One lock for all engines, since two builds at once do not fit into the memory of small boards. Released when the
    /// file is dropped, or its process ends.
    fn lock(&self) -> Result<File, CacheError> {
        fs::create_dir_all(&self.root).map_err(CacheError::system(&self.root, "made"))?;
        let path = self.root.join(LOCK);
        let failed = CacheError::system(&path, "locked");
        // To open a pipe would block.
        if fs::symlink_metadata(&path).is_ok_and(|about| !about.is_file()) {
            return Err(failed(ErrorKind::AlreadyExists.into()));
        }
        // Of the folder, because a lock that cannot be made says nothing about the one there is.
        let made = File::options().create(true).truncate(false).write(true).open(&path);
        let file = made.map_err(CacheError::system(&self.root, "written"))?;
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        log::info!("{}: waiting for another process that builds an engine", self.root.display());
        loop {
            match file.lock() {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => return other.map(|()| file).map_err(failed),
            }
        }
    }

    /// Removes what killed builders left. Only for the one that holds the lock: nobody else builds then.
    fn remove_leftovers(&self) -> Result<(), CacheError> {
        for name in self.names()?.into_iter().filter(|name| names::is_leftover(name)) {
            let path = self.root.join(name);
            log::info!("{}: removing what a killed process has left", path.display());
            remove(&path).map_err(CacheError::system(&path, "removed"))?;
        }
        Ok(())
    }
}

/// The place of one engine in a [`Cache`].
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    cache: &'a Cache,
    model: String,
    name: String,
    folder: PathBuf,
    facts: Facts,
    digest: String,
}

/// A finished engine, proven to be as it was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    /// Where it is: the path to give to ONNX Runtime.
    pub folder: PathBuf,
    /// What was learnt when it was built.
    pub marker: Marker,
    /// Tells it from another build for the same key.
    seal: String,
}

impl Entry<'_> {
    /// Where the engine is once it is built.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The key's digest.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The engine if it is there and whole. One that is not is said in the log, and [`build`](Self::build) replaces it.
    /// Writes nothing, takes no lock, reads all of the engine.
    ///
    /// # Errors
    /// [`CacheError::System`] if it is there and cannot be read.
    pub fn find(&self) -> Result<Option<Engine>, CacheError> {
        match self.look().map_err(CacheError::system(&self.folder, "read"))? {
            State::Whole { marker, seal } => Ok(Some(self.engine(marker, seal))),
            State::Absent => Ok(None),
            State::Unfit(reason) => {
                log::warn!("the engine {} is not used: {reason}", self.folder.display());
                Ok(None)
            }
        }
    }

    /// The engine if it is there and whole, or else the one that `build` makes. `build` gets an empty folder for ONNX
    /// Runtime to write into and gives what is to be stored with the engine; it must not use this cache. One engine of
    /// a cache is built at a time: waits while another process, or another thread, builds.
    ///
    /// A session that `build` made stays valid, but it knows the folder by a path that is gone when this returns.
    ///
    /// # Errors
    /// What `build` gives; [`CacheError::System`] if the folder cannot be made or finished; [`CacheError::NoEngine`] if
    /// `build` left no file that ends with `.engine`. Nothing stays behind then.
    pub fn build<E: From<CacheError>>(&self, build: impl FnOnce(&Path) -> Result<Marker, E>) -> Result<Engine, E> {
        // A cache that cannot be written to, and so not locked, may hold it.
        if let Ok(State::Whole { marker, seal }) = self.look() {
            return Ok(self.engine(marker, seal));
        }
        let _lock = self.cache.lock()?;
        let unfit = match self.look() {
            Ok(State::Whole { marker, seal }) => return Ok(self.engine(marker, seal)),
            Ok(State::Absent) => None,
            Ok(State::Unfit(reason)) => Some(reason),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                return Err(CacheError::system(&self.folder, "read")(error).into());
            }
            // A bad block does not heal by reading it again.
            Err(error) => Some(error.to_string()),
        };
        if let Some(reason) = unfit {
            log::warn!("the engine {} is built anew: {reason}", self.folder.display());
            remove(&self.folder).map_err(CacheError::system(&self.folder, "removed"))?;
        }
        self.cache.remove_leftovers()?;
        let path = self.cache.root.join(names::building(&self.name, std::process::id()));
        let building = Building::new(&path)?;
        let marker = build(building.0)?;
        let seal = self.finish(building.0, &marker)?;
        Ok(self.engine(marker, seal))
    }

    /// Removes an engine that TensorRT does not take though it is whole, unless it was built anew since `engine` was
    /// found. Waits while another process builds.
    ///
    /// # Errors
    /// [`CacheError::System`].
    pub fn discard(&self, engine: &Engine) -> Result<(), CacheError> {
        let _lock = self.cache.lock()?;
        if marker::seal_of(&self.folder).is_some_and(|seal| seal != engine.seal) {
            return Ok(());
        }
        remove(&self.folder).map_err(CacheError::system(&self.folder, "removed"))
    }

    fn look(&self) -> io::Result<State> {
        marker::look(&self.folder, &self.facts, &self.digest)
    }

    fn engine(&self, marker: Marker, seal: String) -> Engine {
        Engine { folder: self.folder.clone(), marker, seal }
    }

    /// Seals what was built in `from` and brings it to its place; after a power cut it is there whole or not at all.
    fn finish(&self, from: &Path, marker: &Marker) -> Result<String, CacheError> {
        let unwritten = CacheError::system(from, "written");
        let Some(files) = marker::seal(from).map_err(&unwritten)? else {
            let path = self.cache.root.display().to_string();
            return Err(CacheError::NoEngine { model: self.model.clone(), path });
        };
        let seal = marker::write(from, &self.model, &self.facts, marker, files).map_err(unwritten)?;
        let done = fs::rename(from, &self.folder).and_then(|()| marker::sync_folder(&self.cache.root));
        done.map_err(CacheError::system(&self.folder, "written"))?;
        Ok(seal)
    }
}

/// A folder that is built in. What is still at its path when it is dropped is removed.
struct Building<'a>(&'a Path);

impl Building<'_> {
    fn new(path: &Path) -> Result<Building<'_>, CacheError> {
        fs::create_dir(path).map_err(CacheError::system(path, "made"))?;
        Ok(Building(path))
    }
}

impl Drop for Building<'_> {
    fn drop(&mut self) {
        // What cannot be removed now, the next builder removes.
        let _ = remove(self.0);
    }
}

/// Name of the file that is locked.
const LOCK: &str = ".lock";

/// Removes what is at `path`, a link itself and not what it leads to. Nothing there is no error.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn usual(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |path: PathBuf| Some(path).filter(|path| path.is_absolute());
    let folder = |name: &str| variable(name).map(PathBuf::from).and_then(absolute);
    // systemd lists several with colons between them.
    let systemd = variable("CACHE_DIRECTORY").and_then(|list| std::env::split_paths(&list).find_map(absolute));
    let user = || folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
    systemd.map(|folder| folder.join("tensorrt")).or_else(|| Some(user()?.join("edge-ocr/tensorrt")))
}
