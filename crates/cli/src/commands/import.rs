//! `landfall import`: other tools' files, read into an app file.

use crate::{
    arguments::Import,
    context::Context,
    report::{Error, Result},
};

pub fn run(_context: &Context, _arguments: &Import) -> Result {
    Err(Error::new("not-built-yet", "nothing can be imported yet"))
}
