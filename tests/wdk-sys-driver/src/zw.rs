//! System services: the registry, events, sections and files.

use core::ptr;

use wdk_sys::{
    _EVENT_TYPE::SynchronizationEvent,
    _FILE_INFORMATION_CLASS::FileDispositionInformation,
    _FILE_INFORMATION_CLASS::FileStandardInformation,
    _KEY_INFORMATION_CLASS::KeyBasicInformation,
    _KEY_VALUE_INFORMATION_CLASS::KeyValuePartialInformation,
    _SECTION_INHERIT::ViewUnmap,
    DISPATCH_LEVEL, FILE_ATTRIBUTE_NORMAL, FILE_CREATE, FILE_CREATED, FILE_DISPOSITION_INFORMATION,
    FILE_NON_DIRECTORY_FILE, FILE_OPEN, FILE_STANDARD_INFORMATION, FILE_SYNCHRONOUS_IO_NONALERT,
    GENERIC_READ, GENERIC_WRITE, HANDLE, IO_STATUS_BLOCK, KEY_ALL_ACCESS, KEY_BASIC_INFORMATION,
    KEY_VALUE_PARTIAL_INFORMATION, LARGE_INTEGER, OBJ_CASE_INSENSITIVE, PAGE_READWRITE, REG_BINARY,
    REG_CREATED_NEW_KEY, REG_DWORD, REG_OPENED_EXISTING_KEY, SEC_COMMIT, SECTION_MAP_READ,
    SECTION_MAP_WRITE, STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL, STATUS_CANNOT_DELETE,
    STATUS_END_OF_FILE, STATUS_INVALID_HANDLE, STATUS_NO_MORE_ENTRIES,
    STATUS_OBJECT_NAME_COLLISION, STATUS_OBJECT_NAME_NOT_FOUND, STATUS_SUCCESS, STATUS_TIMEOUT,
    UNICODE_STRING,
    ntddk::{
        ZwCreateEvent, ZwCreateFile, ZwCreateKey, ZwCreateSection, ZwDeleteKey, ZwDeleteValueKey,
        ZwEnumerateKey, ZwMapViewOfSection, ZwQueryInformationFile, ZwQueryValueKey, ZwReadFile,
        ZwSetEvent, ZwSetInformationFile, ZwSetValueKey, ZwUnmapViewOfSection,
        ZwWaitForSingleObject, ZwWriteFile,
    },
};

use crate::{
    check::{Case, Checks, Outcome, ok},
    irql,
    ke::from_now,
    kernel::{FALSE, TRUE},
    owned::{EVENT_ALL_ACCESS, Finally, Handle, attributes},
};

pub const CASES: &[Case] = &[
    (c"Keys", keys),
    (c"Values", values),
    (c"Events", events),
    (c"Sections", sections),
    (c"Files", files),
    (c"MissingFiles", missing_files),
];

/// `ZwCurrentProcess`.
fn current_process() -> HANDLE {
    ptr::without_provenance_mut(usize::MAX)
}

/// A key, deleted when it is dropped.
struct Key {
    handle: Handle,
    disposition: u32,
}

impl Key {
    fn new(root: Option<&Self>, mut name: UNICODE_STRING) -> Result<Self, i32> {
        let root = root.map_or(ptr::null_mut(), |key| key.handle.get());
        let mut attributes = attributes(&raw mut name, root, OBJ_CASE_INSENSITIVE);
        let mut disposition = 0;
        // SAFETY: name and attributes live as long as the call.
        let handle = Handle::from_call(|handle| unsafe {
            ZwCreateKey(
                handle,
                KEY_ALL_ACCESS,
                &raw mut attributes,
                0,
                ptr::null_mut(),
                0,
                &raw mut disposition,
            )
        })?;
        Ok(Self {
            handle,
            disposition,
        })
    }

    fn delete(&self) -> i32 {
        // SAFETY: the handle is there.
        unsafe { ZwDeleteKey(self.handle.get()) }
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.delete();
    }
}

/// The key of a case.
fn key() -> Result<Key, i32> {
    Key::new(
        None,
        unicode!("\\Registry\\Machine\\Software\\WdkSysDriver"),
    )
}

fn keys(checks: &mut Checks) -> Outcome {
    let key = key()?;
    check!(checks, key.disposition == REG_CREATED_NEW_KEY);
    let below = Key::new(Some(&key), unicode!("Below"))?;
    let again = Key::new(Some(&key), unicode!("BELOW"))?;
    check!(checks, again.disposition == REG_OPENED_EXISTING_KEY);
    // What has a subkey stays.
    returns!(checks, key.delete(), STATUS_CANNOT_DELETE);
    let mut room = [0_u64; 8];
    let mut length = 0;
    let mut enumerate = |index, size| {
        // SAFETY: the room is as long as the call is told.
        unsafe {
            ZwEnumerateKey(
                key.handle.get(),
                index,
                KeyBasicInformation,
                room.as_mut_ptr().cast(),
                size,
                &raw mut length,
            )
        }
    };
    returns!(checks, enumerate(0, 4), STATUS_BUFFER_TOO_SMALL);
    returns!(checks, enumerate(0, 20), STATUS_BUFFER_OVERFLOW);
    returns!(checks, enumerate(1, 64), STATUS_NO_MORE_ENTRIES);
    returns!(checks, enumerate(0, 64), STATUS_SUCCESS);
    // SAFETY: the last call wrote the information.
    unsafe {
        let information = room.as_ptr().cast::<KEY_BASIC_INFORMATION>();
        check!(checks, (*information).NameLength == 10);
        let name = (&raw const (*information).Name).cast::<[u16; 5]>().read();
        check!(checks, name[..] == wide!("Below")[..5]);
    }
    drop(again);
    drop(below);
    Ok(())
}

fn values(checks: &mut Checks) -> Outcome {
    let key = key()?;
    let mut name = unicode!("Value");
    let mut number = 0x1234_5678_u32;
    let mut bytes = *b"twelve bytes";
    let mut room = [0_u32; 16];
    let mut length = 0;
    let handle = key.handle.get();
    // SAFETY: names and rooms live in this frame, and are as long as the calls are
    // told.
    unsafe {
        let mut query = |size| {
            ZwQueryValueKey(
                handle,
                &raw mut name,
                KeyValuePartialInformation,
                room.as_mut_ptr().cast(),
                size,
                &raw mut length,
            )
        };
        returns!(checks, query(64), STATUS_OBJECT_NAME_NOT_FOUND);
        let mut named = unicode!("VALUE");
        ok(ZwSetValueKey(
            handle,
            &raw mut named,
            0,
            REG_DWORD,
            (&raw mut number).cast(),
            4,
        ))?;
        returns!(checks, query(8), STATUS_BUFFER_TOO_SMALL);
        returns!(checks, query(12), STATUS_BUFFER_OVERFLOW);
        returns!(checks, query(16), STATUS_SUCCESS);
        // A second time it is another value.
        ok(ZwSetValueKey(
            handle,
            &raw mut named,
            0,
            REG_BINARY,
            bytes.as_mut_ptr().cast(),
            12,
        ))?;
        returns!(checks, query(64), STATUS_SUCCESS);
        check!(checks, length == 24);
        let information = room.as_ptr().cast::<KEY_VALUE_PARTIAL_INFORMATION>();
        check!(
            checks,
            (*information).Type == REG_BINARY && (*information).DataLength == 12
        );
        let data = (&raw const (*information).Data).cast::<[u8; 12]>().read();
        check!(checks, data == bytes);
        returns!(
            checks,
            ZwDeleteValueKey(handle, &raw mut named),
            STATUS_SUCCESS
        );
        let gone = ZwDeleteValueKey(handle, &raw mut named);
        returns!(checks, gone, STATUS_OBJECT_NAME_NOT_FOUND);
    }
    Ok(())
}

fn events(checks: &mut Checks) -> Outcome {
    let mut attributes = attributes(ptr::null_mut(), ptr::null_mut(), 0);
    // SAFETY: the attributes live as long as the call.
    let event = Handle::from_call(|handle| unsafe {
        ZwCreateEvent(
            handle,
            EVENT_ALL_ACCESS,
            &raw mut attributes,
            SynchronizationEvent,
            FALSE,
        )
    })?;
    let mut state = -1;
    let mut now = from_now(0);
    // SAFETY: the handle is there until it is closed.
    unsafe {
        let handle = event.get();
        ok(ZwSetEvent(handle, &raw mut state))?;
        check!(checks, state == 0);
        returns!(
            checks,
            ZwWaitForSingleObject(handle, 0, &raw mut now),
            STATUS_SUCCESS
        );
        returns!(
            checks,
            ZwWaitForSingleObject(handle, 0, &raw mut now),
            STATUS_TIMEOUT
        );
        returns!(checks, event.close(), STATUS_SUCCESS);
        returns!(
            checks,
            ZwSetEvent(handle, &raw mut state),
            STATUS_INVALID_HANDLE
        );
    }
    Ok(())
}

fn sections(checks: &mut Checks) -> Outcome {
    let mut attributes = attributes(ptr::null_mut(), ptr::null_mut(), 0);
    let mut size = LARGE_INTEGER { QuadPart: 0x1_8000 };
    // SAFETY: attributes and size live as long as the call.
    let section = Handle::from_call(|handle| unsafe {
        ZwCreateSection(
            handle,
            SECTION_MAP_READ | SECTION_MAP_WRITE,
            &raw mut attributes,
            &raw mut size,
            PAGE_READWRITE,
            SEC_COMMIT,
            ptr::null_mut(),
        )
    })?;
    let map = |offset| {
        let mut base = ptr::null_mut();
        let mut length = 0;
        let mut offset = LARGE_INTEGER { QuadPart: offset };
        // SAFETY: the view is unmapped below.
        let status = unsafe {
            ZwMapViewOfSection(
                section.get(),
                current_process(),
                &raw mut base,
                0,
                0,
                &raw mut offset,
                &raw mut length,
                ViewUnmap,
                0,
                PAGE_READWRITE,
            )
        };
        ok(status).map(|()| (base, length))
    };
    let unmap = |base| {
        // SAFETY: the view is there, and nobody uses it any more.
        unsafe { ZwUnmapViewOfSection(current_process(), base) }
    };
    let (whole, length) = map(0)?;
    let _unmap = Finally(|| {
        unmap(whole);
    });
    check!(checks, length == 0x1_8000 && whole.addr() % 0x1_0000 == 0);
    let (part, length) = map(0x1_0000)?;
    check!(checks, length == 0x8000);
    // SAFETY: both views are there, and of the same memory.
    unsafe {
        check!(
            checks,
            whole.cast::<u8>().add(0x1_0000).read_volatile() == 0
        );
        part.cast::<u8>().write_volatile(0x77);
        check!(
            checks,
            whole.cast::<u8>().add(0x1_0000).read_volatile() == 0x77
        );
    }
    returns!(checks, unmap(part), STATUS_SUCCESS);
    Ok(())
}

/// Opens or creates a file for synchronous reading and writing.
fn open(
    mut name: UNICODE_STRING,
    disposition: u32,
    block: *mut IO_STATUS_BLOCK,
) -> Result<Handle, i32> {
    let mut attributes = attributes(&raw mut name, ptr::null_mut(), OBJ_CASE_INSENSITIVE);
    // SAFETY: name, attributes and block live as long as the call.
    Handle::from_call(|handle| unsafe {
        ZwCreateFile(
            handle,
            GENERIC_READ | GENERIC_WRITE | wdk_sys::DELETE,
            &raw mut attributes,
            block,
            ptr::null_mut(),
            FILE_ATTRIBUTE_NORMAL,
            0,
            disposition,
            FILE_SYNCHRONOUS_IO_NONALERT | FILE_NON_DIRECTORY_FILE,
            ptr::null_mut(),
            0,
        )
    })
}

fn files(checks: &mut Checks) -> Outcome {
    object!(block: IO_STATUS_BLOCK);
    let none = ptr::null_mut::<core::ffi::c_void>();
    let mut text = *b"kernel memory";
    let mut read = [0_u8; 20];
    let mut offset = LARGE_INTEGER { QuadPart: 7 };
    let name = || unicode!("\\??\\C:\\wdk-sys-driver.txt");
    let file = open(name(), FILE_CREATE, block)?;
    let again = open(name(), FILE_CREATE, block).err();
    check!(checks, again == Some(STATUS_OBJECT_NAME_COLLISION));
    let handle = file.get();
    // SAFETY: buffers and block live in this frame; the file is synchronous.
    unsafe {
        let source = text.as_mut_ptr().cast();
        let room = read.as_mut_ptr().cast();
        let no = ptr::null_mut();
        let written = ZwWriteFile(
            handle,
            none,
            None,
            none,
            block,
            source,
            13,
            no,
            ptr::null_mut(),
        );
        returns!(checks, written, STATUS_SUCCESS);
        check!(checks, (*block).Information == 13);
        let at = &raw mut offset;
        let part = ZwReadFile(
            handle,
            none,
            None,
            none,
            block,
            room,
            20,
            at,
            ptr::null_mut(),
        );
        returns!(checks, part, STATUS_SUCCESS);
        check!(checks, (*block).Information == 6 && read[..6] == *b"memory");
        let end = ZwReadFile(
            handle,
            none,
            None,
            none,
            block,
            room,
            20,
            no,
            ptr::null_mut(),
        );
        returns!(checks, end, STATUS_END_OF_FILE);
        object!(standard: FILE_STANDARD_INFORMATION);
        let class = FileStandardInformation;
        ok(ZwQueryInformationFile(
            handle,
            block,
            standard.cast(),
            24,
            class,
        ))?;
        check!(
            checks,
            (*standard).EndOfFile.QuadPart == 13 && (*standard).Directory == 0
        );
        let mut gone = FILE_DISPOSITION_INFORMATION { DeleteFile: TRUE };
        let class = FileDispositionInformation;
        ok(ZwSetInformationFile(
            handle,
            block,
            (&raw mut gone).cast(),
            1,
            class,
        ))?;
    }
    returns!(checks, file.close(), STATUS_SUCCESS);
    let missing = open(name(), FILE_OPEN, block).err();
    check!(checks, missing == Some(STATUS_OBJECT_NAME_NOT_FOUND));
    Ok(())
}

fn missing_files(checks: &mut Checks) -> Outcome {
    object!(block: IO_STATUS_BLOCK);
    let missing = open(unicode!("\\??\\C:\\NoFolder\\file"), FILE_OPEN, block).err();
    check!(
        checks,
        missing == Some(wdk_sys::STATUS_OBJECT_PATH_NOT_FOUND)
    );
    // SAFETY: the block lives in this frame.
    unsafe { (*block).Information = 99 };
    let file = open(unicode!("\\??\\C:\\wdk-sys-driver.new"), FILE_CREATE, block)?;
    // SAFETY: the block lives in this frame, and the call that wrote it has ended.
    let information = unsafe { (*block).Information };
    check!(checks, information == u64::from(FILE_CREATED));
    let mut gone = FILE_DISPOSITION_INFORMATION { DeleteFile: TRUE };
    let class = FileDispositionInformation;
    // SAFETY: block and information live in this frame for longer than the call.
    ok(unsafe { ZwSetInformationFile(file.get(), block, (&raw mut gone).cast(), 1, class) })
}

/// Calls a service where memory cannot be paged in.
pub fn create_at_dispatch() {
    // SAFETY: the level is lowered again; it is the mistake.
    unsafe {
        let before = irql::raise(DISPATCH_LEVEL);
        drop(key());
        irql::lower(before);
    }
}
