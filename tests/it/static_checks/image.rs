//! The file `ntmem.sys`: what the Windows kernel checks before it loads a driver, and the
//! hardening of the image.

use std::collections::BTreeSet;

use integration_tests::images;
use object::LittleEndian as LE;
use object::pe;
use object::read::pe::{
    ImageNtHeaders, ImageOptionalHeader, Import, PeFile64, ResourceDirectoryEntryData,
    ResourceNameOrId,
};

/// What the release image may import, with the first version of Windows that
/// has it: by its page of Microsoft's reference, or, where that names none (`*`),
/// by the export list of an open reimplementation of Windows Server 2003 for
/// x64. None is newer than that: other kernels that follow Windows go no further.
const IMPORTS: [(&str, &str); 81] = [
    ("DbgPrintEx", "Windows XP"),
    ("ExAcquireFastMutex", "Windows 2000"),
    ("ExAllocatePool", "*"),
    ("ExAllocatePoolWithQuota", "*"),
    ("ExAllocatePoolWithQuotaTag", "Windows 2000"),
    ("ExAllocatePoolWithTag", "*"),
    ("ExFreePool", "Windows 2000"),
    ("ExFreePoolWithTag", "Windows 2000"),
    ("ExInterlockedInsertHeadList", "Windows 2000"),
    ("ExInterlockedInsertTailList", "Windows 2000"),
    ("ExInterlockedPopEntryList", "Windows 2000"),
    ("ExInterlockedPushEntryList", "Windows 2000"),
    ("ExInterlockedRemoveHeadList", "Windows 2000"),
    ("ExQueryDepthSList", "Windows XP"),
    ("ExReleaseFastMutex", "Windows 2000"),
    ("ExpInterlockedFlushSList", "*"),
    ("ExpInterlockedPopEntrySList", "*"),
    ("ExpInterlockedPushEntrySList", "*"),
    ("InitializeSListHead", "*"),
    ("IoAcquireRemoveLockEx", "Windows 2000"),
    ("IoAllocateMdl", "Windows 2000"),
    ("IoCreateDevice", "Windows 2000"),
    ("IoCreateSymbolicLink", "Windows 2000"),
    ("IoDeleteDevice", "Windows 2000"),
    ("IoDeleteSymbolicLink", "Windows 2000"),
    ("IoFreeMdl", "Windows 2000"),
    ("IoGetCurrentProcess", "Windows 2000"),
    ("IoInitializeRemoveLockEx", "Windows 2000"),
    ("IoReleaseCancelSpinLock", "Windows 2000"),
    ("IoReleaseRemoveLockAndWaitEx", "Windows 2000"),
    ("IoReleaseRemoveLockEx", "Windows 2000"),
    ("IofCompleteRequest", "*"),
    ("KeAcquireGuardedMutex", "Windows Server 2003"),
    ("KeAcquireSpinLockRaiseToDpc", "Windows 2000"),
    ("KeDelayExecutionThread", "Windows 2000"),
    ("KeGetCurrentThread", "*"),
    ("KeInitializeEvent", "Windows 2000"),
    ("KeInitializeGuardedMutex", "Windows Server 2003"),
    ("KeLowerIrql", "Windows 2000"),
    ("KeQueryPerformanceCounter", "Windows 2000"),
    ("KeReadStateEvent", "Windows 2000"),
    ("KeReleaseGuardedMutex", "Windows Server 2003"),
    ("KeReleaseSpinLock", "Windows 2000"),
    ("KeResetEvent", "Windows 2000"),
    ("KeSetEvent", "Windows 2000"),
    ("KeStackAttachProcess", "Windows 2000"),
    ("KeUnstackDetachProcess", "Windows 2000"),
    ("KeWaitForSingleObject", "Windows 2000"),
    ("KfRaiseIrql", "*"),
    ("MmBuildMdlForNonPagedPool", "Windows 2000"),
    ("MmGetPhysicalAddress", "Windows 2000"),
    ("MmGetSystemRoutineAddress", "Windows 2000"),
    ("MmHighestUserAddress", "*"),
    ("MmMapLockedPagesSpecifyCache", "*"),
    ("MmProbeAndLockPages", "Windows 2000"),
    ("MmSystemRangeStart", "*"),
    ("MmUnlockPages", "Windows 2000"),
    ("MmUnmapLockedPages", "Windows 2000"),
    ("MmUserProbeAddress", "*"),
    ("ObOpenObjectByPointer", "*"),
    ("ObfDereferenceObject", "*"),
    ("ObfReferenceObject", "Windows 2000"),
    ("ProbeForRead", "Windows 2000"),
    ("ProbeForWrite", "Windows 2000"),
    ("PsGetCurrentProcessId", "Windows 2000"),
    ("PsGetCurrentThreadId", "Windows 2000"),
    ("PsGetProcessId", "Windows XP"),
    ("PsLookupProcessByProcessId", "Windows 2000"),
    ("PsSetCreateProcessNotifyRoutine", "Windows 2000"),
    ("RtlCompareMemory", "Windows 2000"),
    ("RtlGetVersion", "Windows 2000"),
    ("RtlTimeToTimeFields", "Windows 2000"),
    ("ZwClose", "*"),
    ("ZwOpenKey", "*"),
    ("ZwQueryValueKey", "*"),
    ("ZwSetSecurityObject", "Windows XP"),
    ("__C_specific_handler", "*"),
    ("memcmp", "*"),
    ("memcpy", "*"),
    ("memmove", "*"),
    ("memset", "*"),
];

/// Exports that the linker is made to keep: the entry point, and what wdk-sys
/// marks for export in every driver that links it.
const EXPORTS: [&str; 5] = [
    "DriverEntry",
    "__CxxFrameHandler3",
    "__CxxFrameHandler4",
    "__GSHandlerCheck_EH4",
    "_fltused",
];

fn release() -> Vec<u8> {
    std::fs::read(images::ntmem()).expect("the release build can be read")
}

fn parse(bytes: &[u8]) -> PeFile64<'_> {
    PeFile64::parse(bytes).expect("a PE32+ image")
}

/// All imports, as module and name.
fn imports(bytes: &[u8]) -> Vec<(String, String)> {
    let file = parse(bytes);
    let table = file
        .import_table()
        .expect("sound imports")
        .expect("imports");
    let mut list = Vec::new();
    let mut descriptors = table.descriptors().expect("descriptors");
    while let Some(descriptor) = descriptors.next().expect("a descriptor") {
        let module = table.name(descriptor.name.get(LE)).expect("a name");
        let module = String::from_utf8_lossy(module).to_lowercase();
        let mut thunks = table
            .thunks(descriptor.original_first_thunk.get(LE))
            .expect("thunks");
        while let Some(thunk) = thunks.next::<pe::ImageNtHeaders64>().expect("a thunk") {
            let import = table
                .import::<pe::ImageNtHeaders64>(thunk)
                .expect("an import");
            let name = match import {
                Import::Name(_, name) => String::from_utf8_lossy(name).into_owned(),
                Import::Ordinal(number) => format!("#{number}"),
            };
            list.push((module.clone(), name));
        }
    }
    list
}

#[test]
fn image_headers_are_of_native_x64_driver() {
    let bytes = release();
    let file = parse(&bytes);
    let headers = file.nt_headers();
    assert_eq!(
        headers.file_header().machine.get(LE),
        pe::IMAGE_FILE_MACHINE_AMD64
    );
    let optional = headers.optional_header();
    assert_eq!(optional.subsystem(), pe::IMAGE_SUBSYSTEM_NATIVE);
    assert!(
        optional.major_operating_system_version() <= 6,
        "a newer system would be asked for"
    );
    let subsystem = (
        optional.major_subsystem_version(),
        optional.minor_subsystem_version(),
    );
    assert!(
        subsystem <= (6, 1),
        "Windows 7 is 6.1, the image asks for {subsystem:?}"
    );
    assert_ne!(optional.address_of_entry_point(), 0);
    assert_eq!(optional.section_alignment(), 0x1000);
}

/// `ImageNtHeader.CheckSum` as `CheckSumMappedFile` documents it: the sum of all
/// 16-bit words with carries folded in, without the field itself, plus the
/// file's length. Windows does not load a driver that has another.
fn checksum(bytes: &[u8], field: usize) -> u32 {
    let words = bytes
        .chunks(2)
        .enumerate()
        .filter(|(index, _)| !(field..field + 4).contains(&(index * 2)));
    let sum = words.fold(0_u32, |sum, (_, word)| {
        let word = u32::from(word[0]) | word.get(1).map_or(0, |high| u32::from(*high) << 8);
        let sum = sum + word;
        (sum & 0xFFFF) + (sum >> 16)
    });
    sum + u32::try_from(bytes.len()).expect("a small file")
}

#[test]
fn image_checksum_is_correct() {
    let bytes = release();
    let optional = parse(&bytes).dos_header().nt_headers_offset() as usize + 24;
    let stored = parse(&bytes).nt_headers().optional_header().check_sum();
    assert_ne!(stored, 0, "the linker wrote no checksum");
    assert_eq!(stored, checksum(&bytes, optional + 64));
}

#[test]
fn image_has_no_writable_executable_section() {
    for path in [images::ntmem(), images::ntmem_debug()] {
        let bytes = std::fs::read(&path).expect("the build can be read");
        let file = parse(&bytes);
        let mut executable = 0;
        for section in file.section_table().iter() {
            let flags = section.characteristics.get(LE);
            let has = |flag: pe::SectionFlags| flags.0 & flag.0 != 0;
            let name = String::from_utf8_lossy(&section.name).into_owned();
            assert!(
                !(has(pe::IMAGE_SCN_MEM_WRITE) && has(pe::IMAGE_SCN_MEM_EXECUTE)),
                "{name} of {} is writable and executable",
                path.display()
            );
            executable += u32::from(has(pe::IMAGE_SCN_MEM_EXECUTE));
        }
        assert_ne!(executable, 0, "{} has no code", path.display());
    }
}

/// Code that may be on disk, and code that goes when DriverEntry has returned.
#[test]
fn image_has_page_and_init_sections() {
    const CODE: u32 = pe::IMAGE_SCN_CNT_CODE.0 | pe::IMAGE_SCN_MEM_EXECUTE.0;
    for path in [images::ntmem(), images::ntmem_debug()] {
        let bytes = std::fs::read(&path).expect("the build can be read");
        let file = parse(&bytes);
        for (name, is_discardable) in [("PAGE", false), ("INIT", true), (".text", false)] {
            let section = file
                .section_table()
                .iter()
                .find(|section| section.raw_name() == name.as_bytes())
                .unwrap_or_else(|| panic!("{} has no section {name}", path.display()));
            let flags = section.characteristics.get(LE);
            assert_eq!(flags.0 & CODE, CODE, "{name}");
            assert_eq!(
                flags.0 & pe::IMAGE_SCN_MEM_DISCARDABLE.0 != 0,
                is_discardable,
                "{name}"
            );
            assert!(
                section.virtual_size.get(LE) > 0x400,
                "{name} is hardly used"
            );
        }
    }
}

/// Address space layout randomisation, no-execute memory, checked code integrity.
#[test]
fn image_hardening_flags_are_set() {
    let bytes = release();
    let flags = parse(&bytes)
        .nt_headers()
        .optional_header()
        .dll_characteristics();
    for flag in [
        pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE,
        pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT,
        pe::IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA,
    ] {
        assert_ne!(
            flags.0 & flag.0,
            0,
            "{:#x} is not set in {:#x}",
            flag.0,
            flags.0
        );
    }
}

#[test]
fn image_imports_exist_on_windows_7() {
    let bytes = release();
    let known: BTreeSet<_> = IMPORTS.iter().map(|(name, _)| *name).collect();
    let imports = imports(&bytes);
    assert!(
        imports.iter().any(|(_, name)| name == "DbgPrintEx"),
        "{imports:?}"
    );
    for (module, name) in &imports {
        assert!(
            matches!(module.as_str(), "ntoskrnl.exe" | "hal.dll"),
            "{name} is imported from {module}"
        );
        assert!(
            known.contains(name.as_str()),
            "{name} is a new import: look up which Windows has it first, and put it into the list of this test"
        );
    }
}

/// The panic handler calls `KeBugCheckEx`: an image without that import is one in
/// which no panic can be reached.
#[test]
fn image_has_no_reachable_panic() {
    let names: Vec<_> = imports(&release())
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    assert!(
        !names.iter().any(|name| name.starts_with("KeBugCheck")),
        "{names:?}"
    );
}

#[test]
fn image_exports_are_linker_required() {
    let bytes = release();
    let table = parse(&bytes).export_table().expect("sound exports");
    let names: Vec<_> = table.map_or_else(Vec::new, |table| {
        table
            .exports()
            .expect("exports")
            .into_iter()
            .filter_map(|export| export.name)
            .collect()
    });
    for name in names {
        let name = String::from_utf8_lossy(name);
        assert!(EXPORTS.contains(&name.as_ref()), "{name} is exported");
    }
}

/// What Explorer, WinDbg's `lmv` and installers show: the version resource that
/// `build.rs` writes, found the way the loader finds it.
#[test]
fn image_has_version_resource() {
    let bytes = release();
    let file = parse(&bytes);
    let directory = file
        .data_directories()
        .resource_directory(bytes.as_slice(), &file.section_table())
        .expect("sound resources")
        .expect("resources");
    let mut entry = directory.root().expect("a root").entries;
    assert_eq!(entry.len(), 1, "a version and nothing else");
    assert!(
        matches!(entry[0].name_or_id(), ResourceNameOrId::Id(16)),
        "RT_VERSION"
    );
    // Below the kind is the name, below that the language, below that the data.
    let data = loop {
        match entry[0].data(directory).expect("an entry") {
            ResourceDirectoryEntryData::Table(table) => entry = table.entries,
            ResourceDirectoryEntryData::Data(data) => break data,
        }
    };
    let version = file
        .section_table()
        .pe_data_at(bytes.as_slice(), data.offset_to_data.get(LE))
        .expect("the data is in a section")
        .get(..data.size.get(LE) as usize)
        .expect("all of it");
    let text: Vec<u16> = version
        .chunks_exact(2)
        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
        .collect();
    let text = String::from_utf16_lossy(&text);
    let number = concat!(env!("CARGO_PKG_VERSION"), ".0");
    for (name, value) in [("FileVersion", number), ("OriginalFilename", "ntmem.sys")] {
        let found = text
            .split_once(name)
            .map(|(_, rest)| rest.trim_start_matches('\0'));
        assert!(
            found.is_some_and(|rest| rest.starts_with(value)),
            "{name} is not {value}: {text:?}"
        );
    }
}

/// The driver is safe Rust: the compiler forbids the keyword, and it does not
/// occur.
#[test]
fn driver_source_has_no_unsafe_code() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../src");
    let mut files = 0;
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the driver's source") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let text = std::fs::read_to_string(&path).expect("source is text");
            let uses = text.lines().find(|line| line.contains("unsafe"));
            assert_eq!(uses, None, "{}", path.display());
        }
    }
    assert!(files >= 5, "only {files} files were found");
}

/// What the reference forbids is called in one place, which says why.
#[test]
fn double_map_source_has_one_unsafe_call() {
    let file =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/double-map/src/lib.rs");
    let text = std::fs::read_to_string(file).expect("source is text");
    assert_eq!(text.matches("unsafe {").count(), 1);
    let (argument, _) = text.split_once("unsafe {").expect("the call");
    assert!(argument.contains("// SAFETY: "), "the block says why");
}
