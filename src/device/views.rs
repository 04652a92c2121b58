//! Mappings of driver pages in programs. A mapping belongs to a file. It is unmapped when
//! the file's last handle is closed or the process exits, whichever is first.

use core::alloc::Layout;

use ntmem_ioctl::{
    ExchangeReply, ExchangeRequest, MapReply, MapRequest, UnmapRequest, VIEW_SIZE_LIMIT,
};
use wdm::{
    Status,
    irp::{Completion, ProcessorMode, Requestor},
    irql::Passive,
    memory::{PAGE_SIZE, SharedBytes, byte_offset},
    pool::NonpagedBlock,
    user_map::Access,
};

use super::{File, NtMem, Request, counts::to_u64};
use crate::tags;

impl NtMem {
    /// Maps fresh pages into the caller.
    pub(super) fn map<'r>(
        &self,
        mut request: Request<'r>,
        passive: &mut Passive,
    ) -> Completion<'r> {
        if request.output_len() < size_of::<MapReply>() {
            return self.reject(request, Status::BUFFER_TOO_SMALL);
        }
        if request.requestor() == ProcessorMode::Kernel {
            return self.reject(request, Status::NOT_SUPPORTED);
        }
        let input = request.input::<MapRequest>();
        let (size, access) = match input.and_then(checked) {
            Ok(checked) => checked,
            Err(status) => return self.reject(request, status),
        };
        let mapped = request
            .user_requestor()
            .and_then(|program| self.map_pages(request.file(), size, access, &program, passive));
        match mapped {
            Ok(address) => request.reply(&MapReply { address }),
            Err(status) => request.fail(status),
        }
    }

    fn map_pages(
        &self,
        file: &File,
        size: usize,
        access: Access,
        program: &Requestor<'_>,
        passive: &mut Passive,
    ) -> Result<u64, Status> {
        // Pool of a page or more is whole pages, at the beginning of one.
        let layout = Layout::from_size_align(size, PAGE_SIZE);
        let layout = layout.map_err(|_| Status::INVALID_PARAMETER)?;
        let block = NonpagedBlock::zeroed(layout, tags::VIEW).map_err(|error| error.status())?;
        let mapped = self.views.map(file.number, block, access, program, passive);
        let address = mapped.map_err(|rejected| rejected.error.status())?;
        Ok(to_u64(address))
    }

    /// Undoes a view of the caller's.
    pub(super) fn unmap<'r>(
        &self,
        mut request: Request<'r>,
        passive: &mut Passive,
    ) -> Completion<'r> {
        let address = match request.input::<UnmapRequest>() {
            Ok(input) => usize::try_from(input.address).unwrap_or(0),
            Err(status) => return self.reject(request, status),
        };
        if self.views.unmap(request.file().number, address, passive) {
            request.succeed()
        } else {
            request.fail(Status::NOT_FOUND)
        }
    }

    /// Exchanges a word of a view at the driver's own address.
    pub(super) fn exchange<'r>(
        &self,
        mut request: Request<'r>,
        passive: &mut Passive,
    ) -> Completion<'r> {
        if request.output_len() < size_of::<ExchangeReply>() {
            return self.reject(request, Status::BUFFER_TOO_SMALL);
        }
        let input: ExchangeRequest = match request.input() {
            Ok(input) => input,
            Err(status) => return self.reject(request, status),
        };
        let address = usize::try_from(input.address).unwrap_or(0);
        let exchanged = self
            .views
            .with_memory(request.file().number, address, passive, |memory| {
                exchange(memory, input.offset, input.value)
            });
        match exchanged.unwrap_or(Err(Status::NOT_FOUND)) {
            Ok(value) => request.reply(&ExchangeReply { value }),
            Err(status) => request.fail(status),
        }
    }
}

/// The validated size and access.
fn checked(input: MapRequest) -> Result<(usize, Access), Status> {
    let wrong = Status::INVALID_PARAMETER;
    let size = usize::try_from(input.size).map_err(|_| wrong)?;
    let access = match input.read_only {
        0 => Access::ReadWrite,
        1 => Access::Read,
        _ => return Err(wrong),
    };
    if size == 0 || byte_offset(size) != 0 || input.size > VIEW_SIZE_LIMIT {
        return Err(wrong);
    }
    Ok((size, access))
}

/// Writes a word and returns the old value.
fn exchange(memory: SharedBytes<'_>, offset: u64, value: u64) -> Result<u64, Status> {
    let wrong = Status::INVALID_PARAMETER;
    let offset = usize::try_from(offset).map_err(|_| wrong)?;
    let (_, rest) = memory.split_at(offset).ok_or(wrong)?;
    let mut before = [0; size_of::<u64>()];
    if rest.copy_to(&mut before) < before.len() {
        return Err(wrong);
    }
    let _ = rest.copy_from(&value.to_le_bytes());
    Ok(u64::from_le_bytes(before))
}
