//! The overhead of `wdm`: pairs of functions in one linked driver, with and without it, are
//! disassembled and compared. IRQL tokens and spin locks add nothing; a table of the other
//! pairs can be printed.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, OpKind};
use integration_tests::images;
use object::LittleEndian as LE;
use object::pe;
use object::read::pe::{ImageNtHeaders, ImageOptionalHeader, ImageThunkData, PeFile64};

/// Base of the addresses that are decoded: those of the image, from its start.
struct Image {
    bytes: Vec<u8>,
    /// Functions with `wdm` and without, by the name of the pair.
    pairs: BTreeMap<String, (u32, u32)>,
    /// Names of imports, by the place of their address.
    imports: BTreeMap<u32, String>,
}

impl Image {
    fn read() -> Self {
        let bytes = std::fs::read(images::overhead_driver()).expect("the driver can be read");
        let file = PeFile64::parse(bytes.as_slice()).expect("a PE32+ image");
        let base = file.nt_headers().optional_header().image_base();
        let pairs = pairs(&bytes, base);
        let imports = file_imports(&file);
        Self {
            bytes,
            pairs,
            imports,
        }
    }

    /// The bytes from an address of the image on.
    fn at(&self, rva: u32) -> &[u8] {
        let file = PeFile64::parse(self.bytes.as_slice()).expect("a PE32+ image");
        let sections = file.section_table();
        sections
            .pe_data_at(self.bytes.as_slice(), rva)
            .expect("code of the image")
    }

    /// The instructions of the function there: all that can be reached in it.
    fn function(&self, start: u32) -> Vec<Instruction> {
        let code = self.at(start);
        let decoder = Decoder::with_ip(64, code, start.into(), DecoderOptions::NONE);
        let mut list = Vec::new();
        // Up to where the last jump forward leads, at least.
        let mut end = u64::from(start);
        for instruction in decoder {
            assert!(
                !instruction.is_invalid(),
                "no code at {:#x}",
                instruction.ip()
            );
            list.push(instruction);
            let target = instruction.near_branch_target();
            match instruction.flow_control() {
                FlowControl::ConditionalBranch => end = end.max(target),
                FlowControl::UnconditionalBranch if target < u64::from(start) + 0x1000 => {
                    end = end.max(target);
                }
                _ => {}
            }
            let ends = matches!(
                instruction.flow_control(),
                FlowControl::Return
                    | FlowControl::UnconditionalBranch
                    | FlowControl::IndirectBranch
                    | FlowControl::Exception
            );
            if ends && instruction.next_ip() > end {
                return list;
            }
        }
        panic!("the function at {start:#x} has no end");
    }

    /// A function as text that does not depend on where it is.
    fn text(&self, start: u32) -> Vec<String> {
        let function = self.function(start);
        function.iter().map(|one| self.line(one, start)).collect()
    }

    fn line(&self, instruction: &Instruction, start: u32) -> String {
        if instruction.is_ip_rel_memory_operand() {
            let address = u32::try_from(instruction.ip_rel_memory_address()).expect("an address");
            if let Some(import) = self.imports.get(&address) {
                return format!("{:?} {import}", instruction.mnemonic());
            }
        }
        if instruction.op0_kind() == OpKind::NearBranch64 {
            let target = instruction.near_branch_target();
            let place = match self.stub(target) {
                Some(import) => import.to_owned(),
                // Within the function, from its beginning; a call leads elsewhere.
                None if instruction.flow_control() == FlowControl::Call => format!("{target:#x}"),
                None => format!("{:#x}", target.wrapping_sub(start.into())),
            };
            return format!("{:?} {place}", instruction.mnemonic());
        }
        format!("{instruction}")
    }

    /// The function that does the work of a pair's: `wdm` keeps what runs at a raised
    /// level apart from its caller, which may be pageable, so there is one call more.
    fn resident(&self, start: u32) -> u32 {
        let function = self.function(start);
        let calls: Vec<u64> = function
            .iter()
            .filter(|one| one.op0_kind() == OpKind::NearBranch64)
            .map(Instruction::near_branch_target)
            .filter(|target| self.stub(*target).is_none())
            .collect();
        match calls[..] {
            // A frame, the call, and back: nothing else is done on the way.
            [target] if function.len() <= 5 => {
                u32::try_from(target).expect("an address of the image")
            }
            _ => start,
        }
    }

    /// The import to which the code at this address does nothing but jump.
    fn stub(&self, target: u64) -> Option<&str> {
        let code = self.at(u32::try_from(target).expect("an address of the image"));
        let jump = Decoder::with_ip(64, code, target, DecoderOptions::NONE).decode();
        let is_jump = jump.flow_control() == FlowControl::IndirectBranch;
        let place = (is_jump && jump.is_ip_rel_memory_operand())
            .then(|| u32::try_from(jump.ip_rel_memory_address()))?;
        self.imports.get(&place.ok()?).map(String::as_str)
    }

    /// Instructions of a function and of those of the image that it calls.
    fn count(&self, function: u32) -> usize {
        let mut seen = BTreeSet::new();
        let mut left = vec![function];
        let mut count = 0;
        while let Some(start) = left.pop() {
            if !seen.insert(start) {
                continue;
            }
            let function = self.function(start);
            let end = function.last().map_or(0, Instruction::next_ip);
            for instruction in function {
                count += 1;
                let target = instruction.near_branch_target();
                let is_inside = (u64::from(start)..end).contains(&target);
                // A call, or a jump to another function in place of one.
                if instruction.op0_kind() == OpKind::NearBranch64 && !is_inside {
                    left.push(u32::try_from(target).expect("an address of the image"));
                }
            }
        }
        count
    }
}

/// The table of the driver's source, which is in its data.
fn pairs(bytes: &[u8], base: u64) -> BTreeMap<String, (u32, u32)> {
    const MARK: &[u8] = b"wdm cost pairs: ";
    let mark = bytes.windows(MARK.len()).position(|window| window == MARK);
    let table = &bytes[mark.expect("the table is in the image") + MARK.len()..];
    let rva = |bytes: &[u8]| {
        let address = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        u32::try_from(address - base).expect("an address of the image")
    };
    let rows = table.chunks(32).take(PAIRS);
    rows.map(|row| {
        let name = String::from_utf8_lossy(&row[..16]).trim_end().to_owned();
        (name, (rva(&row[16..24]), rva(&row[24..32])))
    })
    .collect()
}

/// How many pairs there are.
const PAIRS: usize = 6;

fn file_imports(file: &PeFile64<'_>) -> BTreeMap<u32, String> {
    let table = file
        .import_table()
        .expect("sound imports")
        .expect("imports");
    let mut imports = BTreeMap::new();
    let mut descriptors = table.descriptors().expect("descriptors");
    while let Some(descriptor) = descriptors.next().expect("a descriptor") {
        let mut place = descriptor.first_thunk.get(LE);
        let names = descriptor.original_first_thunk.get(LE);
        let mut thunks = table.thunks(names).expect("thunks");
        while let Some(thunk) = thunks.next::<pe::ImageNtHeaders64>().expect("a thunk") {
            let (_, name) = table.hint_name(thunk.address()).expect("a name");
            imports.insert(place, String::from_utf8_lossy(name).into_owned());
            place += 8;
        }
    }
    imports
}

#[test]
fn tokens_and_spin_locks_add_no_instructions() {
    let image = Image::read();
    for name in ["raise", "raise to APC", "spin lock"] {
        let (safe, raw) = image.pairs[name];
        let (safe, raw) = (image.text(image.resident(safe)), image.text(raw));
        assert_eq!(safe, raw, "{name}");
        let calls = [
            "KfRaiseIrql",
            "KeLowerIrql",
            "KeAcquireSpin",
            "KeReleaseSpin",
        ];
        let calls = safe
            .iter()
            .filter(|line| calls.iter().any(|call| line.contains(call)));
        assert_eq!(calls.count(), 2, "not the kernel's functions: {safe:?}");
    }
}

/// The table of `docs/explanation/raw-and-safe.md`:
/// `cargo xtask test --no-lint -p integration-tests --test static_checks -- overhead:: --ignored --nocapture`.
#[test]
#[ignore = "prints a table"]
fn print_the_counts() {
    let image = Image::read();
    assert_eq!(image.pairs.len(), PAIRS);
    println!("| pair | with `wdm` | without |\n|---|---|---|");
    for (name, (safe, raw)) in &image.pairs {
        let (safe, raw) = (image.count(*safe), image.count(*raw));
        assert!(safe >= 2 && raw >= 2, "{name}: {safe} and {raw}");
        println!("| {name} | {safe} | {raw} |");
    }
}
