//! Pool and its containers: who owns what is in them, on kernels with and without
//! `ExAllocatePool2`.

use core::alloc::Layout;

use wdk_sys::host::System;
use wdm::{
    irql::Irql,
    pool::{NonpagedBlock, PagedBox, PagedVec, PoolBox, PoolSlice, PoolUsage, PoolVec, legacy},
};
use wdm_host::{TAG, boxed, in_driver, in_driver_on};

#[test]
fn pool_box_holds_any_size_and_alignment() {
    #[repr(align(256))]
    #[derive(Debug, PartialEq)]
    struct Aligned(u8);
    #[repr(align(256))]
    #[derive(Debug, PartialEq)]
    struct Empty;
    in_driver(|_| {
        assert_eq!(*boxed(7_u8), 7);
        assert_eq!(*boxed(Aligned(3)), Aligned(3));
        assert_eq!(boxed(Aligned(3)).address() % 256, 0);
        assert_eq!(*boxed(()), ());
        assert_eq!(*boxed(Empty), Empty);
        assert_eq!(*boxed([5_u64; 600]), [5; 600]);
        let mut text = boxed(String::from("long enough for a heap"));
        text.push('!');
        assert!(text.ends_with("heap!"));
    });
}

#[test]
fn pool_vec_moves_values_as_it_grows() {
    for system in [System::Windows7, System::Windows11] {
        in_driver_on(system, |_| {
            let mut texts = PoolVec::<String>::new(TAG);
            for number in 0..10 {
                texts.push(number.to_string()).expect("there is memory");
            }
            assert_eq!(texts.swap_remove(3).as_deref(), Some("3"));
            assert_eq!(texts.pop().as_deref(), Some("8"));
            texts[3].push('x');
            assert_eq!(texts[3], "9x");
            assert!(texts.swap_remove(100).is_none());
            texts.clear();
            assert!(texts.pop().is_none());

            let mut nothing = PoolVec::<()>::new(TAG);
            nothing.push(()).expect("nothing needs no memory");
            assert_eq!(nothing.len(), 1);

            let squares = PoolSlice::from_fn(5, TAG, |index| (index * index).to_string());
            assert_eq!(squares.expect("there is memory")[4], "16");
            let copy = PoolSlice::copied(&[1_u16, 2, 3], TAG).expect("there is memory");
            assert_eq!(&*copy, [1, 2, 3]);
        });
    }
}

#[test]
fn paged_values_are_accessed_with_token() {
    in_driver(|passive| {
        let text = String::from("paged");
        let Ok(mut text) = PagedBox::new(text, TAG, passive) else {
            panic!("there is memory");
        };
        text.get_mut(passive).push('!');
        assert_eq!(text.get(passive), "paged!");
        let mut texts = PagedVec::<String>::new(TAG);
        for number in 0..6 {
            assert!(texts.push(number.to_string(), passive).is_ok());
        }
        assert_eq!(texts.get(passive)[5], "5");
        assert_eq!(texts.pop(passive).as_deref(), Some("5"));
    });
}

#[test]
fn pool_block_is_zeroed_and_filled() {
    for system in [System::Windows7, System::Windows11] {
        in_driver_on(system, |passive| {
            let block = NonpagedBlock::zeroed(Layout::new::<[u8; 5000]>(), TAG);
            let block = block.expect("there is memory");
            assert_eq!(block.address() % 4096, 0);
            let (block_start, _) = block.memory().split_at(64).expect("it is longer");
            assert_eq!(block.memory().count_equal(&[0; 64]), 64);
            block_start.fill(3);
            let mut copy = [0; 9];
            let _ = block_start.copy_to(&mut copy);
            assert_eq!(copy, [3; 9]);

            let unfilled = NonpagedBlock::uninitialised(Layout::new::<[u8; 20]>(), TAG);
            let filled = unfilled.expect("there is memory").fill(9);
            assert_eq!(filled.memory().count_equal(&[9; 20]), 20);

            for pool in [legacy::Pool::Paged, legacy::Pool::Nonpaged] {
                let old = legacy::allocate_with_quota_tag(pool, 40, TAG, passive);
                let old = old.expect("there is memory");
                assert_eq!(old.memory(passive).count_equal(&[0; 40]), 40);
                assert!(legacy::allocate(pool, 40, passive).is_ok());
                assert!(legacy::allocate(pool, 0, passive).is_err());
            }
        });
    }
}

#[test]
fn drop_at_dispatch_level_frees_nonpaged_pool_only() {
    in_driver(|passive| {
        let held = PoolUsage::current().outstanding();
        passive.raise_to_dispatch(|_| {
            assert_eq!(Irql::current(), Irql::DISPATCH);
            drop(boxed(5));
        });
        assert_eq!(PoolUsage::current().outstanding(), held);
        assert_eq!(Irql::current(), Irql::PASSIVE);
    });
}

#[test]
fn failed_allocation_returns_the_value() {
    #[repr(align(8192))]
    struct TooAligned(#[expect(dead_code, reason = "it is dropped")] String);
    in_driver(|_| {
        let rejected = PoolBox::new(TooAligned(String::from("back")), TAG);
        assert!(rejected.is_err());
        let mut numbers = PoolVec::<u64>::new(TAG);
        assert!(numbers.reserve(usize::MAX).is_err());
        assert!(numbers.reserve(usize::MAX / 8).is_err());
        assert!(numbers.is_empty());
    });
}
