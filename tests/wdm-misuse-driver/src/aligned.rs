//! Values that ask for more alignment than a block of pool has by itself, with and
//! without a size: none may lie where its type cannot be.

use wdm::{
    Result, Status,
    debug::Level,
    irql::Passive,
    lookaside::{LookasideList, PoolAllocator},
    pool::{PagedBox, PoolBox, PoolSlice, PoolVec},
};

use crate::TAG;

/// Nothing, at a place that few blocks begin at.
#[repr(align(256))]
struct Nothing;

/// A byte of each line of the processor's cache.
#[repr(align(64))]
struct Line(u8);

pub fn run(passive: &Passive) -> Result<()> {
    for _ in 0..8 {
        // A block between those that are looked at, so that they move.
        let between = PoolBox::new(1_u8, TAG).map_err(|rejected| rejected.error)?;
        let boxed = PoolBox::new(Nothing, TAG).map_err(|rejected| rejected.error)?;
        say::<Nothing>("box", boxed.address());
        let paged = PagedBox::new(Nothing, TAG, passive).map_err(|rejected| rejected.error)?;
        say::<Nothing>("paged box", paged.address());
        let line = PoolBox::new(Line(1), TAG).map_err(|rejected| rejected.error)?;
        say::<Line>("line", line.address());
        drop(between);
    }
    let mut many = PoolVec::new(TAG);
    for _ in 0..5 {
        many.push(Nothing).map_err(|rejected| rejected.error)?;
    }
    say::<Nothing>("vector of nothing", many.as_ptr().addr());
    let mut lines = PoolVec::new(TAG);
    for number in 0..100 {
        lines
            .push(Line(number))
            .map_err(|rejected| rejected.error)?;
    }
    say::<Line>("vector", lines.as_ptr().addr());
    let lines = PoolSlice::from_fn(3, TAG, |_| Line(7))?;
    say::<Line>("slice", lines.as_ptr().addr());
    let sum: u8 = lines.iter().map(|line| line.0).sum();
    let lookaside = LookasideList::<Line>::new(TAG, PoolAllocator, passive);
    let refused = lookaside.is_err_and(|error| error.status() == Status::NOT_SUPPORTED);
    wdm::log!(Level::Error, "{sum}, lookaside refused: {refused}");
    Ok(())
}

/// Speaks up about an address that is not aligned. The compiler takes references to
/// be aligned, so it is kept from knowing where the address comes from.
fn say<T>(what: &str, address: usize) {
    if !core::hint::black_box(address).is_multiple_of(align_of::<T>()) {
        wdm::log!(Level::Error, "{what} at {address:#x}");
    }
}
