//! No bytes make translation fail: random code is translated in every mode, nothing of
//! it runs. On every system.
//!
//! `NTBOX_TRANSLATE_GARBAGE` sets the number of inputs.

#![allow(missing_docs, reason = "tests")]

use std::ops::Range;

use ntbox_translate::{
    Arrival, Base, CodeSource, Coverage, Edit, Function, Gpr, Layout, MemoryChecks, Policy,
    TranslateError, Translator, Unit,
};

const CODE: u64 = 0xffff_f800_1000_0000;

struct Garbage(Vec<u8>);

impl CodeSource for Garbage {
    fn code(&self, address: u64) -> &[u8] {
        usize::try_from(address.wrapping_sub(CODE))
            .ok()
            .and_then(|offset| self.0.get(offset..))
            .unwrap_or(&[])
    }

    fn function(&self, address: u64) -> Option<Function> {
        address.is_multiple_of(3).then(|| Function {
            range: CODE..CODE + 0x80,
            frame_register: Gpr::new(5),
        })
    }

    fn pointer(&self, address: u64) -> Option<u64> {
        address.is_multiple_of(2).then_some(address)
    }

    fn image(&self, _: u64) -> Range<u64> {
        CODE..CODE + 0x100
    }
}

fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn random_bytes_are_translated() {
    let inputs: u64 = std::env::var("NTBOX_TRANSLATE_GARBAGE")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(3_000);
    let cache = CODE + 0x1000_0000..CODE + 0x1800_0000;
    let layout = Layout {
        cache: cache.clone(),
        state: Base::Gs(0x4000),
        shadow: Base::Gs(-0x100),
        counters: cache.end..cache.end + 0x1000,
    };
    for (memory, coverage, unit, exact_flags) in [
        (MemoryChecks::Off, Coverage::Off, Unit::Function, false),
        (
            MemoryChecks::Shadow,
            Coverage::EdgeCounts,
            Unit::Function,
            false,
        ),
        (
            MemoryChecks::Shadow,
            Coverage::BlockCounts,
            Unit::Block,
            true,
        ),
    ] {
        let mut translator = Translator::new(
            layout.clone(),
            Policy {
                unit,
                coverage,
                memory,
                exact_flags,
            },
        );
        let mut state = 0x1234_5678_9abc_def1_u64;
        for input in 0..inputs / 3 {
            let code: Vec<u8> = (0..32)
                .flat_map(|_| next(&mut state).to_le_bytes())
                .collect();
            let source = Garbage(code);
            for offset in [0, 1, 17, 100, 250, 255, 256] {
                let arrival = [Arrival::Direct, Arrival::Indirect][usize::from(offset % 2 == 1)];
                match translator.translate(&source, CODE + offset, arrival) {
                    Ok(translation) => {
                        assert!(cache.contains(&translation.entry));
                        for edit in &translation.edits {
                            let Edit::Code { address, bytes } = edit else {
                                continue;
                            };
                            assert!(
                                cache.start <= *address
                                    && address + bytes.len() as u64 <= cache.end
                            );
                        }
                        let location = translator.locate(translation.entry).expect("a location");
                        assert_eq!(location.original, CODE + offset);
                    }
                    Err(TranslateError::NotCode) => assert_eq!(offset, 256),
                    Err(TranslateError::CacheFull) => drop(translator.flush()),
                    Err(error) => {
                        panic!("input {input}, offset {offset}: {error}: {:02x?}", source.0)
                    }
                }
            }
            drop(translator.invalidate(CODE..CODE + 0x100));
            assert_eq!(translator.lookup(CODE), None);
        }
    }
}
