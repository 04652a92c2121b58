//! A process to be listed: it makes blocks of every kind at places that are always
//! the same, says where its stack and its image are, and waits until its input
//! ends. The integration tests compare what `vq` lists with what this program did.

#[cfg(windows)]
mod subject {
    #![expect(unsafe_code, reason = "calls of Windows")]

    use std::ffi::c_void;
    use std::fs::{self, OpenOptions};
    use std::hint::black_box;
    use std::io::{self, Read, Write};
    use std::os::windows::io::{AsRawHandle, RawHandle};
    use std::{env, process, ptr, thread};

    use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};
    use windows_sys::Win32::System::Memory::{
        CreateFileMappingW, FILE_MAP_ALL_ACCESS, FILE_MAP_COPY, FILE_MAP_READ, MEM_COMMIT,
        MEM_DECOMMIT, MEM_RESERVE, MapViewOfFileEx, PAGE_EXECUTE, PAGE_EXECUTE_READ,
        PAGE_EXECUTE_READWRITE, PAGE_GUARD, PAGE_NOACCESS, PAGE_NOCACHE, PAGE_READONLY,
        PAGE_READWRITE, PAGE_WRITECOMBINE, SEC_COMMIT, SEC_RESERVE, VirtualAlloc, VirtualFree,
        VirtualProtect,
    };
    use windows_sys::Win32::System::Threading::GetCurrentThreadId;

    /// Where the first allocation lies, and how far apart they are.
    const BASE: usize = 0x100_0000_0000;
    const APART: usize = 0x10_0000;
    const PAGE: usize = 0x1000;
    /// Pages of the first allocation, which are committed one by one.
    const RESERVED: usize = 16;
    /// What a thread uses of its stack; more than one guard page is passed.
    const DEPTH: usize = 0x2_0000;

    fn at(number: usize, page: usize) -> *mut c_void {
        ptr::without_provenance_mut(BASE + number * APART + page * PAGE)
    }

    fn done(what: &str, worked: bool) {
        assert!(worked, "{what}: {}", io::Error::last_os_error());
    }

    fn allocate(start: *mut c_void, pages: usize, how: u32, protection: u32) {
        // SAFETY: the addresses are those of no other memory of this program, which
        // the call would refuse.
        let got = unsafe { VirtualAlloc(start, pages * PAGE, how, protection) };
        done("VirtualAlloc", got == start);
    }

    fn protect(start: *mut c_void, protection: u32) {
        let mut old = 0;
        // SAFETY: the page is of an allocation below, which nothing refers to.
        let changed = unsafe { VirtualProtect(start, PAGE, protection, &raw mut old) };
        done("VirtualProtect", changed != 0);
    }

    fn private() {
        allocate(at(0, 0), RESERVED, MEM_RESERVE, PAGE_NOACCESS);
        let kinds = [
            PAGE_NOACCESS,
            PAGE_READONLY,
            PAGE_READWRITE,
            PAGE_EXECUTE,
            PAGE_EXECUTE_READ,
            PAGE_EXECUTE_READWRITE,
        ];
        allocate(at(1, 0), 16, MEM_RESERVE, PAGE_READWRITE);
        for (page, protection) in kinds.into_iter().enumerate() {
            allocate(at(1, page), 1, MEM_COMMIT, protection);
        }
        let modified = [
            PAGE_GUARD | PAGE_READWRITE,
            PAGE_GUARD | PAGE_READONLY,
            PAGE_NOCACHE | PAGE_READWRITE,
            PAGE_NOCACHE | PAGE_EXECUTE_READ,
        ];
        allocate(at(2, 0), 16, MEM_RESERVE, PAGE_READWRITE);
        for (page, protection) in modified.into_iter().enumerate() {
            allocate(at(2, page), 1, MEM_COMMIT, protection);
        }
        let combined = PAGE_WRITECOMBINE | PAGE_READWRITE;
        allocate(at(3, 0), 2, MEM_RESERVE | MEM_COMMIT, combined);
        // Split, and merged again.
        allocate(at(4, 0), 8, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
        protect(at(4, 1), PAGE_READONLY);
        protect(at(4, 5), PAGE_READONLY);
        protect(at(4, 5), PAGE_READWRITE);
        // SAFETY: the page is of the allocation above, which nothing refers to.
        let freed = unsafe { VirtualFree(at(4, 3), PAGE, MEM_DECOMMIT) };
        done("VirtualFree", freed != 0);
    }

    fn section(file: HANDLE, protection: u32, bytes: u32) -> HANDLE {
        // SAFETY: the file is open, or stands for the paging file; no names.
        let section =
            unsafe { CreateFileMappingW(file, ptr::null(), protection, 0, bytes, ptr::null()) };
        done("CreateFileMappingW", !section.is_null());
        section
    }

    fn view(section: HANDLE, access: u32, number: usize) {
        // SAFETY: the section is open; the address is that of no other memory.
        let view = unsafe { MapViewOfFileEx(section, access, 0, 0, 0, at(number, 0)) };
        done("MapViewOfFileEx", view.Value == at(number, 0));
    }

    fn mapped(file: RawHandle) {
        let of_file = section(file, PAGE_READWRITE, 0);
        view(of_file, FILE_MAP_ALL_ACCESS, 5);
        view(of_file, FILE_MAP_READ, 6);
        view(of_file, FILE_MAP_COPY, 7);
        let shared = section(INVALID_HANDLE_VALUE, PAGE_READWRITE | SEC_COMMIT, 0x8000);
        view(shared, FILE_MAP_ALL_ACCESS, 8);
        let reserved = section(INVALID_HANDLE_VALUE, PAGE_READWRITE | SEC_RESERVE, 0x1_0000);
        view(reserved, FILE_MAP_ALL_ACCESS, 9);
        allocate(at(9, 1), 2, MEM_COMMIT, PAGE_READWRITE);
    }

    /// Touches so much of the stack, page by page.
    fn deep(left: usize) -> usize {
        let page = black_box([1_u8; PAGE]);
        if left <= PAGE {
            return page.len();
        }
        black_box(deep(left - PAGE)) + usize::from(page[0])
    }

    /// Does all that, and waits.
    pub fn run() -> io::Result<()> {
        let path = env::temp_dir().join(format!("vq-subject-{}", process::id()));
        fs::write(&path, vec![0x5A; 0x5000])?;
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        private();
        mapped(file.as_raw_handle());
        let (ready, waiting) = std::sync::mpsc::channel();
        thread::Builder::new().stack_size(1 << 20).spawn(move || {
            black_box(deep(DEPTH));
            // SAFETY: the function has no precondition.
            let id = unsafe { GetCurrentThreadId() };
            // Nobody waiting is the end of the program.
            let _ = ready.send(id);
            thread::park();
        })?;
        let thread = waiting.recv().map_err(io::Error::other)?;
        println!("process {} thread {thread}", process::id());
        io::stdout().flush()?;
        for (page, line) in (0..RESERVED).zip(io::stdin().lines()) {
            line?;
            allocate(at(0, page), 1, MEM_COMMIT, PAGE_READWRITE);
        }
        // There is nothing left to commit.
        io::stdin().read_to_end(&mut Vec::new())?;
        drop(file);
        // A view keeps it from being removed; the folder is one for such files.
        let _ = fs::remove_file(&path);
        Ok(())
    }
}

#[cfg(windows)]
fn main() -> std::io::Result<()> {
    subject::run()
}

#[cfg(not(windows))]
fn main() {
    eprintln!("vq-subject: only Windows, or Wine, has such blocks");
    std::process::exit(2);
}
