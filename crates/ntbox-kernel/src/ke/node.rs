//! Nodes of a machine whose memory is equally far from every processor: there is one,
//! number 0, and all processors are in it.

use nt_status::{STATUS_BUFFER_TOO_SMALL, STATUS_SUCCESS};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::HIGH_LEVEL;

use super::processor;
use crate::base::export::exports;

/// How many processors are in a node.
fn count(node: u16) -> u16 {
    if node == 0 {
        u16::try_from(processor::count()).unwrap_or(u16::MAX)
    } else {
        0
    }
}

/// Writes the `GROUP_AFFINITY` of a node: its processors and their group.
fn write_affinity(to: u64, node: u16) -> Result<(), Fault> {
    processor::write_group(to, if node == 0 { processor::mask() } else { 0 })
}

exports! {
    /// `KeQueryNodeActiveAffinity`: both results are optional; zeros for a node that
    /// there is not.
    fn KeQueryNodeActiveAffinity(node: u16, affinity: u64, number: u64) -> () [max HIGH_LEVEL, wdm, since WINDOWS_7] {
        if affinity != 0 {
            write_affinity(affinity, node)?;
        }
        if number != 0 {
            driver_mem::write_u16(number, count(node))?;
        }
        Ok(())
    }

    /// `KeQueryNodeActiveAffinity2`: one affinity for each group, so one at most.
    fn KeQueryNodeActiveAffinity2(node: u16, affinities: u64, room: u16, required: u64) -> u32 [max HIGH_LEVEL, wdm] {
        let needed = u16::from(count(node) != 0);
        driver_mem::write_u16(required, needed)?;
        if room < needed {
            return Ok(STATUS_BUFFER_TOO_SMALL);
        }
        if needed != 0 {
            write_affinity(affinities, node)?;
        }
        Ok(STATUS_SUCCESS)
    }

    /// `KeQueryNodeActiveProcessorCount`.
    fn KeQueryNodeActiveProcessorCount(node: u16) -> u16 [max HIGH_LEVEL, wdm] {
        Ok(count(node))
    }

    /// `KeQueryNodeMaximumProcessorCount`: none is added later.
    fn KeQueryNodeMaximumProcessorCount(node: u16) -> u16 [max HIGH_LEVEL, wdm, since WINDOWS_7] {
        Ok(count(node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address_mut, status, value};

    #[test]
    fn node_0_has_all_processors() {
        let mut affinity = [7_u64; 2];
        let mut number = 7_u16;
        let (to, at) = (address_mut(&mut affinity), address_mut(&mut number));
        value(KeQueryNodeActiveAffinity, &[0, to, at]);
        assert_eq!(affinity, [processor::mask(), 0]);
        assert_eq!(usize::from(number), processor::count());
        value(KeQueryNodeActiveAffinity, &[1, to, at]);
        assert_eq!((affinity, number), ([0, 0], 0));
        value(KeQueryNodeActiveAffinity, &[0, 0, 0]);
        let all = processor::count() as u64;
        assert_eq!(value(KeQueryNodeActiveProcessorCount, &[0]), all);
        assert_eq!(value(KeQueryNodeMaximumProcessorCount, &[0]), all);
        assert_eq!(value(KeQueryNodeMaximumProcessorCount, &[1]), 0);
    }

    #[test]
    fn query_node_affinity_with_short_buffer_fails() {
        let mut affinity = [7_u64; 2];
        let mut required = 7_u16;
        let (to, at) = (address_mut(&mut affinity), address_mut(&mut required));
        let query = |node, room| status(KeQueryNodeActiveAffinity2, &[node, to, room, at]);
        assert_eq!(query(0, 0), STATUS_BUFFER_TOO_SMALL);
        assert_eq!((affinity, required), ([7; 2], 1));
        assert_eq!(query(0, 1), STATUS_SUCCESS);
        assert_eq!(affinity, [processor::mask(), 0]);
        assert_eq!(query(3, 0), STATUS_SUCCESS);
        assert_eq!(required, 0);
    }
}
