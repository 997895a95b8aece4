//! `landfall explain`: a page for each error.

use serde_json::json;

use crate::{
    arguments::Explain,
    context::Context,
    explain,
    report::{Error, Result},
    view::table::Table,
};

pub fn run(context: &Context, arguments: &Explain) -> Result {
    let Some(name) = &arguments.name else {
        let all = explain::all();
        if context.output.json() {
            let list: Vec<_> = all
                .iter()
                .map(|page| json!({ "name": page.name, "title": page.title }))
                .collect();
            context.output.data("errors", &list);
            return Ok(());
        }
        let mut table = Table::new(0);
        for page in &all {
            table.row([page.name, &page.title]);
        }
        context.output.print(&table.render());
        return Ok(());
    };
    // As it is copied: `error[wrong-port]`, `[wrong-port]`.
    let bare = name
        .trim()
        .trim_start_matches("error")
        .trim_matches(['[', ']', ':']);
    let Some(page) = explain::page(bare) else {
        let near = explain::near(bare);
        let error = Error::new("unknown-name", format!("no error is called `{bare}`"));
        return Err(match near.is_empty() {
            true => error.mend("landfall explain lists all of them"),
            false if near.len() == 1 => error.mend(format!("landfall explain {}", near[0])),
            false => error.with("near", near.join(", ")),
        });
    };
    if context.output.json() {
        context.output.data(
            "error-page",
            &json!({ "name": page.name, "title": page.title, "text": page.text }),
        );
    } else {
        context.output.print(&format!(
            "error[{}]: {}\n\n{}",
            page.name,
            page.title,
            explain::filled(&page.text, 90)
        ));
    }
    Ok(())
}
