//! Pool: boxes, arrays, text, blocks, and the deprecated functions.

use core::{alloc::Layout, fmt::Write};

use ntmem_ioctl::PoolReply;
use wdm::{
    Error, Result, Status,
    irql::Passive,
    memory::PAGE_SIZE,
    pool::{
        NonpagedBlock, Options, PagedBox, PagedVec, PoolBox, PoolSlice, PoolUsage, PoolVec,
        UnicodeBuffer,
        legacy::{self, Pool},
    },
    utf16,
};

use super::{alignment, count, status_of, to_u64};
use crate::tags::SELFTEST;

/// A value whose type asks for more than the kernel gives by itself.
#[repr(align(256))]
struct Wide(#[expect(dead_code, reason = "where it lies is what counts")] [u8; 3]);

wdm::pageable! { passive:
    /// Allocates and frees pool of every kind.
    pub fn pool(passive: &Passive) -> Result<PoolReply> {
        let mut reply = PoolReply {
            held_before: PoolUsage::current().outstanding(),
            ..PoolReply::default()
        };
        boxes(&mut reply, passive)?;
        blocks(&mut reply)?;
        arrays(&mut reply, passive)?;
        text(&mut reply)?;
        old_functions(&mut reply, passive)?;
        reply.held_after = PoolUsage::current().outstanding();
        Ok(reply)
    }
}

fn boxes(reply: &mut PoolReply, passive: &Passive) -> Result<()> {
    let value = PoolBox::new([1_u64, 2, 3], SELFTEST).map_err(|rejected| rejected.error)?;
    reply.value_alignment = alignment(value.address());
    let line = Options::NONE.cache_aligned();
    let value =
        PoolBox::new_with([0_u8; 100], SELFTEST, line).map_err(|rejected| rejected.error)?;
    reply.cache_alignment = alignment(value.address());
    let value = PoolBox::new(Wide([1, 2, 3]), SELFTEST).map_err(|rejected| rejected.error)?;
    reply.wide_alignment = alignment(value.address());
    let mut value = PagedBox::new_with(0x1200_u64, SELFTEST, line, passive)
        .map_err(|rejected| rejected.error)?;
    *value.get_mut(passive) |= 0x34;
    reply.paged_value = *value.get(passive);
    reply.paged_alignment = alignment(value.address());
    Ok(())
}

fn blocks(reply: &mut PoolReply) -> Result<()> {
    let aligned = |size, alignment| {
        Layout::from_size_align(size, alignment)
            .map_err(|_| Error::new("ExAllocatePool2", Status::INVALID_PARAMETER))
    };
    let layout = |size| aligned(size, 16);
    let block = NonpagedBlock::zeroed(layout(777)?, SELFTEST)?;
    reply.zeroed = count(block.memory(), 0);
    let block = NonpagedBlock::uninitialised(layout(777)?, SELFTEST)?.fill(0xA5);
    reply.filled = count(block.memory(), 0xA5);
    let block = NonpagedBlock::zeroed(layout(PAGE_SIZE)?, SELFTEST)?;
    reply.page_alignment = alignment(block.address());
    let block = NonpagedBlock::zeroed_with(layout(500)?, SELFTEST, Options::NONE.charged())?;
    reply.charged = count(block.memory(), 0);
    let too_wide = aligned(1, PAGE_SIZE.saturating_mul(2))?;
    reply.too_wide_status = status_of(&NonpagedBlock::zeroed(too_wide, SELFTEST));
    reply.empty_status = status_of(&NonpagedBlock::zeroed(layout(0)?, SELFTEST));
    Ok(())
}

fn arrays(reply: &mut PoolReply, passive: &Passive) -> Result<()> {
    let mut numbers = PoolVec::new(SELFTEST);
    let mut capacity = numbers.capacity();
    for number in 0..1000_u64 {
        numbers.push(number).map_err(|rejected| rejected.error)?;
        if numbers.capacity() != capacity {
            capacity = numbers.capacity();
            reply.vec_moves = reply.vec_moves.saturating_add(1);
        }
    }
    reply.vec_len = to_u64(numbers.len());
    reply.vec_capacity = to_u64(numbers.capacity());
    reply.vec_sum = numbers.iter().sum();
    let taken = (numbers.swap_remove(500), numbers.pop());
    if taken == (Some(500), Some(998)) {
        reply.vec_left = to_u64(numbers.len());
    }
    let mut paged = PagedVec::new(SELFTEST);
    for number in 0..100_u64 {
        paged
            .push(number, passive)
            .map_err(|rejected| rejected.error)?;
    }
    reply.paged_sum = paged.get(passive).iter().sum();
    let squares = PoolSlice::from_fn(10, SELFTEST, |index| to_u64(index.saturating_mul(index)))?;
    reply.slice_sum = squares.iter().sum();
    let held = PoolUsage::current().outstanding();
    reply.held_more = held.saturating_sub(reply.held_before);
    Ok(())
}

fn text(reply: &mut PoolReply) -> Result<()> {
    let mut text = UnicodeBuffer::new(SELFTEST);
    text.push(utf16!(r"\Device"))?;
    text.push_str(r"\Nummer-\u{e4}")?;
    write!(text, " {}", 42)
        .map_err(|_| Error::new("ExAllocatePool2", Status::INSUFFICIENT_RESOURCES))?;
    let whole = text.as_unicode();
    reply.text_units = to_u64(whole.units().len());
    reply.text_equal = whole
        .units()
        .iter()
        .copied()
        .eq(r"\Device\Nummer-\u{e4} 42".encode_utf16())
        .into();
    Ok(())
}

fn old_functions(reply: &mut PoolReply, passive: &Passive) -> Result<()> {
    let block = legacy::allocate(Pool::Nonpaged, 100, passive)?;
    reply.legacy = count(block.memory(passive), 0);
    let block = legacy::allocate_with_tag(Pool::Paged, 200, SELFTEST, passive)?;
    reply.legacy_tagged = count(block.memory(passive), 0);
    let block = legacy::allocate_with_quota(Pool::Nonpaged, 300, passive)?;
    reply.legacy_charged = count(block.memory(passive), 0);
    let block = legacy::allocate_with_quota_tag(Pool::Paged, 400, SELFTEST, passive)?;
    reply.legacy_charged_tagged = count(block.memory(passive), 0);
    Ok(())
}
