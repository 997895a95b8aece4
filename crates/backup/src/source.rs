//! Where a database is, and how a scratch instance of the same is had.

use std::path::Path;

use crate::{
    error::Error,
    program::{Boxed, Programs},
};

/// A database server that is backed up.
pub trait Server: Send + Sync {
    /// Its programs, run as its superuser.
    fn programs(&self) -> &dyn Programs;

    /// A fresh instance of the same program in the same version: reached by its own programs alone,
    /// with a random password, on a scratch folder. Nothing runs yet. It is refused where the disk
    /// has no room for so many bytes.
    fn scratch(&self, needed: u64) -> Boxed<'_, Result<Box<dyn Scratch>, Error>>;
}

/// A scratch instance: gone with all its data when it is ended or dropped.
pub trait Scratch: Send + Sync {
    /// Its data folder, as this machine sees it: a Redis snapshot is put there before it starts.
    fn folder(&self) -> &Path;

    /// Starts it and waits until it answers.
    fn start(&mut self) -> Boxed<'_, Result<(), Error>>;

    /// Its programs.
    fn programs(&self) -> &dyn Programs;

    /// Ends it and removes its data.
    fn end(self: Box<Self>) -> Boxed<'static, ()>;
}
