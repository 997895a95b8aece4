//! `landfall image`: what is known of images without running them.

use crate::{
    arguments::Image,
    context::Context,
    report::{Error, Result},
};

pub fn run(_context: &Context, _command: &Image) -> Result {
    Err(Error::new("not-built-yet", "no advice can be given yet"))
}
