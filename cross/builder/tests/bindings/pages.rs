//! What `windows-sys` lacks, because the WDK has it as a macro besides or under
//! another name on x64, has as a function of programs too, or has with a number for
//! a pointer to an opaque type: as the functions' pages in Microsoft's reference
//! give it.

/// Names and declarations.
pub const PAGES: &[(&str, &str)] = &[
    (
        "ExDeleteLookasideListEx",
        r#""ntoskrnl.exe" "system" fn ExDeleteLookasideListEx(list: *mut u8)"#,
    ),
    (
        "ExFlushLookasideListEx",
        r#""ntoskrnl.exe" "system" fn ExFlushLookasideListEx(list: *mut u8)"#,
    ),
    (
        "ExInitializeLookasideListEx",
        r#""ntoskrnl.exe" "system" fn ExInitializeLookasideListEx(list: *mut u8, allocate: *mut u8, free: *mut u8, pooltype: i32, flags: u32, size: usize, tag: u32, depth: u16) -> i32"#,
    ),
    (
        "ExInterlockedInsertHeadList",
        r#""ntoskrnl.exe" "system" fn ExInterlockedInsertHeadList(head: *mut u8, entry: *mut u8, lock: *mut usize) -> *mut u8"#,
    ),
    (
        "ExInterlockedInsertTailList",
        r#""ntoskrnl.exe" "system" fn ExInterlockedInsertTailList(head: *mut u8, entry: *mut u8, lock: *mut usize) -> *mut u8"#,
    ),
    (
        "ExInterlockedPopEntryList",
        r#""ntoskrnl.exe" "system" fn ExInterlockedPopEntryList(head: *mut u8, lock: *mut usize) -> *mut u8"#,
    ),
    (
        "ExInterlockedPushEntryList",
        r#""ntoskrnl.exe" "system" fn ExInterlockedPushEntryList(head: *mut u8, entry: *mut u8, lock: *mut usize) -> *mut u8"#,
    ),
    (
        "ExInterlockedRemoveHeadList",
        r#""ntoskrnl.exe" "system" fn ExInterlockedRemoveHeadList(head: *mut u8, lock: *mut usize) -> *mut u8"#,
    ),
    (
        "ExQueryDepthSList",
        r#""ntoskrnl.exe" "system" fn ExQueryDepthSList(head: *mut u8) -> u16"#,
    ),
    (
        "ExpInterlockedFlushSList",
        r#""ntoskrnl.exe" "system" fn ExpInterlockedFlushSList(head: *mut u8) -> *mut u8"#,
    ),
    (
        "ExpInterlockedPopEntrySList",
        r#""ntoskrnl.exe" "system" fn ExpInterlockedPopEntrySList(head: *mut u8) -> *mut u8"#,
    ),
    (
        "ExpInterlockedPushEntrySList",
        r#""ntoskrnl.exe" "system" fn ExpInterlockedPushEntrySList(head: *mut u8, entry: *mut u8) -> *mut u8"#,
    ),
    (
        "InitializeSListHead",
        r#""ntoskrnl.exe" "system" fn InitializeSListHead(head: *mut u8)"#,
    ),
    (
        "KeAcquireSpinLockRaiseToDpc",
        r#""ntoskrnl.exe" "system" fn KeAcquireSpinLockRaiseToDpc(spinlock: *mut usize) -> u8"#,
    ),
    (
        "KeGetCurrentThread",
        r#""ntoskrnl.exe" "system" fn KeGetCurrentThread() -> *mut u8"#,
    ),
    (
        "KeLowerIrql",
        r#""ntoskrnl.exe" "system" fn KeLowerIrql(newirql: u8)"#,
    ),
    (
        "KeReleaseSpinLock",
        r#""ntoskrnl.exe" "system" fn KeReleaseSpinLock(spinlock: *mut usize, newirql: u8)"#,
    ),
    (
        "ObOpenObjectByPointer",
        r#""ntoskrnl.exe" "system" fn ObOpenObjectByPointer(object: *mut u8, attributes: u32, state: *mut u8, access: u32, objecttype: *mut u8, mode: i8, handle: *mut u8) -> i32"#,
    ),
    (
        "PsGetProcessId",
        r#""ntoskrnl.exe" "system" fn PsGetProcessId(process: *mut u8) -> *mut u8"#,
    ),
    (
        "RtlCompareMemory",
        r#""ntoskrnl.exe" "system" fn RtlCompareMemory(first: *const u8, second: *const u8, length: usize) -> usize"#,
    ),
    (
        "IoGetCurrentProcess",
        r#""ntoskrnl.exe" "system" fn IoGetCurrentProcess() -> *mut u8"#,
    ),
    (
        "KeStackAttachProcess",
        r#""ntoskrnl.exe" "system" fn KeStackAttachProcess(process: *mut u8, state: *mut u8)"#,
    ),
];
