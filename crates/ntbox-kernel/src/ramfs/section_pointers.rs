//! What a file system asks of the memory manager before it truncates, deletes or
//! writes a file of its own. Sections are only made of files of the volume in memory
//! here, so no file of a driver has any; its `SECTION_OBJECT_POINTERS` say so.

use ntbox_host::driver_mem;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::APC_LEVEL;

use super::create::block;
use super::with;
use crate::base::export::exports;

/// Words of a `SECTION_OBJECT_POINTERS`: data section, cache map, image section.
const WORDS: u64 = 3;

/// Checks that the pointers are of a file that cannot have sections.
fn check(pointers: u64, function: &str) -> Result<(), NoReturn> {
    let own = with(|volume| {
        let mut nodes = volume
            .opens
            .values()
            .filter_map(|open| volume.tree.get(open.node?));
        nodes.any(|node| node.block + block::SECTION_OBJECT_POINTERS == pointers)
    });
    let mut used = own.unwrap_or(false);
    for n in 0..WORDS {
        used |= driver_mem::read_u64(pointers.wrapping_add(8 * n))? != 0;
    }
    if !used {
        return Ok(());
    }
    let what = format!(
        "{function} was asked of a file of the volume in memory, or of pointers that a driver has filled itself; this kernel knows of files without sections only"
    );
    Err(NoReturn::bug_check(0xe2, [pointers, 0, 0, 0], what))
}

exports! {
    /// `MmFlushImageSection`: there is none.
    fn MmFlushImageSection(pointers: u64, kind: u32) -> bool [max APC_LEVEL, ntifs] {
        check(pointers, "MmFlushImageSection")?;
        Ok(true)
    }

    /// `MmCanFileBeTruncated`: no section keeps it.
    fn MmCanFileBeTruncated(pointers: u64, size: u64) -> bool [max APC_LEVEL, ntifs] {
        check(pointers, "MmCanFileBeTruncated")?;
        Ok(true)
    }

    /// `MmForceSectionClosed`: there is none.
    fn MmForceSectionClosed(pointers: u64, delay: bool) -> bool [max APC_LEVEL, ntifs] {
        check(pointers, "MmForceSectionClosed")?;
        Ok(true)
    }

    /// `MmDoesFileHaveUserWritableReferences`: none.
    fn MmDoesFileHaveUserWritableReferences(pointers: u64) -> u32 [max APC_LEVEL, ntifs] {
        check(pointers, "MmDoesFileHaveUserWritableReferences")?;
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address_mut, bug_check, call, processor, value};

    #[test]
    fn flush_image_section_without_section_succeeds() {
        processor();
        let mut pointers = [0_u64; 3];
        let at = address_mut(&mut pointers);
        assert_eq!(value(MmFlushImageSection, &[at, 0]), 1);
        assert_eq!(value(MmCanFileBeTruncated, &[at, 0]), 1);
        assert_eq!(value(MmForceSectionClosed, &[at, 0]), 1);
        assert_eq!(value(MmDoesFileHaveUserWritableReferences, &[at]), 0);
        driver_mem::write_u64(at + 16, 0x1000).unwrap();
        assert_eq!(bug_check(call(MmFlushImageSection, &[at, 0])).code, 0xe2);
    }
}
