//! The data of a file, written by `send` and write requests and read by `receive` and
//! read requests.
//!
//! The caller can change its locked pages at any time, so each byte is read once. The
//! data is replaced after the copy succeeded, so a rejected request changes nothing.

use core::{alloc::Layout, sync::atomic::AtomicU64};

use ntmem_ioctl::{Checksum, STORE_LIMIT};
use wdm::{
    Status,
    irp::{DirectReader, DirectWriter},
    irql::Apc,
    memory::SharedBytes,
    pool::NonpagedBlock,
    sync::FastMutex,
};

use super::counts;
use crate::tags;

/// The size of one copy.
const PIECE: usize = 256;

/// The bytes of a file.
pub struct Store {
    bytes: FastMutex<Option<NonpagedBlock>>,
    /// The total size of all stores.
    total: &'static AtomicU64,
}

impl Store {
    /// A store without bytes.
    pub fn new(total: &'static AtomicU64) -> Result<Self, Status> {
        let bytes = FastMutex::new(None, tags::STORE).map_err(|error| error.status())?;
        Ok(Self { bytes, total })
    }

    /// Replaces the data by the rest of the caller's pages. `STATUS_DATA_ERROR` if
    /// the checksum differs.
    pub fn replace(
        &self,
        mut reader: DirectReader<'_>,
        sum: u64,
        apc: &mut Apc,
    ) -> Result<(), Status> {
        let block = block(reader.remaining())?;
        let found = match &block {
            Some(block) => copy_in(block.memory(), &mut reader)?,
            None => Checksum::EMPTY,
        };
        if found.number() != sum {
            return Err(Status::DATA_ERROR);
        }
        self.bytes.with(apc, |bytes, _| self.exchange(bytes, block));
        Ok(())
    }

    /// Writes the rest of the caller's pages at `offset`; a gap before it becomes
    /// zero.
    pub fn write(
        &self,
        mut reader: DirectReader<'_>,
        offset: i64,
        apc: &mut Apc,
    ) -> Result<(), Status> {
        let wrong = Status::INVALID_PARAMETER;
        let offset = usize::try_from(offset).map_err(|_| wrong)?;
        let end = offset.checked_add(reader.remaining()).ok_or(wrong)?;
        if reader.remaining() == 0 {
            return Ok(());
        }
        self.bytes.with(apc, |bytes, _| {
            let before = bytes.as_ref().map_or(0, NonpagedBlock::size);
            let fresh = block(end.max(before))?.ok_or(wrong)?;
            if let Some(old) = bytes.as_ref() {
                copy(old.memory(), fresh.memory());
            }
            let (_, place) = fresh.memory().split_at(offset).ok_or(wrong)?;
            let (place, _) = place.split_at(reader.remaining()).ok_or(wrong)?;
            copy_in(place, &mut reader)?;
            self.exchange(bytes, Some(fresh));
            Ok(())
        })
    }

    /// Reads all data. `STATUS_BUFFER_TOO_SMALL` if it does not fit.
    pub fn read_all(&self, mut writer: DirectWriter<'_>, apc: &mut Apc) -> Result<(), Status> {
        self.bytes.with(apc, |bytes, _| {
            let Some(block) = bytes else {
                return Ok(());
            };
            if writer.remaining() < block.size() {
                return Err(Status::BUFFER_TOO_SMALL);
            }
            copy_out(block.memory(), &mut writer)
        })
    }

    /// Reads data at `offset`, as much as exists and fits. `STATUS_END_OF_FILE` at
    /// the end.
    pub fn read(
        &self,
        mut writer: DirectWriter<'_>,
        offset: i64,
        apc: &mut Apc,
    ) -> Result<(), Status> {
        let offset = usize::try_from(offset).map_err(|_| Status::INVALID_PARAMETER)?;
        if writer.remaining() == 0 {
            return Ok(());
        }
        self.bytes.with(apc, |bytes, _| {
            let rest = bytes.as_ref().and_then(|block| {
                let (_, rest) = block.memory().split_at(offset)?;
                let len = rest.len().min(writer.remaining());
                rest.split_at(len).map(|(rest, _)| rest)
            });
            let rest = rest.filter(|rest| !rest.is_empty());
            copy_out(rest.ok_or(Status::END_OF_FILE)?, &mut writer)
        })
    }

    /// Replaces the data and updates the total.
    fn exchange(&self, bytes: &mut Option<NonpagedBlock>, new: Option<NonpagedBlock>) {
        let size = |block: &Option<NonpagedBlock>| block.as_ref().map_or(0, NonpagedBlock::size);
        counts::add(self.total, size(&new));
        counts::subtract(self.total, size(bytes));
        *bytes = new;
    }

    /// Frees the data.
    pub fn clear(&self, apc: &mut Apc) {
        self.bytes.with(apc, |bytes, _| self.exchange(bytes, None));
    }
}

/// Pool for so many bytes; `None` for none.
fn block(bytes: usize) -> Result<Option<NonpagedBlock>, Status> {
    if bytes == 0 {
        return Ok(None);
    }
    let layout = Layout::array::<u8>(bytes).map_err(|_| Status::INVALID_PARAMETER)?;
    if bytes > STORE_LIMIT {
        return Err(Status::INVALID_PARAMETER);
    }
    let block = NonpagedBlock::zeroed(layout, tags::STORE);
    block.map(Some).map_err(|error| error.status())
}

/// Copies the rest of the caller's pages to memory of that length; their checksum.
fn copy_in(memory: SharedBytes<'_>, reader: &mut DirectReader<'_>) -> Result<Checksum, Status> {
    let mut sum = Checksum::EMPTY;
    let mut buffer = [0; PIECE];
    for place in memory.chunks(PIECE) {
        let piece = buffer.get_mut(..place.len()).unwrap_or_default();
        reader.read_bytes(piece)?;
        let _ = place.copy_from(piece);
        sum = sum.then(piece);
    }
    Ok(sum)
}

/// Copies memory to the caller's pages.
fn copy_out(memory: SharedBytes<'_>, writer: &mut DirectWriter<'_>) -> Result<(), Status> {
    let mut buffer = [0; PIECE];
    for place in memory.chunks(PIECE) {
        let piece = buffer.get_mut(..place.len()).unwrap_or_default();
        let _ = place.copy_to(piece);
        writer.write_bytes(piece)?;
    }
    Ok(())
}

/// Copies memory to the beginning of memory that is at least as long.
fn copy(from: SharedBytes<'_>, to: SharedBytes<'_>) {
    let mut buffer = [0; PIECE];
    for (from, to) in from.chunks(PIECE).zip(to.chunks(PIECE)) {
        let piece = buffer.get_mut(..from.len()).unwrap_or_default();
        let _ = from.copy_to(piece);
        let _ = to.copy_from(piece);
    }
}
