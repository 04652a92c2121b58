use crate::cm::tests::helper::*;
use crate::ob::nt_symbolic_link::{
    ZwCreateSymbolicLinkObject, ZwOpenSymbolicLinkObject, ZwQuerySymbolicLinkObject,
};
use crate::test_support::{Counted, address_mut, status};

fn create_link(object: &Object, target: &Text) -> (u32, u64) {
    let mut handle = 0_u64;
    let arguments = [address_mut(&mut handle), 0xf_0001, object.at(), target.at()];
    (status(ZwCreateSymbolicLinkObject, &arguments), handle)
}

fn open_link(object: &Object) -> (u32, u64) {
    let mut handle = 7_u64;
    (
        status(
            ZwOpenSymbolicLinkObject,
            &[address_mut(&mut handle), 0x8000_0000, object.at()],
        ),
        handle,
    )
}

#[test]
fn query_symbolic_link_returns_target() {
    let (made, handle) = create_link(&Object::new("\\??\\zw-link"), &Text::new("\\Device\\Zw"));
    assert_eq!(made, 0);
    let (opened, second) = open_link(&Object::new("\\DosDevices\\ZW-LINK"));
    assert_eq!(opened, 0);
    let mut buffer = [0xffff_u16; 12];
    let mut string = Counted::unicode(&mut buffer, 0);
    assert_eq!(
        status(
            ZwQuerySymbolicLinkObject,
            &[second, address_mut(&mut string), 0]
        ),
        0
    );
    assert_eq!(
        (string.length, string.text().as_str()),
        (20, "\\Device\\Zw")
    );
    assert_eq!(buffer[10], 0xffff, "without a length there is no NUL");
    let mut length = 0_u32;
    let mut string = Counted::unicode(&mut buffer, 0);
    let arguments = [second, address_mut(&mut string), address_mut(&mut length)];
    assert_eq!(status(ZwQuerySymbolicLinkObject, &arguments), 0);
    assert_eq!((string.length, length, buffer[10]), (20, 22, 0));
    // Ten units are room for the target, not for the NUL.
    let mut small = [0_u16; 10];
    let mut string = Counted::unicode(&mut small, 0);
    assert_eq!(
        status(
            ZwQuerySymbolicLinkObject,
            &[second, address_mut(&mut string), 0]
        ),
        0
    );
    let arguments = [second, address_mut(&mut string), address_mut(&mut length)];
    assert_eq!(
        status(ZwQuerySymbolicLinkObject, &arguments),
        nt_status::STATUS_BUFFER_TOO_SMALL
    );
    assert_eq!(length, 22);
    close(second);
    close(handle);
    assert_eq!(
        open_link(&Object::new("\\??\\zw-link")).0,
        nt_status::STATUS_OBJECT_NAME_NOT_FOUND
    );
}

#[test]
fn open_symbolic_link_of_other_type_is_refused() {
    assert_eq!(
        open_link(&Object::new("\\Device")).0,
        nt_status::STATUS_OBJECT_TYPE_MISMATCH
    );
    let key = open(&Object::new("\\Registry\\Machine")).expect("it is there");
    let mut buffer = [0_u16; 4];
    let mut string = Counted::unicode(&mut buffer, 0);
    assert_eq!(
        status(
            ZwQuerySymbolicLinkObject,
            &[key, address_mut(&mut string), 0]
        ),
        nt_status::STATUS_OBJECT_TYPE_MISMATCH
    );
    close(key);
    let odd = Text::new("\\Device").with_length(13);
    assert_eq!(
        create_link(&Object::new("\\??\\zw-odd"), &odd).0,
        nt_status::STATUS_INVALID_PARAMETER
    );
    let long = Text::new("\\Device").with_length(40);
    assert_eq!(
        create_link(&Object::new("\\??\\zw-long"), &long).0,
        nt_status::STATUS_INVALID_PARAMETER
    );
}

#[test]
fn query_symbolic_link_keeps_maximum_length() {
    let target = Text::new("\\Device\\Zw").with_capacity(20);
    let (made, handle) = create_link(&Object::new("\\??\\zw-exact"), &target);
    assert_eq!(made, 0);
    let (mut buffer, mut length) = ([0xffff_u16; 12], 0_u32);
    let mut string = Counted::unicode(&mut buffer, 0);
    let arguments = [handle, address_mut(&mut string), address_mut(&mut length)];
    assert_eq!(status(ZwQuerySymbolicLinkObject, &arguments), 0);
    assert_eq!((string.length, length, buffer[10]), (20, 20, 0xffff));
    close(handle);
}
