//! The command `blocks`: the address space of a process, block by block. The
//! process is referenced and asked, never read; what it holds nobody is told.

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
        /// Answers with as many blocks as there is room for.
        pub(super) fn blocks<'r>(&self, mut request: Request<'r>, passive: &Passive) -> Completion<'r> {
            if request.output_len() < size_of::<BlockRecord>() {
                return self.refuse(request, Status::BUFFER_TOO_SMALL);
            }
            match tell(&mut request, passive) {
                Ok(()) => request.succeed(),
                Err(status) => self.refuse(request, status),
            }
        }
    }
}

wdm::pageable! { passive:
    fn tell(request: &mut Request<'_>, passive: &Passive) -> Result<(), Status> {
        let narrow = |number| usize::try_from(number).map_err(|_| Status::INVALID_PARAMETER);
        let asked: BlocksRequest = request.input()?;
        let status = |error: Error| error.status();
        let process = Process::by_id(narrow(asked.process)?, passive).map_err(status)?;
        let space = AddressSpace::open(&process, passive).map_err(status)?;
        let mut writer = request.buffered()?.writer();
        let mut next = narrow(asked.address)?;
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

/// A block in the protocol's numbers.
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
