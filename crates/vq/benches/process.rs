//! A listing of a living process beside the bare loop that everybody writes: calls
//! of `VirtualQueryEx` from one block to the next. The process is this one, with a
//! region of many small blocks in it; it is asked by a handle, as another would be.
//!
//! Elsewhere than on Windows `cargo xtask bench` builds this and runs it in Wine.

#[cfg(windows)]
fn main() {
    windows::main();
}

#[cfg(not(windows))]
fn main() {
    println!("this asks Windows; `cargo xtask bench` runs it in Wine");
}

#[cfg(windows)]
mod windows {
    #![expect(unsafe_code, reason = "calls of Windows")]

    use std::ffi::c_void;
    use std::hint::black_box;
    use std::io::Write;

    use criterion::{Criterion, Throughput};
    use vq::listing::Listing;
    use vq::windows::Process;
    use vq::{Block, Walk};
    use windows_sys::Win32::Foundation::HANDLE;
    use windows_sys::Win32::System::Memory::{
        MEM_COMMIT, MEM_RESERVE, MEMORY_BASIC_INFORMATION, PAGE_READWRITE, VirtualAlloc,
        VirtualQueryEx,
    };
    use windows_sys::Win32::System::Threading::{OpenProcess, PROCESS_QUERY_INFORMATION};

    const PAGE: usize = 0x1000;
    /// Pages of the region. Every second one is committed, so each is a block.
    const PAGES: usize = 10_000;

    /// Counts bytes, and looks at them so that they are made.
    struct Sink(u64);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += black_box(bytes).len() as u64;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Makes the region, which stays.
    fn make_blocks() {
        // SAFETY: the system chooses the place.
        let region =
            unsafe { VirtualAlloc(std::ptr::null(), PAGES * PAGE, MEM_RESERVE, PAGE_READWRITE) };
        assert!(!region.is_null(), "{}", std::io::Error::last_os_error());
        for page in (0..PAGES).step_by(2) {
            let address = region.wrapping_byte_add(page * PAGE);
            // SAFETY: the page is one of the region.
            let done = unsafe { VirtualAlloc(address, PAGE, MEM_COMMIT, PAGE_READWRITE) };
            assert!(!done.is_null(), "{}", std::io::Error::last_os_error());
        }
    }

    /// The loop without anything around it; the number of blocks.
    fn bare(process: HANDLE) -> u64 {
        let mut address = 0_usize;
        let mut count = 0;
        loop {
            let mut information = MEMORY_BASIC_INFORMATION::default();
            let at: *const c_void = std::ptr::without_provenance(address);
            // SAFETY: the handle is open, and the structure is as large as said.
            let filled = unsafe {
                VirtualQueryEx(process, at, &raw mut information, size_of_val(&information))
            };
            if filled == 0 {
                return count;
            }
            let block = black_box(&information);
            address = block.BaseAddress.addr() + block.RegionSize;
            count += 1;
        }
    }

    fn walk(process: &Process) -> impl Iterator<Item = Block> {
        Walk::new(process).map_while(Result::ok)
    }

    fn listed(process: &Process) -> u64 {
        let mut listing = Listing::new(Sink(0));
        for block in walk(process) {
            listing.write(&block).expect("a sink takes everything");
        }
        listing.into_inner().0
    }

    pub fn main() {
        make_blocks();
        let id = std::process::id();
        // SAFETY: the call takes any numbers.
        let handle = unsafe { OpenProcess(PROCESS_QUERY_INFORMATION, 0, id) };
        let process = Process::open(id).expect("this process can be opened");
        let blocks = bare(handle);
        assert!(blocks > PAGES as u64, "only {blocks} blocks");
        let mut criterion = Criterion::default().without_plots().configure_from_args();
        let mut group = criterion.benchmark_group("process");
        group.throughput(Throughput::Elements(blocks));
        group.sample_size(20);
        group.bench_function("bare loop", |bencher| bencher.iter(|| bare(handle)));
        group.bench_function("walk", |bencher| {
            bencher.iter(|| {
                walk(&process)
                    .map(|block| black_box(block).size)
                    .sum::<u64>()
            });
        });
        group.bench_function("listing", |bencher| bencher.iter(|| listed(&process)));
        group.finish();
        criterion.final_summary();
    }
}
