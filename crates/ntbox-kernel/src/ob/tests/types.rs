use ntbox_host::driver_mem::UnicodeString;

use super::*;
use crate::ob::init::{object_of, type_at};
use crate::ob::object::type_of;
use crate::ob::{variable_names, variables};

#[test]
fn type_objects_have_names() {
    processor();
    for kind in Type::ALL {
        let object = object_of(kind);
        assert_eq!(type_of(object), Some(Type::Type));
        assert_eq!(type_at(object), Some(kind));
        let name = UnicodeString::read(object + 0x10)
            .expect("it is pool")
            .text()
            .expect("it is pool");
        assert_eq!(name, kind.name());
    }
    assert_eq!(type_at(0), None);
}

#[test]
fn type_exports_point_to_type_objects() {
    processor();
    let variables = variables();
    let find = |name: &str| {
        variables
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| *value)
    };
    for (name, kind) in [
        ("ExEventObjectType", Type::Event),
        ("IoFileObjectType", Type::File),
        ("PsProcessType", Type::Process),
        ("PsThreadType", Type::Thread),
        ("SeTokenObjectType", Type::Token),
        ("MmSectionObjectType", Type::Section),
    ] {
        assert_eq!(find(name), Some(object_of(kind)), "{name}");
    }
    let names: Vec<_> = variables.iter().map(|(name, _)| *name).collect();
    assert_eq!(variable_names().collect::<Vec<_>>(), names);
}

#[test]
fn grant_maps_generic_rights() {
    for (kind, desired, granted) in [
        (Type::Key, 0x8000_0000, 0x2_0019),
        (Type::Key, 0x4000_0000, 0x2_0006),
        (Type::Key, 0x0200_0000, 0xf_003f),
        (Type::Event, 0x1000_0000, 0x1f_0003),
        (Type::Event, 0x10_0002, 0x10_0002),
        (Type::File, 0xc000_0000, 0x12_019f),
    ] {
        assert_eq!(kind.grant(desired), granted, "{kind:?} {desired:#x}");
    }
}
