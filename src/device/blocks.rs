//! The command `blocks`: the regions of a process's address space. It queries the
//! process and does not read its memory.

use ntmem_ioctl::{BlockRecord, BlocksRequest};
use wdm::{
    Error, Status,
    irp::Completion,
    irql::Passive,
    process::{AddressSpace, Process, Region},
};
use zerocopy::IntoBytes;

use super::{NtMem, Request, counts::to_u64};

impl NtMem {
    wdm::pageable! { passive:
        /// Writes as many blocks as fit into the output.
        pub(super) fn blocks<'r>(&self, mut request: Request<'r>, passive: &Passive) -> Completion<'r> {
            if request.output_len() < size_of::<BlockRecord>() {
                return self.reject(request, Status::BUFFER_TOO_SMALL);
            }
            match write_regions(&mut request, passive) {
                Ok(()) => request.succeed(),
                Err(status) => self.reject(request, status),
            }
        }
    }
}

wdm::pageable! { passive:
    fn write_regions(request: &mut Request<'_>, passive: &Passive) -> Result<(), Status> {
        let narrow = |number| usize::try_from(number).map_err(|_| Status::INVALID_PARAMETER);
        let input: BlocksRequest = request.input()?;
        let status = |error: Error| error.status();
        let process = Process::by_id(narrow(input.process)?, passive).map_err(status)?;
        let space = AddressSpace::open(&process, passive).map_err(status)?;
        let mut writer = request.buffered()?.writer();
        let mut next = narrow(input.address)?;
        while writer.remaining() >= size_of::<BlockRecord>() {
            let Some(region) = space.region(next).map_err(status)? else {
                break;
            };
            writer.write_bytes(record(&region).as_bytes())?;
            let Some(end) = region.base.checked_add(region.size) else {
                break;
            };
            next = end;
        }
        Ok(())
    }
}

/// A region as the reply's structure.
fn record(region: &Region) -> BlockRecord {
    BlockRecord {
        allocation_base: to_u64(region.allocation_base),
        base: to_u64(region.base),
        size: to_u64(region.size),
        state: region.state,
        kind: region.kind,
        protection: region.protection,
        allocation_protection: region.allocation_protection,
    }
}
