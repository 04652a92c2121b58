//! Misuse of `wdm` that the compiler rejects. Each program breaks one rule of the kernel
//! and fails with the named error; the same program without the mistake compiles.

use std::path::{Path, PathBuf};
use std::process::Command;

use integration_tests::temp_file;

mod macros;

/// What every program begins with.
const PROLOGUE: &str = "
#![no_std]
#![allow(unused)]
use wdm::driver::Context;
use wdm::irp::{Completion, CancelSafeQueue, Request, Requestor};
use wdm::irql::{Apc, Dispatch, Passive};
use wdm::list::{DoubleLinks, List};
use wdm::lookaside::{BlockRequest, LookasideAllocator, LookasideBlock, LookasideList, PagedLookasideList};
use wdm::map::CacheType;
use wdm::mdl::{BuiltForNonpaged, Locked, Mdl};
use wdm::pool::{NonpagedBlock, PagedBox, PagedVec, PoolTag};
use wdm::sync::SpinLock;
use wdm::system::Version;
use wdm::user::UserReader;
use wdm::user_map::{Access, UserMappingTable};
use wdm::Status;
";

/// The folder of the driver's libraries and that of the build's own, from where
/// `cargo xtask test` says that bindings are.
fn libraries() -> (PathBuf, PathBuf) {
    let bindings = std::env::var_os("NTMEM_BINDINGS")
        .expect("NTMEM_BINDINGS is not set; run this with `cargo xtask test`");
    let profile = Path::new(&bindings)
        .ancestors()
        .nth(3)
        .expect("bindings lie below a profile's folder");
    let host = profile.ancestors().nth(2).expect("a target folder");
    (profile.join("deps"), host.join("release/deps"))
}

/// The library `wdm` that was built last.
fn wdm(folder: &Path) -> PathBuf {
    let files = std::fs::read_dir(folder).expect("the driver is built");
    files
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("libwdm-") && name.ends_with(".rlib")
        })
        .max_by_key(|path| path.metadata().and_then(|data| data.modified()).ok())
        .expect("the library wdm is built")
}

/// Compiles a program; what the compiler says if it refuses.
fn compile(program: &str) -> Result<(), String> {
    let (driver, host) = libraries();
    let source = temp_file("program.rs", format!("{PROLOGUE}{program}").as_bytes());
    let output = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--edition=2024", "--target=x86_64-pc-windows-msvc"])
        // Metadata goes to the standard output, which nobody reads.
        .args([
            "--crate-type=lib",
            "--crate-name=program",
            "--emit=metadata=-",
            "-L",
        ])
        .arg(&driver)
        .arg("-L")
        .arg(format!("dependency={}", host.display()))
        .arg("--extern")
        .arg(format!("wdm={}", wdm(&driver).display()))
        .arg(&source)
        .output()
        .expect("rustc runs");
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// `wrong` is refused with all of `says` in the message; `right` is not.
#[track_caller]
fn refused(wrong: &str, says: &[&str], right: &str) {
    if let Err(message) = compile(right) {
        panic!("what is right is refused:\n{message}");
    }
    let message = compile(wrong).expect_err("what is wrong compiles");
    for part in says {
        assert!(message.contains(part), "no `{part}` in\n{message}");
    }
}

#[test]
fn passive_function_at_dispatch_level_does_not_compile() {
    refused(
        "fn f(passive: &mut Passive) { passive.raise_to_dispatch(|dispatch| { Version::current(dispatch); }); }",
        &["E0308", "expected `&Passive`, found `&mut Dispatch`"],
        "fn f(passive: &mut Passive) { passive.raise_to_dispatch(|dispatch| {}); Version::current(passive); }",
    );
}

#[test]
fn passive_token_while_raised_does_not_compile() {
    refused(
        "fn f(passive: &mut Passive) { passive.raise_to_dispatch(|_| { Version::current(passive); }); }",
        &["E0502", "cannot borrow `*passive`"],
        "fn f(passive: &mut Passive) { Version::current(passive); passive.raise_to_dispatch(|_| {}); }",
    );
}

#[test]
fn user_memory_under_spin_lock_does_not_compile() {
    refused(
        "fn f(lock: &SpinLock<[u8; 4]>, reader: &mut UserReader<'_>, irql: &mut Passive) {
             lock.with(irql, |bytes, irql| reader.read_bytes(bytes, irql));
         }",
        &["E0308", "expected `&Apc`, found `&mut Dispatch`"],
        "fn f(lock: &SpinLock<[u8; 4]>, reader: &mut UserReader<'_>, irql: &mut Passive) {
             let mut copy = [0; 4];
             reader.read_bytes(&mut copy, irql);
             lock.with(irql, |bytes, _| *bytes = copy);
         }",
    );
}

#[test]
fn irql_token_sent_to_thread_does_not_compile() {
    refused(
        "fn send<T: Send>(_: T) {} fn f(irql: &mut Dispatch) { send(irql); }",
        &["E0277", "cannot be sent between threads safely"],
        "fn send<T: Send>(_: T) {} fn f(irql: &mut Dispatch) { send(1); }",
    );
}

#[test]
fn request_completed_twice_does_not_compile() {
    refused(
        "fn f<'r>(request: Request<'r>) -> Completion<'r> {
             request.succeed();
             request.fail(Status::UNSUCCESSFUL)
         }",
        &["E0382", "use of moved value: `request`"],
        "fn f<'r>(request: Request<'r>) -> Completion<'r> { request.fail(Status::UNSUCCESSFUL) }",
    );
}

#[test]
fn request_used_after_pend_does_not_compile() {
    refused(
        "fn f<'r>(request: Request<'r>, queue: &CancelSafeQueue) -> Completion<'r> {
             let answer = request.pend(queue);
             request.input_len();
             answer
         }",
        &["E0382", "borrow of moved value: `request`"],
        "fn f<'r>(request: Request<'r>, queue: &CancelSafeQueue) -> Completion<'r> {
             request.input_len();
             request.pend(queue)
         }",
    );
}

/// A file's data is there as long as a request keeps the file.
#[track_caller]
fn file_is_out_of_reach(end: &str) {
    let says = "cannot move out of `request` because it is borrowed";
    refused(
        &format!(
            "fn f<'r>(request: Request<'r, u32>, queue: &CancelSafeQueue) -> Completion<'r> {{
                 let file = request.file();
                 let answer = request.{end};
                 core::hint::black_box(*file);
                 answer
             }}"
        ),
        &["E0505", says],
        &format!(
            "fn f<'r>(request: Request<'r, u32>, queue: &CancelSafeQueue) -> Completion<'r> {{
                 let file = request.file();
                 core::hint::black_box(*file);
                 request.{end}
             }}"
        ),
    );
}

#[test]
fn file_used_after_pend_does_not_compile() {
    file_is_out_of_reach("pend(queue)");
}

#[test]
fn file_used_after_completion_does_not_compile() {
    file_is_out_of_reach("succeed()");
}

#[test]
fn request_completed_with_byte_count_does_not_compile() {
    refused(
        "fn f<'r>(request: Request<'r>) -> Completion<'r> { request.succeed(4000) }",
        &["E0061", "this method takes 0 arguments"],
        "fn f<'r>(request: Request<'r>) -> Completion<'r> { request.succeed() }",
    );
}

#[test]
fn user_memory_read_twice_does_not_compile() {
    refused(
        "fn f(mut request: Request<'_>, passive: &Passive) -> Result<u32, Status> {
             let memory = request.neither()?;
             let first: u32 = memory.input.reader().read(passive)?;
             let again: u32 = memory.input.reader().read(passive)?;
             Ok(again)
         }",
        &["E0382", "use of moved value: `memory.input`"],
        "fn f(mut request: Request<'_>, passive: &Passive) -> Result<u32, Status> {
             let memory = request.neither()?;
             let first: u32 = memory.input.reader().read(passive)?;
             Ok(first)
         }",
    );
}

#[test]
fn direct_buffer_read_twice_does_not_compile() {
    refused(
        "fn f(mut request: Request<'_>) -> Result<u8, Status> {
             let direct = request.direct()?;
             let mut bytes = [0];
             direct.read(&mut bytes)?;
             direct.read(&mut bytes)?;
             Ok(bytes[0])
         }",
        &["E0382", "use of moved value: `direct`"],
        "fn f(mut request: Request<'_>) -> Result<u8, Status> {
             let direct = request.direct()?;
             let mut bytes = [0];
             direct.read(&mut bytes)?;
             Ok(bytes[0])
         }",
    );
}

#[test]
fn completion_of_other_request_does_not_compile() {
    refused(
        "fn f<'r>(request: Request<'r>, other: Request<'_>) -> Completion<'r> {
             other.fail(Status::UNSUCCESSFUL)
         }",
        &["lifetime"],
        "fn f<'r>(request: Request<'r>, other: Request<'_>) -> Completion<'r> {
             request.fail(Status::UNSUCCESSFUL)
         }",
    );
}

#[test]
fn buffer_used_after_completion_does_not_compile() {
    refused(
        "fn f<'r>(mut request: Request<'r>) -> Completion<'r> {
             let buffer = request.buffered().unwrap();
             let answer = request.fail(Status::UNSUCCESSFUL);
             buffer.input();
             answer
         }",
        &[
            "E0505",
            "cannot move out of `request` because it is borrowed",
        ],
        "fn f<'r>(mut request: Request<'r>) -> Completion<'r> {
             let buffer = request.buffered().unwrap();
             buffer.input();
             request.fail(Status::UNSUCCESSFUL)
         }",
    );
}

#[test]
fn mdl_unlocked_while_mapped_does_not_compile() {
    refused(
        "fn f(mdl: Mdl<Locked>) {
             let mapping = mdl.map(CacheType::Cached).unwrap();
             let mdl = mdl.unlock();
             mapping.unmap();
         }",
        &["E0505", "cannot move out of `mdl` because it is borrowed"],
        "fn f(mdl: Mdl<Locked>) {
             let mapping = mdl.map(CacheType::Cached).unwrap();
             mapping.unmap();
             let mdl = mdl.unlock();
         }",
    );
}

#[test]
fn mdl_of_nonpaged_pool_mapped_does_not_compile() {
    refused(
        "fn f(mdl: Mdl<BuiltForNonpaged>) { mdl.map(CacheType::Cached); }",
        &["E0599", "`Mdl<BuiltForNonpaged>`", "mdl.map("],
        "fn f(mdl: Mdl<BuiltForNonpaged>) { mdl.system_address(); }",
    );
}

#[test]
fn pool_tag_unprintable_does_not_compile() {
    refused(
        r#"const TAG: wdm::pool::PoolTag = wdm::pool_tag!(b"a\nbc");"#,
        &["a pool tag is four characters of printable ASCII"],
        r#"const TAG: wdm::pool::PoolTag = wdm::pool_tag!(b"abcd");"#,
    );
}

#[test]
fn paged_pool_at_dispatch_level_does_not_compile() {
    refused(
        "fn f(value: &PagedBox<u32>, passive: &mut Passive) -> u32 {
             passive.raise_to_dispatch(|dispatch| *value.get(dispatch))
         }",
        &["E0308", "expected `&Apc`, found `&mut Dispatch`"],
        "fn f(value: &PagedBox<u32>, passive: &mut Passive) -> u32 { *value.get(passive) }",
    );
}

#[test]
fn paged_pool_reference_while_raised_does_not_compile() {
    refused(
        "fn f(values: &PagedVec<u32>, passive: &mut Passive) -> usize {
             let values = values.get(passive);
             passive.raise_to_dispatch(|_| values.len())
         }",
        &["E0502", "cannot borrow `*passive` as mutable"],
        "fn f(values: &PagedVec<u32>, passive: &mut Passive) -> usize {
             let len = values.get(passive).len();
             passive.raise_to_dispatch(|_| len)
         }",
    );
}

#[test]
fn paged_box_with_borrow_does_not_compile() {
    refused(
        "fn f(value: &u32, tag: PoolTag, passive: &Passive) {
             drop(PagedBox::new(value, tag, passive));
         }",
        &["lifetime", "'static"],
        "fn f(value: u32, tag: PoolTag, passive: &Passive) {
             drop(PagedBox::new(value, tag, passive));
         }",
    );
}

#[test]
fn paged_vec_of_non_send_does_not_compile() {
    refused(
        "fn f(values: &mut PagedVec<*mut u32>, passive: &Passive) { values.pop(passive); }",
        &["E0277", "cannot be sent between threads safely"],
        "fn f(values: &mut PagedVec<u32>, passive: &Passive) { values.pop(passive); }",
    );
}

#[test]
fn paged_lookaside_value_while_raised_does_not_compile() {
    refused(
        "fn f(list: &PagedLookasideList<u32>, passive: &mut Passive) {
             let value = list.allocate(1, passive);
             passive.raise_to_dispatch(|_| drop(value));
         }",
        &["E0502", "cannot borrow `*passive` as mutable"],
        "fn f(list: &PagedLookasideList<u32>, passive: &mut Passive) {
             let value = list.allocate(1, passive);
             drop(value);
             passive.raise_to_dispatch(|_| {});
         }",
    );
}

#[test]
fn user_mapping_after_completion_does_not_compile() {
    refused(
        "fn f<'r>(
             views: &UserMappingTable<4>,
             block: NonpagedBlock,
             request: Request<'r>,
             passive: &mut Passive,
         ) -> Completion<'r> {
             let program = request.user_requestor().unwrap();
             let answer = request.fail(Status::UNSUCCESSFUL);
             let _ = views.map(1, block, Access::Read, &program, passive);
             answer
         }",
        &[
            "E0505",
            "cannot move out of `request` because it is borrowed",
        ],
        "fn f<'r>(
             views: &UserMappingTable<4>,
             block: NonpagedBlock,
             request: Request<'r>,
             passive: &mut Passive,
         ) -> Completion<'r> {
             let program = request.user_requestor().unwrap();
             let _ = views.map(1, block, Access::Read, &program, passive);
             request.fail(Status::UNSUCCESSFUL)
         }",
    );
}

#[test]
fn requestor_sent_to_thread_does_not_compile() {
    refused(
        "fn send<T: Send>(_: T) {} fn f(program: Requestor<'_>) { send(program); }",
        &["E0277", "cannot be sent between threads safely"],
        "fn send<T: Send>(_: T) {} fn f(program: Requestor<'_>) { drop(program); }",
    );
}

#[test]
fn lookaside_list_dropped_before_its_boxes_does_not_compile() {
    refused(
        "fn f(list: LookasideList<u32>) {
             let value = list.allocate(1);
             drop(list);
             drop(value);
         }",
        &["E0505", "cannot move out of `list` because it is borrowed"],
        "fn f(list: LookasideList<u32>) {
             let value = list.allocate(1);
             drop(value);
             drop(list);
         }",
    );
}

#[test]
fn lookaside_allocator_keeping_block_does_not_compile() {
    refused(
        "struct S;
         impl LookasideAllocator for S {
             fn allocate<'c>(&self, request: BlockRequest<'c>) -> Option<LookasideBlock<'c>> {
                 request.allocate_from_pool()
             }
             fn free(&self, block: LookasideBlock<'_>) {
                 let kept: LookasideBlock<'static> = block;
             }
         }",
        &["lifetime may not live long enough"],
        "struct S;
         impl LookasideAllocator for S {
             fn allocate<'c>(&self, request: BlockRequest<'c>) -> Option<LookasideBlock<'c>> {
                 request.allocate_from_pool()
             }
             fn free(&self, block: LookasideBlock<'_>) { drop(block); }
         }",
    );
}

/// An entry with links for the programs about lists.
const ENTRY: &str = "
    struct Entry { number: u32, links: DoubleLinks }
    wdm::linked!(Entry, links: DoubleLinks);
";

#[test]
fn list_entry_removed_while_borrowed_does_not_compile() {
    refused(
        &format!(
            "{ENTRY} fn f(list: &mut List<Entry>) -> u32 {{
                 let first = list.iter().next().unwrap();
                 drop(list.pop_front());
                 first.number
             }}"
        ),
        &["E0502", "cannot borrow `*list` as mutable"],
        &format!(
            "{ENTRY} fn f(list: &mut List<Entry>) -> u32 {{
                 let number = list.iter().next().unwrap().number;
                 drop(list.pop_front());
                 number
             }}"
        ),
    );
}

#[test]
fn registry_path_at_dispatch_level_does_not_compile() {
    refused(
        "fn f(context: &Context<'_>, passive: &mut Passive) {
             let path = context.registry_path(passive);
             passive.raise_to_dispatch(|_| path.units().first());
         }",
        &["E0502", "cannot borrow `*passive` as mutable"],
        "fn f(context: &Context<'_>, passive: &mut Passive) {
             let len = context.registry_path(passive).units().len();
             passive.raise_to_dispatch(|_| len);
         }",
    );
}

/// A list that is shared takes no entry that lives less long than those it is of,
/// although one that lives longer would do.
#[test]
fn shared_list_with_short_lived_entry_does_not_compile() {
    for (list, links, push) in [
        ("InterlockedList", "DoubleLinks", "push_back"),
        ("InterlockedStack", "SingleLinks", "push"),
        ("SList", "SListLinks", "push"),
    ] {
        let program = |life: &str| {
            format!(
                "use wdm::list::{{SListLinks, SList, InterlockedList, InterlockedStack, SingleLinks}};
                 struct Entry<'a> {{ text: &'a str, links: {links} }}
                 wdm::linked!(Entry<'_>, links: {links});
                 fn f(list: &{list}<Entry<'static>>, entry: wdm::pool::PoolBox<Entry<{life}>>) {{
                     list.{push}(entry);
                 }}"
            )
        };
        refused(
            &program("'_"),
            &["E0521", "borrowed data escapes outside of function"],
            &program("'static"),
        );
    }
}
