//! `landfall version`

use serde_json::json;

use crate::{context::Context, output::JSON_VERSION, report::Result};

pub fn run(context: &Context) -> Result {
    let program = env!("CARGO_PKG_VERSION");
    if context.output.json() {
        context.output.data(
            "version",
            &json!({
                "program": program,
                "json": JSON_VERSION,
                "host-protocol": landfall_api::wire::VERSION,
                "supervisor-protocol": landfall_supervise::specification::VERSION,
            }),
        );
    } else {
        context.output.print(&format!("landfall {program}"));
    }
    Ok(())
}
