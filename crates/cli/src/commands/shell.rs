//! Completions and manual pages, made from the same definitions as the help.

use std::path::Path;

use clap::CommandFactory as _;

use crate::{
    arguments::{Arguments, Completions, Man},
    context::Context,
    environment::VARIABLES,
    exit::TABLE,
    report::{Error, Result},
};

/// `landfall completions`
pub fn completions(context: &Context, arguments: &Completions) -> Result {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Arguments::command(),
        "landfall",
        &mut script,
    );
    context.output.print(&String::from_utf8_lossy(&script));
    Ok(())
}

/// `landfall man`
pub fn man(context: &Context, arguments: &Man) -> Result {
    let failed = |error| Error::file(Path::new("the manual"), "can't make", &error);
    let Some(folder) = &arguments.folder else {
        context.output.print(&page().map_err(failed)?);
        return Ok(());
    };
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Arguments::command(), folder))
        .and_then(|()| std::fs::write(folder.join("landfall.1"), page()?));
    written.map_err(|error| Error::file(folder, "can't write into", &error))?;
    let said = format!("Wrote the manual pages into {}.", folder.display());
    context.output.say(said);
    Ok(())
}

/// The page of the whole, with what no definition of an argument says.
fn page() -> std::io::Result<String> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Arguments::command()).render(&mut page)?;
    let mut page = String::from_utf8_lossy(&page).into_owned();
    page.push_str(".SH ENVIRONMENT\n");
    for (name, does) in VARIABLES {
        page.push_str(&format!(".TP\n\\fB{name}\\fR\n{does}\n"));
    }
    page.push_str(".SH \"EXIT STATUS\"\n");
    for (exit, means) in TABLE {
        let code = exit as u8;
        page.push_str(&format!(
            ".TP\n\\fB{code}\\fR\n{}\n",
            means.replace("**", "").replace('`', "")
        ));
    }
    Ok(page)
}
