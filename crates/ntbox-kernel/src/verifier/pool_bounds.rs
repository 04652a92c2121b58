//! Accesses past the ends of pool blocks that stay on the pages of the block, where no
//! page protection sees them. Checks of translated code do. What the kernel lends a
//! driver (system buffers, device objects, IRPs, MDLs, lookaside entries) is pool, too.

use ntbox_api::rules;
use ntbox_host::translation::CheckedAccess;

use super::user_access_rules::is_first;
use crate::base::diag;
use crate::mm;
use crate::mm::pool;
use crate::mm::special_pool::NearbyBlock;

/// Reports an access of the driver to system memory, if it leaves a block that is in use.
pub fn checked(access: &CheckedAccess<'_>) {
    let range = &access.range;
    // An access to a freed block faults then, with the registers of its instruction: a check
    // may stand before other instructions.
    mm::with(|memory| memory.pools.protect_freed(range.start));
    let block = mm::with(|memory| memory.pools.left_block(range));
    let Some((block, tag)) = block else {
        return;
    };
    let rule = rules::POOL_ACCESS_OUT_OF_BOUNDS;
    if !is_first(access.place, rule) {
        return;
    }
    let NearbyBlock {
        block: start,
        size,
        name,
    } = block;
    let verb = if access.write { "written" } else { "read" };
    let bytes = range.end - range.start;
    let position = if range.start < start {
        format!("{} before the start", counted(start - range.start))
    } else if range.start < start + size {
        format!(
            "the last {} past the end",
            counted(range.end - start - size)
        )
    } else {
        format!("{} past the end", counted(range.start - start - size))
    };
    let message = format!(
        "{} at {:#018x} {verb}, {position} of a {name} of {} at {start:#018x}, tag '{}'",
        counted(bytes),
        range.start,
        counted(size),
        pool::tag_text(tag)
    );
    let history = pool::history_of_memory(&[start]);
    diag::violation_at(access.place, rule, message, history);
}

/// A number of bytes.
fn counted(bytes: u64) -> String {
    match bytes {
        1 => "1 byte".to_owned(),
        _ => format!("{bytes} bytes"),
    }
}
