//! What of a Redis's settings the app file says otherwise, or not at all.

use super::{context::Context, tree::At, units};
use crate::{RemarkKind, draft::Table};
use landfall_app::units::Size;

impl Context<'_> {
    /// `maxmemory` as the `memory` that leaves as much for data; a limit of the container takes its place.
    pub(super) fn redis_memory(&mut self, at: usize, place: &At, most: &str, table: &mut Table) {
        const MIB: u64 = 1 << 20;
        let Some(most) = units::size(most).map(Size::bytes) else {
            let said = format!("maxmemory `{most}` is no size; say `memory`");
            return self.remark(at, RemarkKind::Lost, place, "command", said);
        };
        // Nought is no limit.
        if most == 0 {
            return;
        }
        // A quarter, but at least 16 MiB, is for what isn't data.
        let all = (most.div_ceil(3) * 4).max(most + 16 * MIB);
        let memory = Size::from_bytes(all.div_ceil(MIB) * MIB);
        table
            .set("memory", memory.to_string())
            .from(&place.file, place.line);
        let said = "maxmemory isn't taken over: Landfall sets it to three quarters of `memory`";
        self.remark(at, RemarkKind::Note, place, "command", said);
    }
}
