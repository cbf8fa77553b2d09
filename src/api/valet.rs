//! `valet_info` (mod_valet_parking.c).

use super::world::World;
use std::fmt::Write;

/// `valet_info [LOT]`: the lots, their slots and the legs in them, as XML.
pub fn valet_info(world: &dyn World, text: &str) -> String {
    let wanted = text.trim();
    let escaped = |text: &str| {
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
    };
    let mut out = "<lots>\n".to_owned();
    for (lot, slots) in world.stores().lots.entries() {
        if !wanted.is_empty() && !wanted.eq_ignore_ascii_case(&lot) {
            continue;
        }
        // Writing to a String does not fail.
        let _ = writeln!(out, "  <lot name=\"{}\">", escaped(&lot));
        for (slot, uuid) in slots {
            let _ = writeln!(out, "    <extension uuid=\"{uuid}\">{}</extension>", escaped(&slot));
        }
        out.push_str("  </lot>\n");
    }
    out + "</lots>\n"
}
