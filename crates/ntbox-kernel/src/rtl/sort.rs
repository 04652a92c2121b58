//! `qsort` and `bsearch`: the driver's array and its comparison.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::HIGH_LEVEL;

use crate::base::call_context::CallContext;
use crate::base::export::exports;

/// An array of a driver, which says itself how its elements compare.
struct Array<'a> {
    base: u64,
    width: u64,
    compare: u64,
    caller: CallContext<'a>,
}

impl Array<'_> {
    fn at(&self, index: u64) -> u64 {
        self.base.wrapping_add(index.wrapping_mul(self.width))
    }

    /// What the driver says of two addresses: an `int`.
    fn order(&self, one: u64, two: u64) -> i32 {
        let answer = self.caller.call(self.compare, &[one, two]);
        u32::try_from(answer & 0xffff_ffff).map_or(0, u32::cast_signed)
    }

    fn swap(&self, one: u64, two: u64) -> Result<(), Fault> {
        const PIECE: usize = 64;
        let (one, two) = (self.at(one), self.at(two));
        let mut done = 0;
        while done < self.width {
            let length = usize::try_from(self.width - done).map_or(PIECE, |left| left.min(PIECE));
            let (mut first, mut second) = ([0; PIECE], [0; PIECE]);
            driver_mem::read_bytes(one.wrapping_add(done), &mut first[..length])?;
            driver_mem::read_bytes(two.wrapping_add(done), &mut second[..length])?;
            driver_mem::write_bytes(one.wrapping_add(done), &second[..length])?;
            driver_mem::write_bytes(two.wrapping_add(done), &first[..length])?;
            done += length as u64;
        }
        Ok(())
    }

    /// Lets the element at `root` sink to its place in the heap of `count`.
    fn sink(&self, mut root: u64, count: u64) -> Result<(), Fault> {
        loop {
            let mut child = 2 * root + 1;
            if child >= count {
                return Ok(());
            }
            if child + 1 < count && self.order(self.at(child), self.at(child + 1)) < 0 {
                child += 1;
            }
            if self.order(self.at(root), self.at(child)) >= 0 {
                return Ok(());
            }
            self.swap(root, child)?;
            root = child;
        }
    }

    /// Sorts with a heap: no memory, no bad cases.
    fn sort(&self, count: u64) -> Result<(), Fault> {
        for root in (0..count / 2).rev() {
            self.sink(root, count)?;
        }
        for last in (1..count).rev() {
            self.swap(0, last)?;
            self.sink(0, last)?;
        }
        Ok(())
    }
}

exports! {
    /// `qsort`: equal elements come in no particular order.
    fn qsort<call>(base: u64, count: u64, width: u64, compare: u64) -> () [max HIGH_LEVEL, crt] {
        if count < 2 || width == 0 {
            return Ok(());
        }
        let array = Array { base, width, compare, caller: CallContext::of(call) };
        Ok(array.sort(count)?)
    }

    /// `bsearch`: an element that compares equal, or NULL.
    fn bsearch<call>(key: u64, base: u64, count: u64, width: u64, compare: u64) -> u64 [max HIGH_LEVEL, crt] {
        let array = Array { base, width, compare, caller: CallContext::of(call) };
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            match array.order(key, array.at(middle)) {
                0 => return Ok(array.at(middle)),
                order if order < 0 => high = middle,
                _ => low = middle + 1,
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address, address_mut, value};

    extern "win64" fn compare(one: u64, two: u64) -> i32 {
        let read = |at| i32::from(driver_mem::read_u8(at).expect("ours"));
        read(one) - read(two)
    }

    #[test]
    fn qsort_and_bsearch_agree() {
        let function = compare as *const () as u64;
        for count in [0_u8, 1, 2, 3, 7, 64, 200] {
            let mut array: Vec<[u8; 3]> = (0..count).map(|n| [n.wrapping_mul(77), n, !n]).collect();
            let mut sorted = array.clone();
            sorted.sort_unstable();
            let at = array.as_mut_ptr() as u64;
            value(qsort, &[at, count.into(), 3, function]);
            assert_eq!(array, sorted);
            for (n, element) in sorted.iter().enumerate() {
                let found = value(
                    bsearch,
                    &[address(&element[0]), at, count.into(), 3, function],
                );
                assert_eq!(found, at + 3 * n as u64);
            }
        }
        let mut array = [1_u8, 3, 5];
        let at = address_mut(&mut array);
        for missing in [0_u8, 2, 4, 6] {
            assert_eq!(value(bsearch, &[address(&missing), at, 3, 1, function]), 0);
        }
    }

    #[test]
    fn qsort_moves_large_elements() {
        let mut array = [[9_u8; 150], [4; 150], [7; 150]];
        value(
            qsort,
            &[address_mut(&mut array), 3, 150, compare as *const () as u64],
        );
        assert_eq!(array, [[4; 150], [7; 150], [9; 150]]);
    }
}
