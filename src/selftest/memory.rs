//! Memory routines: copy, move, fill, zero, compare.

use ntmem_ioctl::MemoryReply;
use wdm::{Result, bytes, irql::Passive, pool::PoolSlice};

use super::to_u64;
use crate::tags::SELFTEST;

/// Bytes of the buffer.
const LEN: usize = 512;

wdm::pageable! { passive:
    /// Copies, moves, fills, zeroes and compares.
    pub fn memory(passive: &Passive) -> Result<MemoryReply> {
        let counting = PoolSlice::from_fn(LEN, SELFTEST, low_byte)?;
        let mut buffer = PoolSlice::copied(&counting, SELFTEST)?;
        let mut reply = MemoryReply::default();
        let mut short = PoolSlice::from_fn(300, SELFTEST, |_| 0xEE)?;
        reply.copied = to_u64(bytes::copy(&mut short, &counting));
        reply.copied_equal = to_u64(bytes::count_equal(&short, &counting));
        moves(&mut reply, &mut buffer, &counting);
        bytes::fill(&mut buffer, 0x5A);
        reply.filled = count(&buffer, 0x5A);
        bytes::zero(&mut buffer);
        reply.zeroed = count(&buffer, 0);
        bytes::fill(&mut buffer, 0x77);
        bytes::secure_zero(&mut buffer);
        reply.secure_zeroed = count(&buffer, 0);
        compares(&mut reply, &mut buffer, &counting);
        Ok(reply)
    }
}

/// The bytes 0, 1, 2, … and again from 0.
fn low_byte(index: usize) -> u8 {
    let [low, ..] = index.to_le_bytes();
    low
}

#[expect(clippy::naive_bytecount, reason = "a few bytes, once")]
fn count(bytes: &[u8], byte: u8) -> u64 {
    to_u64(bytes.iter().filter(|&&found| found == byte).count())
}

fn moves(reply: &mut MemoryReply, buffer: &mut [u8], counting: &[u8]) {
    let at = |bytes: &[u8], from: usize, len: usize| {
        let moved = bytes.iter().skip(from).take(len);
        to_u64(moved.zip(counting).filter(|(a, b)| a == b).count())
    };
    if bytes::move_within(buffer, 0..400, 100).is_some() {
        reply.moved_up = at(buffer, 100, 400);
    }
    if bytes::move_within(buffer, 100..500, 0).is_some() {
        reply.moved_down = at(buffer, 0, 400);
    }
    let end = LEN.saturating_add(1);
    for (from, to) in [(0..end, 0), (0..100, LEN - 99), (0..100, usize::MAX)] {
        let refused = bytes::move_within(buffer, from, to).is_none();
        reply.refused = reply.refused.saturating_add(refused.into());
    }
}

fn compares(reply: &mut MemoryReply, buffer: &mut [u8], counting: &[u8]) {
    let _ = bytes::copy(buffer, counting);
    reply.equal = bytes::equal(buffer, counting).into();
    if let Some(byte) = buffer.get_mut(122) {
        *byte = !*byte;
    }
    reply.compared = to_u64(bytes::count_equal(buffer, counting));
    let _ = bytes::copy(buffer, counting);
    if let Some(byte) = buffer.last_mut() {
        *byte = !*byte;
    }
    reply.unequal = bytes::equal(buffer, counting).into();
    let shorter = counting.get(1..).unwrap_or_default();
    reply.other_length = bytes::equal(counting, shorter).into();
}
