//! Rules on pool, MDLs, mappings and other memory.

use super::rules;

rules! {
    MEMORY:
    EXECUTABLE_MAPPING = "executable-mapping", strict, stops 0xc4/0x2002,
        "An MDL is mapped so that its pages can be executed";
    EXECUTABLE_POOL = "executable-pool", strict, stops 0xc4/0x2000,
        "Nonpaged pool that can be executed is allocated";
    IRP_MDL_UNLOCKED = "irp-mdl-unlocked", always, stops 0xc4/0x7c,
        "The MDL of an IRP is unlocked by the driver";
    KERNEL_POOL_FREED = "kernel-pool-freed", always, stops 0xc2/0x7,
        "Memory that the kernel owns is freed by the driver";
    MDL_BUILD_LOCKED = "mdl-build-locked" (formerly "build-mdl-locked"), always,
        "MmBuildMdlForNonPagedPool is called for an MDL whose pages are locked";
    MDL_BUILD_NOT_NONPAGED = "mdl-build-not-nonpaged" (formerly "build-mdl-not-nonpaged"), always, stops 0xc4/0x7f,
        "MmBuildMdlForNonPagedPool is called for memory that is not nonpaged";
    MDL_FREE_LOCKED = "mdl-free-locked" (formerly "free-locked-mdl"), always,
        "An MDL is freed whose pages are locked";
    MDL_FREE_MAPPED = "mdl-free-mapped" (formerly "free-mapped-mdl"), always, stops 0xc4/0xb8,
        "An MDL is freed while it is mapped";
    MDL_FREE_PAGES_MAPPED = "mdl-free-pages-mapped" (formerly "free-pages-mapped"), always, stops 0xc4/0xb7,
        "The pages of an MDL are freed while they are mapped";
    MDL_FREE_PAGES_NOT_ALLOCATED = "mdl-free-pages-not-allocated" (formerly "free-pages-not-allocated"), always,
        "Pages are freed that were not allocated for the MDL";
    MDL_LOCK_NONPAGED = "mdl-lock-nonpaged" (formerly "lock-nonpaged-mdl"), always, stops 0xc4/0xb0,
        "The pages of an MDL for nonpaged pool are locked";
    MDL_LOCK_OUTLIVES_PROCESS = "mdl-lock-outlives-process" (formerly "lock-outlives-process"), always, stops 0xcb/0x0,
        "A process ends while its pages are locked";
    MDL_LOCK_TWICE = "mdl-lock-twice" (formerly "lock-twice"), always, stops 0xc4/0xb0,
        "The pages of an MDL are locked twice";
    MDL_MAP_BUGCHECK_ON_FAILURE = "mdl-map-bugcheck-on-failure" (formerly "bug-check-on-failure"), always, stops 0xc4/0x82,
        "An MDL is mapped with BugCheckOnFailure TRUE";
    MDL_MAP_NONPAGED = "mdl-map-nonpaged" (formerly "map-nonpaged-to-system"), always,
        "An MDL for nonpaged pool is mapped into system space";
    MDL_MAP_NOT_LOCKED = "mdl-map-not-locked" (formerly "map-not-locked"), always, stops 0xc4/0xb3,
        "An MDL is mapped before its pages are locked";
    MDL_MAP_TWICE = "mdl-map-twice" (formerly "map-twice"), always, stops 0xc4/0xb2,
        "An MDL is mapped into system space twice";
    MDL_MAPPING_OUTLIVES_PROCESS = "mdl-mapping-outlives-process" (formerly "mapping-outlives-process"), always, stops 0x76/0x0,
        "A process ends while an MDL is mapped into it";
    MDL_UNLOCK_NONPAGED = "mdl-unlock-nonpaged" (formerly "unlock-nonpaged-mdl"), always, stops 0xc4/0x7d,
        "The pages of an MDL for nonpaged pool are unlocked";
    MDL_UNLOCK_NOT_LOCKED = "mdl-unlock-not-locked" (formerly "unlock-not-locked"), always, stops 0xc4/0x7c,
        "The pages of an MDL are unlocked that are not locked";
    OVERLAPPING_COPY = "overlapping-copy", always, stops 0xc4/0xf0,
        "memcpy is called for ranges that overlap";
    POOL_ACCESS_OUT_OF_BOUNDS = "pool-access-out-of-bounds", standard,
        "Memory beside a pool block is accessed";
    POOL_FREED_WHILE_LOCKED = "pool-freed-while-locked", standard,
        "Pool is freed while an MDL has its pages locked";
    POOL_TAG_ZERO = "pool-tag-zero", always, stops 0xc2/0x9b,
        "Pool is allocated with the tag 0";
    POOL_ZERO_SIZE = "pool-zero-size", always, stops 0xc4/0x0,
        "Pool of 0 bytes is allocated";
    UNMAP_BAD_USER_ADDRESS = "unmap-bad-user-address", always, stops 0xc4/0xb9,
        "An address is unmapped that is no user mapping of the MDL";
    UNMAP_NOT_MAPPED = "unmap-not-mapped", always, stops 0xc4/0xb6 | 0xd7/_,
        "An address is unmapped at which nothing is mapped";
    UNSECURE_NOT_SECURED = "unsecure-not-secured", always,
        "User memory is unsecured that is not secured";
}
