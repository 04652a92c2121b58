//! Sections: memory that is mapped into processes by views. Each is backed by a
//! segment, whose pages live as long as the section or a view of it does.

use ntbox_host::gate::irql::PASSIVE_LEVEL;
use ntbox_host::hook::Hook;
use ntbox_host::memory_map::PAGE_SIZE;
use ntbox_host::{driver_mem, protection};

use super::file_data::Content;
use super::image_section;
use crate::base::call_context::CallContext;
use crate::base::error;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::info_buffer::Information;
use crate::base::io_layout::file;
use crate::base::processor_mode::Mode;
pub use crate::mm::section_table::Section;
use crate::mm::with;
use crate::ob;
use crate::ob::{Attributes, ObjectTypeProcedures, Payload, Type};

/// `SEC_…`.
pub mod flag {
    /// `SEC_FILE`: backed by a file.
    pub const FILE: u32 = 0x80_0000;
    /// `SEC_IMAGE`.
    pub const IMAGE: u32 = 0x100_0000;
    /// `SEC_RESERVE`: pages are committed one by one.
    pub const RESERVE: u32 = 0x400_0000;
    /// `SEC_COMMIT`.
    pub const COMMIT: u32 = 0x800_0000;
    /// `SEC_NOCACHE`.
    pub const NOCACHE: u32 = 0x1000_0000;
    /// `SEC_WRITECOMBINE`.
    pub const WRITECOMBINE: u32 = 0x4000_0000;
    /// `SEC_LARGE_PAGES`.
    pub const LARGE_PAGES: u32 = 0x8000_0000;
    /// `SEC_BASED` and `SEC_NO_CHANGE`.
    pub const OTHER: u32 = 0x60_0000;
}

/// Bytes of a section's body, which is nobody's business.
const BODY_SIZE: u64 = 0x40;
/// Largest section, in bytes: what prototype page table entries can describe.
const MAX_SIZE: u64 = 1 << 44;
/// `SharedUserData->LargePageMinimum`.
const LARGE_PAGE: u64 = 2 << 20;
/// `SECTION_QUERY`.
const QUERY: u32 = 1;

/// The data of files that sections can be made of.
#[derive(Debug, Clone, Copy)]
pub struct FileData {
    /// The data of a file object; `None` for what is no file of the file system.
    pub content_of: fn(u64) -> Option<Content>,
    /// Makes a file longer.
    pub extend: fn(u64, u64) -> Result<(), u32>,
}

/// The file system that sections can be made of files of.
pub static FILE_DATA: Hook<FileData> = Hook::new();

/// The data of a file object; `None` for what is no file of the file system.
pub fn content_of(object: u64) -> Option<Content> {
    (FILE_DATA.get().content_of)(object)
}

fn extend(object: u64, size: u64) -> Result<(), u32> {
    (FILE_DATA.get().extend)(object, size)
}

/// The section at an object.
pub fn get(object: u64) -> Option<Section> {
    with(|memory| memory.sections.get(&object).copied())
}

/// A request to create a section.
#[derive(Debug, Clone, Copy)]
struct SectionRequest {
    access: u32,
    attributes: u64,
    /// Address of the size; may be NULL with a file.
    size: u64,
    protect: u32,
    kind: u32,
    /// Handle of a file; 0 for the paging file.
    file: u64,
}

exports! {
    /// `ZwCreateSection`, backed by the paging file, by a file, or of an image.
    fn ZwCreateSection<call>(
        handle: u64, access: u32, attributes: u64, size: u64, protect: u32, kind: u32, file: u64,
    ) -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let wanted = SectionRequest { access, attributes, size, protect, kind, file };
        error::outcome(create(handle, &wanted, Mode::Kernel, &CallContext::of(call)))
    }

    /// `NtCreateSection`.
    fn NtCreateSection<call>(
        handle: u64, access: u32, attributes: u64, size: u64, protect: u32, kind: u32, file: u64,
    ) -> u32 [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let wanted = SectionRequest { access, attributes, size, protect, kind, file };
        let mode = Mode::previous();
        mode.outcome(create(handle, &wanted, mode, &CallContext::of(call)))
    }

    /// `MmCreateSection`: the object, referenced, without a handle.
    fn MmCreateSection<call>(
        object: u64, access: u32, attributes: u64, size: u64, protect: u32, kind: u32, file: u64, file_object: u64,
    ) -> u32 [max PASSIVE_LEVEL, undocumented] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let wanted = SectionRequest { access, attributes, size, protect, kind, file };
        let make = || -> Result<(), Refusal> {
            // No protection at all is refused before the size is read, which any other
            // request needs that has no file.
            if protect == 0 {
                return Err(nt_status::STATUS_INVALID_PAGE_PROTECTION.into());
            }
            if file == 0 && file_object == 0 {
                driver_mem::read_u64(size)?;
            }
            let section = if file_object == 0 {
                make(&wanted, Mode::Kernel)?
            } else {
                check(&wanted)?;
                by_file_object(file_object, &wanted)?
            };
            let caller = CallContext::of(call);
            ob::reference_for(section, &caller);
            ob::dereference(section, &caller);
            Ok(driver_mem::write_u64(object, section)?)
        };
        error::status(make())
    }

    /// `ZwOpenSection`.
    fn ZwOpenSection<call>(handle: u64, access: u32, attributes: u64) -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let open = || -> Result<(), Refusal> {
            let attributes = Attributes::require(attributes)?;
            let opened = ob::open_by_name(&attributes, Type::Section, access, &CallContext::of(call))?;
            Ok(driver_mem::write_u64(handle, opened)?)
        };
        error::status(open())
    }

    /// `ZwQuerySection`: `SectionBasicInformation`, `SectionImageInformation`.
    fn ZwQuerySection(handle: u64, class: u32, buffer: u64, length: u64, returned: u64) -> u32
        [max PASSIVE_LEVEL, undocumented] {
        error::status(query(handle, class, buffer, length, returned))
    }
}

fn create(
    handle: u64,
    wanted: &SectionRequest,
    mode: Mode,
    caller: &CallContext<'_>,
) -> Result<u32, Refusal> {
    mode.probe(handle, 8, 8)?;
    mode.probe_optional(wanted.size, 8, 8)?;
    let attributes = Attributes::read(wanted.attributes)?;
    let section = make(wanted, mode)?;
    let opened = ob::insert_and_open(section, &attributes, wanted.access, caller)?;
    driver_mem::write_u64(handle, opened.handle)?;
    Ok(opened.status)
}

/// Whether the `SEC_…` attributes go together.
fn check_kind(kind: u32) -> bool {
    use flag::{COMMIT, IMAGE, LARGE_PAGES, NOCACHE, OTHER, RESERVE, WRITECOMBINE};
    /// `SEC_IMAGE_NO_EXECUTE`, which is made of two others.
    const IMAGE_NO_EXECUTE: u32 = IMAGE | NOCACHE;
    if kind & !(COMMIT | IMAGE | LARGE_PAGES | NOCACHE | OTHER | RESERVE | WRITECOMBINE) != 0 {
        return false;
    }
    if kind & IMAGE != 0 {
        return kind & !OTHER == IMAGE || kind & !OTHER == IMAGE_NO_EXECUTE;
    }
    let one = (kind & (COMMIT | RESERVE)).is_power_of_two();
    let large = kind & LARGE_PAGES == 0 || kind & COMMIT != 0;
    let cache = kind & (NOCACHE | WRITECOMBINE) != NOCACHE | WRITECOMBINE;
    one && large && cache
}

/// Checks attributes and protection.
fn check(wanted: &SectionRequest) -> Result<(), u32> {
    if !check_kind(wanted.kind) {
        return Err(nt_status::STATUS_INVALID_PARAMETER_6);
    }
    let protect = wanted.protect;
    let plain = protect == protection::kind(protect) && protect != protection::NOACCESS;
    if !plain || !protection::is_valid(protect) {
        return Err(nt_status::STATUS_INVALID_PAGE_PROTECTION);
    }
    Ok(())
}

/// Makes a section for who has a file object: of what is no image it is one of data.
fn by_file_object(object: u64, wanted: &SectionRequest) -> Result<u64, Refusal> {
    match of_file(object, wanted) {
        Err(Refusal::Status(
            nt_status::STATUS_INVALID_IMAGE_NOT_MZ | nt_status::STATUS_INVALID_IMAGE_FORMAT,
        )) => {
            let kind = flag::COMMIT;
            of_file(object, &SectionRequest { kind, ..*wanted })
        }
        other => other,
    }
}

/// Makes a section; the one reference is the receiver's.
fn make(wanted: &SectionRequest, mode: Mode) -> Result<u64, Refusal> {
    let SectionRequest {
        size,
        protect,
        kind,
        file,
        ..
    } = *wanted;
    check(wanted)?;
    if file != 0 {
        let user = mode.is_user();
        let entry = ob::by_handle(file, 0, Some(Type::File), user)?;
        let needed = file_access(protect);
        if user && entry.access & needed != needed {
            return Err(nt_status::STATUS_ACCESS_DENIED.into());
        }
        return of_file(entry.object, wanted);
    }
    if kind & flag::IMAGE != 0 {
        return Err(nt_status::STATUS_INVALID_FILE_FOR_SECTION.into());
    }
    let size = match size {
        0 => 0,
        at => driver_mem::read_u64(at)?,
    };
    if size == 0 || kind & flag::LARGE_PAGES != 0 && !size.is_multiple_of(LARGE_PAGE) {
        return Err(nt_status::STATUS_INVALID_PARAMETER_4.into());
    }
    if size > MAX_SIZE {
        return Err(nt_status::STATUS_SECTION_TOO_BIG.into());
    }
    let size = size.next_multiple_of(PAGE_SIZE);
    let segment = with(|memory| {
        let segment = memory.segments.create();
        let pages = 0..size / PAGE_SIZE;
        if kind & flag::COMMIT != 0
            && (pages.end > memory.physical.available()
                || !memory.segments.commit(segment, pages, &mut memory.physical))
        {
            memory.segments.release(segment, &mut memory.physical);
            return Err(nt_status::STATUS_COMMITMENT_LIMIT);
        }
        Ok(segment)
    })?;
    enter(Section {
        segment,
        size,
        protect,
        attributes: kind,
    })
}

/// The object of a section, whose reference to the segment it takes over.
fn enter(section: Section) -> Result<u64, Refusal> {
    let object = ob::create(Type::Section, BODY_SIZE, Payload::None);
    with(|memory| match object {
        Ok(object) => {
            memory.sections.insert(object, section);
        }
        Err(_) => memory
            .segments
            .release(section.segment, &mut memory.physical),
    });
    Ok(object?)
}

/// The rights to a file that a section of it needs: to execute, to read, to write.
fn file_access(protect: u32) -> u32 {
    const READ: u32 = 1;
    const WRITE: u32 = 2;
    const EXECUTE: u32 = 0x20;
    let access = protection::access(protect);
    let read = if protection::kind(protect) == protection::EXECUTE {
        0
    } else {
        READ
    };
    let execute = if access.execute { EXECUTE } else { 0 };
    let write = if access.write { WRITE } else { 0 };
    read | write | execute
}

/// Makes a section of a file, which its file system must keep in memory: devices
/// and directories are refused.
fn of_file(object: u64, wanted: &SectionRequest) -> Result<u64, Refusal> {
    let SectionRequest {
        size,
        protect,
        kind,
        ..
    } = *wanted;
    if kind & flag::LARGE_PAGES != 0 {
        return Err(nt_status::STATUS_INVALID_PARAMETER_6.into());
    }
    let content = content_of(object).ok_or(nt_status::STATUS_INVALID_FILE_FOR_SECTION)?;
    // A file system that supports no sections of a file leaves this out.
    if driver_mem::read_u64(object + file::SECTION_OBJECT_POINTER)? == 0 {
        return Err(nt_status::STATUS_INVALID_FILE_FOR_SECTION.into());
    }
    if kind & flag::IMAGE != 0 {
        let (segment, image_size) = image_section::make(&content.read(0, content.size))?;
        if size != 0 && driver_mem::read_u64(size)? > image_size {
            with(|memory| memory.segments.release(segment, &mut memory.physical));
            return Err(nt_status::STATUS_SECTION_TOO_BIG.into());
        }
        let size = image_size;
        return enter(Section {
            segment,
            size,
            protect: protection::EXECUTE_WRITECOPY,
            attributes: flag::IMAGE | flag::FILE,
        });
    }
    let size = match size {
        0 => 0,
        at => driver_mem::read_u64(at)?,
    };
    let size = if size == 0 { content.size } else { size };
    if size == 0 {
        return Err(nt_status::STATUS_MAPPED_FILE_SIZE_ZERO.into());
    }
    if size > MAX_SIZE || (size > content.size && !protection::access(protect).write) {
        return Err(nt_status::STATUS_SECTION_TOO_BIG.into());
    }
    if size > content.size {
        extend(object, size)?;
    }
    if !content.commit(size) {
        return Err(nt_status::STATUS_COMMITMENT_LIMIT.into());
    }
    with(|memory| memory.segments.reference(content.segment));
    enter(Section {
        segment: content.segment,
        size,
        protect,
        attributes: flag::FILE,
    })
}

/// The procedures of section objects.
pub const OBJECT_TYPE: ObjectTypeProcedures = ObjectTypeProcedures {
    delete: Some(deleted),
    ..ObjectTypeProcedures::NONE
};

/// The last reference to a section is gone. Its pages stay for its views.
pub fn deleted(object: u64, _: &CallContext<'_>) {
    with(|memory| {
        if let Some(section) = memory.sections.remove(&object) {
            memory
                .segments
                .release(section.segment, &mut memory.physical);
        }
    });
}

fn query(handle: u64, class: u32, buffer: u64, length: u64, returned: u64) -> Result<(), Refusal> {
    /// Bytes of a `SECTION_BASIC_INFORMATION`.
    const BASIC_SIZE: u64 = 0x18;
    /// Bytes of a `SECTION_IMAGE_INFORMATION`.
    const IMAGE_SIZE: u64 = 0x40;
    let size = match class {
        0 => BASIC_SIZE,
        1 => IMAGE_SIZE,
        _ => return Err(nt_status::STATUS_INVALID_INFO_CLASS.into()),
    };
    if length < size {
        return Err(nt_status::STATUS_INFO_LENGTH_MISMATCH.into());
    }
    let object = ob::by_handle(handle, QUERY, Some(Type::Section), false)?.object;
    let section = get(object).ok_or(nt_status::STATUS_INVALID_HANDLE)?;
    let information = if class == 1 {
        let image = with(|memory| memory.segments.image(section.segment).cloned());
        image
            .ok_or(nt_status::STATUS_SECTION_NOT_IMAGE)?
            .information
    } else {
        Information::default()
            .u64(0)
            .u32(section.attributes)
            .align(8)
            .u64(section.size)
            .finish()
    };
    driver_mem::write_bytes(buffer, &information)?;
    if returned != 0 {
        driver_mem::write_u64(returned, size)?;
    }
    Ok(())
}
