//! The loader with images made by hand: well-formed images run, malformed ones are
//! rejected with a reason, and none crashes or hangs the kernel process. Only images that
//! are well formed, or malformed in a known way, are started: other code would run on the
//! real processor.

mod malformed;

use integration_tests::pe::{BASE, IDATA, IMAGE_END, Image, Import, Plan, TEXT};
use integration_tests::temp_file;
use ntbox::{Config, Error, Machine, Report};

/// Loads an image without running it; gives the reason if it is refused.
fn load(image: &[u8]) -> Result<(), String> {
    let file = temp_file("hand-made.sys", image);
    match Machine::boot(&Config::new(&file)) {
        Ok(machine) => {
            machine
                .finish()
                .expect("a machine that did not start its driver ends");
            Ok(())
        }
        Err(Error::Image { reason, .. }) => Err(reason),
        Err(other) => panic!("not the image was blamed, but: {other}"),
    }
}

/// Loads, starts and unloads an image.
fn run(image: &Image) -> Report {
    let file = temp_file("hand-made.sys", &image.bytes);
    ntbox::run(&Config::new(&file)).expect("an image that can be loaded")
}

/// An image with everything: imports by name and number, relocations.
fn full() -> Image {
    // mov rax, [DbgPrint]; movabs rax, BASE + TEXT; xor eax, eax; ret
    let code = [
        &[0x48, 0x8B, 0x05],
        &(IDATA - TEXT - 7).to_le_bytes()[..],
        &[0x48, 0xB8],
        &(BASE + u64::from(TEXT)).to_le_bytes(),
        &[0x31, 0xC0, 0xC3],
    ]
    .concat();
    Plan::new(&code)
        .import("ntoskrnl.exe", ["DbgPrint".into(), Import::Ordinal(7)])
        .import("HAL.dll", ["KeGetCurrentIrql".into()])
        .relocate(9)
        .build()
}

#[test]
fn image_well_formed_runs() {
    let report = run(&full());
    assert_eq!(report.entry_status, Some(0));
    assert_eq!(report.bug_check, None);
    assert_eq!(report.image.size, IMAGE_END);
}

#[test]
fn entry_status_is_returned_value() {
    for status in [0, 1, 0x4000_0000, 0xC000_009A, u32::MAX] {
        let report = run(&Plan::returning(status).build());
        assert_eq!(report.entry_status, Some(status));
        assert!(report.violations.is_empty(), "{:?}", report.violations);
    }
}

#[test]
fn imported_function_receives_its_arguments() {
    // sub rsp, 28h; lea rcx, [text]; mov edx, 42; call [slot]; xor eax, eax;
    // add rsp, 28h; ret; text
    let code = [
        &[
            0x48, 0x83, 0xEC, 0x28, 0x48, 0x8D, 0x0D, 0x12, 0, 0, 0, 0xBA, 42, 0, 0, 0, 0xFF, 0x15,
        ],
        &(IDATA - TEXT - 22).to_le_bytes()[..],
        &[0x31, 0xC0, 0x48, 0x83, 0xC4, 0x28, 0xC3],
        b"made by hand: %d\n\0",
    ]
    .concat();
    let report = run(&Plan::new(&code)
        .import("ntoskrnl.exe", ["DbgPrint".into()])
        .build());
    assert_eq!(
        report
            .log
            .iter()
            .map(|line| line.text.as_str())
            .collect::<Vec<_>>(),
        ["made by hand: 42"]
    );
    assert_eq!(report.entry_status, Some(0));
}

#[test]
fn imported_data_is_readable_to_its_last_byte() {
    // mov rax, [slot]; mov rax, [rax]; and eax, 0FFFh; ret
    let code = [
        &[0x48, 0x8B, 0x05],
        &(IDATA - TEXT - 7).to_le_bytes()[..],
        &[0x48, 0x8B, 0x00, 0x25, 0xFF, 0x0F, 0, 0, 0xC3],
    ]
    .concat();
    let image = Plan::new(&code)
        .import("ntoskrnl.exe", ["MmHighestUserAddress".into()])
        .build();
    assert_eq!(
        run(&image).entry_status,
        Some(0xFFF),
        "the last byte of a page"
    );
}

#[test]
fn relocations_are_applied() {
    // movabs rax, BASE + TEXT + 13; mov eax, [rax]; ret; pad; 0x2345
    let code = [
        &[0x48, 0xB8],
        &(BASE + u64::from(TEXT) + 13).to_le_bytes()[..],
        &[0x8B, 0x00, 0xC3],
        &0x2345_u32.to_le_bytes(),
    ]
    .concat();
    let plan = Plan::new(&code);
    assert_eq!(
        run(&plan.clone().relocate(2).build()).entry_status,
        Some(0x2345)
    );
    let stays = run(&plan.build());
    assert_eq!(
        stays.entry_status, None,
        "without the relocation the address is nobody's"
    );
    assert!(stays.bug_check.is_some());
}

#[test]
fn import_not_implemented_stops_when_called() {
    // sub rsp, 28h; call [slot]; add rsp, 28h; ret
    let code = [
        &[0x48, 0x83, 0xEC, 0x28, 0xFF, 0x15],
        &(IDATA - TEXT - 10).to_le_bytes()[..],
        &[0x48, 0x83, 0xC4, 0x28, 0xC3],
    ]
    .concat();
    for (module, import, name) in [
        (
            "ntoskrnl.exe",
            Import::from("NobodyHasThis"),
            "ntoskrnl.exe!NobodyHasThis",
        ),
        ("ntoskrnl.exe", Import::Ordinal(4711), "ntoskrnl.exe!#4711"),
        (
            "cng.sys",
            Import::from("BCryptOpenAlgorithmProvider"),
            "cng.sys!BCryptOpenAlgorithmProvider",
        ),
    ] {
        let report = run(&Plan::new(&code).import(module, [import]).build());
        let stop = report.bug_check.expect(name);
        assert!(
            stop.message.contains(name) && stop.message.contains("not implemented"),
            "{}",
            stop.message
        );
        assert_eq!(report.entry_status, None);
    }
}
