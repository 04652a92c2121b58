//! Which function an address belongs to.

use super::machine::{BASE, Machine, bytes};
use crate::unwind::function_table;
use crate::unwind::function_table::lookup;
use crate::unwind::reader::Damage;

fn three() -> Machine {
    let mut machine = Machine::new();
    machine.entry(0x100, 0x180, 0x400);
    machine.entry(0x180, 0x1a0, 0x410);
    machine.entry(0x200, 0x300, 0x420);
    machine
}

fn found(machine: &Machine, rva: u64) -> Option<(u32, u64)> {
    lookup(machine, &machine.view(), BASE + rva)
        .expect("the table is whole")
        .map(|located| (located.entry.begin, located.address - BASE))
}

#[test]
fn lookup_finds_function_of_address() {
    let machine = three();
    assert_eq!(found(&machine, 0xff), None);
    assert_eq!(found(&machine, 0x100), Some((0x100, 0x800)));
    assert_eq!(found(&machine, 0x17f), Some((0x100, 0x800)));
    assert_eq!(found(&machine, 0x180), Some((0x180, 0x80c)));
    assert_eq!(found(&machine, 0x1a0), None);
    assert_eq!(found(&machine, 0x2ff), Some((0x200, 0x818)));
    assert_eq!(found(&machine, 0x300), None);
    assert_eq!(found(&machine, 0x5_0000_0000), None);
}

#[test]
fn lookup_without_table_finds_nothing() {
    let machine = Machine::new();
    assert_eq!(found(&machine, 0x100), None);
}

#[test]
fn lookup_follows_indirect_entry() {
    let mut machine = Machine::new();
    machine.entry(0x100, 0x180, 0x900 | 1);
    machine.entry(0x180, 0x1a0, 0x410);
    let target = function_table::FunctionEntry {
        begin: 0x180,
        end: 0x1a0,
        unwind: 0x410,
    };
    machine.put(0x900, &bytes(target));
    assert_eq!(found(&machine, 0x110), Some((0x180, 0x900)));
}

#[test]
fn lookup_of_circular_indirect_entry_fails() {
    let mut machine = Machine::new();
    // The entry names itself.
    machine.entry(0x100, 0x180, 0x800 | 1);
    let result = lookup(&machine, &machine.view(), BASE + 0x110);
    assert_eq!(result, Err(Damage::Chain { rva: 0x800 }));
}

#[test]
fn lookup_in_table_outside_image_fails() {
    let machine = three();
    let mut image = machine.view();
    image.pdata = (0xff8, 36);
    let result = lookup(&machine, &image, BASE + 0x110);
    assert!(matches!(result, Err(Damage::Outside { .. })), "{result:?}");
    image.pdata = (u32::MAX - 4, u32::MAX);
    let result = lookup(&machine, &image, BASE + 0x110);
    assert!(matches!(result, Err(Damage::Outside { .. })), "{result:?}");
}
