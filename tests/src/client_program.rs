//! A client process that makes system calls on its address space, and the blocks that the
//! driver lists of it.

use ntbox::{Operation, Reply};
use ntmem_ioctl::{BlocksRequest, Command};
use vq::kernel::{Ask, Kernel, ROOM};
use vq::{Block, Error, Walk};
use zerocopy::{FromBytes, IntoBytes};

use crate::ntmem::Open;

const PAGE: u64 = 0x1000;
/// `NtCurrentProcess()`.
const CURRENT_PROCESS: u64 = u64::MAX;

/// A process that makes system calls, with a page for what these point to.
pub struct Program {
    /// The driver, and its device opened by the process.
    pub open: Open,
    /// The page.
    pub page: u64,
}

/// Places in the page.
const ADDRESS: u64 = 0;
const BYTES: u64 = 8;
const HANDLE: u64 = 0x10;
const OLD: u64 = 0x18;
const IO_STATUS: u64 = 0x20;
const ATTRIBUTES: u64 = 0x40;
const NAME: u64 = 0x80;
const TEXT: u64 = 0x100;

impl Program {
    /// The process that has opened the device.
    ///
    /// # Panics
    ///
    /// If there is no memory.
    #[must_use]
    pub fn new(open: Open) -> Self {
        let mut open = open;
        let allocated = open.call(Operation::Allocate { bytes: PAGE });
        assert_eq!(allocated.status, 0);
        let page = allocated.information;
        Self { open, page }
    }

    fn put(&mut self, place: u64, data: &[u8]) {
        let operation = Operation::Store {
            address: self.page + place,
            data: data.to_vec(),
        };
        assert_eq!(self.open.call(operation).status, 0);
    }

    fn number(&mut self, place: u64) -> u64 {
        let operation = Operation::Load {
            address: self.page + place,
            length: 8,
        };
        u64::read_from_bytes(&self.open.call(operation).output).expect("eight bytes")
    }

    #[track_caller]
    fn service(&mut self, name: &str, arguments: &[u64]) {
        let operation = Operation::Service {
            name: name.to_owned(),
            arguments: arguments.to_vec(),
        };
        let status = self.open.call(operation).status;
        assert_eq!(status, 0, "{name}: {status:#x}");
    }

    /// The places of an address and a size, with these in them.
    fn range(&mut self, address: u64, pages: u64) -> (u64, u64) {
        self.put(ADDRESS, &address.to_le_bytes());
        self.put(BYTES, &(pages * PAGE).to_le_bytes());
        (self.page + ADDRESS, self.page + BYTES)
    }

    /// `NtAllocateVirtualMemory` of pages at an address.
    ///
    /// # Panics
    ///
    /// If the call fails, or gives another one.
    pub fn allocate(&mut self, address: u64, pages: u64, how: u64, protection: u64) {
        let (base, size) = self.range(address, pages);
        let arguments = [CURRENT_PROCESS, base, 0, size, how, protection];
        self.service("NtAllocateVirtualMemory", &arguments);
        assert_eq!(self.number(ADDRESS), address);
    }

    /// `NtProtectVirtualMemory` of a page.
    pub fn protect(&mut self, address: u64, protection: u64) {
        let (base, size) = self.range(address, 1);
        let arguments = [CURRENT_PROCESS, base, size, protection, self.page + OLD];
        self.service("NtProtectVirtualMemory", &arguments);
    }

    /// `NtFreeVirtualMemory` with `MEM_DECOMMIT`.
    pub fn decommit(&mut self, address: u64, pages: u64) {
        /// `MEM_DECOMMIT`.
        const DECOMMIT: u64 = 0x4000;
        let (base, size) = self.range(address, pages);
        let arguments = [CURRENT_PROCESS, base, size, DECOMMIT];
        self.service("NtFreeVirtualMemory", &arguments);
    }

    /// A handle of a file, to read and write, or to execute.
    ///
    /// # Panics
    ///
    /// If the call fails, or the path is too long.
    pub fn file(&mut self, path: &str, access: u64) -> u64 {
        let text: Vec<u8> = path.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let length = u16::try_from(text.len()).expect("a short path");
        self.put(TEXT, &text);
        let mut name = [0; 16];
        name[..2].copy_from_slice(&length.to_le_bytes());
        name[2..4].copy_from_slice(&length.to_le_bytes());
        name[8..].copy_from_slice(&(self.page + TEXT).to_le_bytes());
        self.put(NAME, &name);
        // OBJECT_ATTRIBUTES, with OBJ_CASE_INSENSITIVE.
        let mut attributes = [0; 0x30];
        attributes[0] = 0x30;
        attributes[0x10..0x18].copy_from_slice(&(self.page + NAME).to_le_bytes());
        attributes[0x18] = 0x40;
        self.put(ATTRIBUTES, &attributes);
        let [handle, attributes, status] =
            [HANDLE, ATTRIBUTES, IO_STATUS].map(|place| self.page + place);
        // SYNCHRONIZE, and FILE_SYNCHRONOUS_IO_NONALERT.
        let arguments = [handle, access | 0x10_0000, attributes, status, 7, 0x20];
        self.service("NtOpenFile", &arguments);
        self.number(HANDLE)
    }

    /// `NtCreateSection` of a file, or of memory alone; its handle.
    pub fn section(&mut self, file: u64, pages: u64, protection: u64, kind: u64) -> u64 {
        /// `SECTION_ALL_ACCESS`.
        const ALL: u64 = 0xF_001F;
        let (_, size) = self.range(0, pages);
        let size = if pages == 0 { 0 } else { size };
        let handle = self.page + HANDLE;
        let arguments = [handle, ALL, 0, size, protection, kind, file];
        self.service("NtCreateSection", &arguments);
        self.number(HANDLE)
    }

    /// Maps a whole section; returns where.
    pub fn view(&mut self, section: u64, address: u64, protection: u64) -> u64 {
        /// `ViewUnmap`.
        const UNMAP: u64 = 2;
        let (base, size) = self.range(address, 0);
        let process = CURRENT_PROCESS;
        let arguments = [section, process, base, 0, 0, 0, size, UNMAP, 0, protection];
        self.service("NtMapViewOfSection", &arguments);
        self.number(ADDRESS)
    }

    /// The number of the process.
    pub fn process(&mut self) -> u64 {
        let context: ntmem_ioctl::ContextReply = self.open.ask(Command::Context, &[]);
        context.process
    }

    /// Its address space, as the driver lists it.
    ///
    /// # Panics
    ///
    /// If the call fails.
    pub fn blocks(&mut self) -> Vec<Block> {
        let process = self.process();
        let walk = Walk::new(Kernel::new(Driver(&mut self.open), process));
        walk.collect::<Result<_, _>>().expect("a listing")
    }
}

/// Asks on the handle of a program.
struct Driver<'o>(&'o mut Open);

impl Ask for Driver<'_> {
    fn blocks(&mut self, request: &BlocksRequest) -> Result<Vec<u8>, Error> {
        let reply = self.0.control(Command::Blocks, request.as_bytes(), ROOM);
        assert_eq!(reply.status, 0, "{:#x}", reply.status);
        Ok(written(&reply).to_vec())
    }
}

/// The output as far as the driver says to have written it.
///
/// # Panics
///
/// If that is more than there is.
#[must_use]
pub fn written(reply: &Reply) -> &[u8] {
    let length = usize::try_from(reply.information).expect("a length");
    &reply.output[..length]
}
