use crate::base::call_context::CallContext;
use crate::cm::tests::helper::*;
use crate::ob::attributes::INHERIT;
use crate::ob::nt_handle::{ZwClose, ZwDuplicateObject};
use crate::ob::{Payload, Type, handles};
use crate::test_support::{address_mut, broken_rules, status};
use crate::{ob, test_support};

const CLOSE_SOURCE: u64 = 1;
const SAME_ACCESS: u64 = 2;
const SAME_ATTRIBUTES: u64 = 4;

/// A process object that is nobody's, and a handle to it.
fn process() -> (u64, u64) {
    test_support::processor();
    let process = ob::create(Type::Process, 0x40, Payload::None).expect("there is memory");
    let handle = handles::insert(process, 0x1f_ffff, 0, 0).expect("a handle");
    (process, handle)
}

fn duplicate(from: u64, source: u64, to: u64, access: u64, options: u64) -> Result<u64, u32> {
    let mut target = 0_u64;
    let arguments = [
        from,
        source,
        to,
        address_mut(&mut target),
        access,
        0,
        options,
    ];
    match status(ZwDuplicateObject, &arguments) {
        0 => Ok(target),
        status => Err(status),
    }
}

#[test]
fn duplicate_handle_between_processes() {
    let (first, first_handle) = process();
    let (second, second_handle) = process();
    let object = ob::create(Type::Event, 0x18, Payload::None).expect("there is memory");
    let source = handles::insert_in(first, object, 0x2, INHERIT, 0).expect("a handle");
    let copy = duplicate(first_handle, source, second_handle, 0x8000_0000, 0).expect("room for it");
    let entry = handles::get_in(second, copy).expect("it is open there");
    assert_eq!(
        (entry.object, entry.access, entry.attributes),
        (object, 0x2_0001, 0)
    );
    let same = SAME_ACCESS | SAME_ATTRIBUTES;
    let copy = duplicate(first_handle, source, second_handle, 0, same).expect("room for it");
    let entry = handles::get_in(second, copy).expect("it is open there");
    assert_eq!((entry.access, entry.attributes), (0x2, INHERIT));
    assert!(duplicate(first_handle, source, second_handle, 0, CLOSE_SOURCE).is_ok());
    assert_eq!(
        handles::get_in(first, source),
        Err(nt_status::STATUS_INVALID_HANDLE)
    );
    let gone = duplicate(first_handle, source, second_handle, 0, 0);
    assert_eq!(gone, Err(nt_status::STATUS_INVALID_HANDLE));
    let never_given = 0x3f_fffc;
    let wrong = duplicate(never_given, source, second_handle, 0, 0);
    assert_eq!(wrong, Err(nt_status::STATUS_INVALID_HANDLE));
    let caller = CallContext::kernel(0);
    for process in [first, second] {
        handles::close_all(process, &caller);
        ob::dereference(process, &caller);
    }
    ob::dereference(object, &caller);
    for handle in [first_handle, second_handle] {
        close(handle);
    }
}

#[test]
fn duplicate_of_kernel_handle_is_process_handle() {
    const KERNEL_HANDLE: u64 = 0x200;
    let (first, first_handle) = process();
    let object = ob::create(Type::Event, 0x18, Payload::None).expect("there is memory");
    let source = handles::insert(object, 0x2, 0, 0).expect("a handle");
    let mut target = 0_u64;
    let arguments = [
        handles::CURRENT_PROCESS,
        source,
        first_handle,
        address_mut(&mut target),
        0x2,
        KERNEL_HANDLE,
        0,
    ];
    assert_eq!(status(ZwDuplicateObject, &arguments), 0);
    assert!(!handles::is_kernel(target), "{target:#x}");
    let entry = handles::get_in(first, target).expect("it is the process's");
    assert_eq!(entry.object, object);
    let caller = CallContext::kernel(0);
    handles::close_all(first, &caller);
    close(source);
    close(first_handle);
    ob::dereference(object, &caller);
    ob::dereference(first, &caller);
}

#[test]
fn duplicate_with_close_source_closes_in_other_process() {
    let (owner, owner_handle) = process();
    let object = ob::create(Type::Event, 0x18, Payload::None).expect("there is memory");
    let source = handles::insert_in(owner, object, 0x2, 0, 0).expect("a handle");
    let close_only = [owner_handle, source, 0, 0, 0, 0, CLOSE_SOURCE];
    assert_eq!(status(ZwDuplicateObject, &close_only), 0);
    assert_eq!(
        status(ZwDuplicateObject, &close_only),
        nt_status::STATUS_INVALID_HANDLE
    );
    let key = open(&Object::new("\\Registry\\Machine")).expect("it is there");
    let not_a_process = [key, source, 0, 0, 0, 0, CLOSE_SOURCE];
    assert_eq!(
        status(ZwDuplicateObject, &not_a_process),
        nt_status::STATUS_OBJECT_TYPE_MISMATCH
    );
    close(key);
    let caller = CallContext::kernel(0);
    ob::dereference(object, &caller);
    ob::dereference(owner, &caller);
    close(owner_handle);
}

#[test]
fn close_of_pseudo_handle_does_nothing() {
    assert_eq!(status(ZwClose, &[handles::CURRENT_PROCESS]), 0);
    assert_eq!(status(ZwClose, &[handles::CURRENT_THREAD]), 0);
    assert_eq!(broken_rules(), [""; 0]);
}
