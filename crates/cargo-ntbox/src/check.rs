//! `cargo ntbox check`: what an image says about where it loads, without running it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use ntbox::OsVersion;
use object::pe;
use object::read::pe::{ImageNtHeaders as _, ImageOptionalHeader as _, PeFile64};
use object::{LittleEndian as LE, NameOrOrdinal, Object as _};

use crate::args::Check;
use crate::assets;
use crate::build;
use crate::project::Project;

/// The exit status if a check fails, as ntbox's for a driver that breaks a rule.
const CHECK_FAILED: u8 = 5;
/// The exit status for a file that is no driver, as ntbox's.
const NOT_A_DRIVER: u8 = 6;
/// What Windows 7 exports is in the first lists of the kit.
const OLDEST: OsVersion = OsVersion::WINDOWS_7;

/// Something imported, and the version of Windows that it came with.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub struct Import {
    module: String,
    name: String,
    /// `None` if no list has it, or none says since when.
    since: Option<OsVersion>,
    /// Whether a list has it.
    #[serde(skip)]
    is_listed: bool,
}

/// A check that failed.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    check: &'static str,
    message: String,
}

/// What is known of an image.
#[derive(Debug, serde::Serialize)]
struct Report<'r> {
    file: &'r Path,
    min_os: OsVersion,
    findings: Vec<Finding>,
    imports: Vec<Import>,
}

/// Checks the drivers of the project, or the file that was named.
pub fn run(arguments: &Check) -> anyhow::Result<ExitCode> {
    let files: Vec<PathBuf> = match &arguments.file {
        Some(file) => vec![file.clone()],
        None => build::build_unchecked(&Project::load(&arguments.build)?, &arguments.build)?
            .into_iter()
            .map(|image| image.sys)
            .collect(),
    };
    let mut status = ExitCode::SUCCESS;
    for file in &files {
        let bytes =
            std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let image = match PeFile64::parse(&*bytes) {
            Ok(image) => image,
            Err(error) => {
                eprintln!("error: {} is not a 64-bit image: {error}", file.display());
                return Ok(ExitCode::from(NOT_A_DRIVER));
            }
        };
        let min_os = arguments.build.min_os.unwrap_or(OLDEST);
        let imports = imports(&image)?;
        let mut findings = findings_of_imports(&imports, min_os);
        findings.extend(findings_of_image(&image, &bytes));
        if !findings.is_empty() {
            status = ExitCode::from(CHECK_FAILED);
        }
        let report = Report {
            file,
            min_os,
            findings,
            imports,
        };
        if arguments.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            show(&report);
        }
    }
    Ok(status)
}

fn show(report: &Report<'_>) {
    for finding in &report.findings {
        println!("{:<9} {}", finding.check, finding.message);
    }
    let is_undated = |import: &&Import| import.is_listed && import.since.is_none();
    for import in report.imports.iter().filter(is_undated) {
        println!(
            "note      {}!{} is not in Windows 7; no reference says since when Windows has it",
            import.module, import.name
        );
    }
    println!(
        "{}: {} imports, {} findings, for Windows {} and later",
        report.file.display(),
        report.imports.len(),
        report.findings.len(),
        report.min_os,
    );
}

/// The imports of a driver that Windows `min_os` lacks, each in a sentence.
pub fn newer_imports(file: &Path, min_os: OsVersion) -> anyhow::Result<Vec<String>> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let image = PeFile64::parse(&*bytes)
        .with_context(|| format!("{} is not a 64-bit image", file.display()))?;
    let findings = findings_of_imports(&imports(&image)?, min_os);
    Ok(findings
        .into_iter()
        .map(|finding| finding.message)
        .collect())
}

/// Whether the lists of the kit are about a module.
fn is_of_kernel(module: &str) -> bool {
    ["ntoskrnl.exe", "hal.dll", "wmilib.sys"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(module))
}

/// The names in the lists of the kit, with the version each came with, if that is said.
fn since_versions() -> BTreeMap<&'static str, Option<OsVersion>> {
    let mut versions = BTreeMap::new();
    for (name, text) in assets::export_lists() {
        let is_of_oldest = !name.ends_with("-later.def");
        let exports = text
            .split_once("\nEXPORTS")
            .map_or("", |(_, exports)| exports);
        for line in exports.lines().filter(|line| line.starts_with("    ")) {
            let (name, comment) = line.split_once(';').unwrap_or((line, ""));
            let Some(name) = name.split_whitespace().next() else {
                continue;
            };
            let since = if is_of_oldest {
                Some(OLDEST)
            } else {
                ntbox::parse::version(comment.trim()).ok()
            };
            versions.insert(name, since);
        }
    }
    versions
}

fn imports(image: &PeFile64<'_>) -> anyhow::Result<Vec<Import>> {
    let versions = since_versions();
    let list = image.imports().context("cannot read the imports")?;
    list.map(|import| {
        let import = import.context("cannot read an import")?;
        let module = String::from_utf8_lossy(import.library()).into_owned();
        let name = match import.name() {
            NameOrOrdinal::Name(name) => String::from_utf8_lossy(name).into_owned(),
            NameOrOrdinal::Ordinal(number) => format!("#{number}"),
        };
        let listed = versions
            .get(name.as_str())
            .filter(|_| is_of_kernel(&module));
        Ok(Import {
            since: listed.copied().flatten(),
            is_listed: listed.is_some(),
            module,
            name,
        })
    })
    .collect()
}

/// Imports that Windows `min_os` does not have.
fn findings_of_imports(imports: &[Import], min_os: OsVersion) -> Vec<Finding> {
    let message = |import: &Import| {
        let name = format!("{}!{}", import.module, import.name);
        match import.since {
            Some(since) if since > min_os => Some(format!(
                "{name} came with Windows {since}, minimum is {min_os}: the driver does not load before"
            )),
            None if !import.is_listed => {
                Some(format!("{name} is in no list of what kernels export"))
            }
            _ => None,
        }
    };
    imports
        .iter()
        .filter(|import| is_of_kernel(&import.module))
        .filter_map(message)
        .map(|message| Finding {
            check: "import",
            message,
        })
        .collect()
}

/// What is wrong with the headers and the sections.
fn findings_of_image(image: &PeFile64<'_>, bytes: &[u8]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |check, message: String| findings.push(Finding { check, message });
    let optional = image.nt_headers().optional_header();
    if optional.subsystem() != pe::IMAGE_SUBSYSTEM_NATIVE {
        add(
            "subsystem",
            format!(
                "subsystem is {}, a driver's is NATIVE",
                optional.subsystem().0
            ),
        );
    }
    let flags = optional.dll_characteristics();
    for (flag, name, why) in [
        (
            pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT,
            "NX_COMPAT",
            "data would be executable",
        ),
        (
            pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE,
            "DYNAMIC_BASE",
            "the address would be known",
        ),
        (
            pe::IMAGE_DLLCHARACTERISTICS_FORCE_INTEGRITY,
            "FORCE_INTEGRITY",
            "ObRegisterCallbacks and process notify routines fail without it",
        ),
    ] {
        if flags.0 & flag.0 == 0 {
            add("flags", format!("{name} is not set: {why}"));
        }
    }
    if optional.section_alignment() < PAGE {
        add(
            "alignment",
            format!(
                "section alignment is {:#x}, memory integrity requires {PAGE:#x}",
                optional.section_alignment()
            ),
        );
    }
    let stored = optional.check_sum();
    let computed = checksum(image, bytes);
    if stored != computed {
        add(
            "checksum",
            format!("checksum is {stored:#x}, the file's is {computed:#x}"),
        );
    }
    for section in image.section_table().iter() {
        let flags = section.characteristics.get(LE);
        let name = String::from_utf8_lossy(section.raw_name()).into_owned();
        let both = pe::IMAGE_SCN_MEM_WRITE.0 | pe::IMAGE_SCN_MEM_EXECUTE.0;
        if flags.0 & both == both {
            add(
                "section",
                format!("{name} is writable and executable, which memory integrity refuses"),
            );
        }
        if name == "INIT" && flags.0 & pe::IMAGE_SCN_MEM_DISCARDABLE.0 == 0 {
            add(
                "section",
                "INIT is not discardable: its memory stays in use after DriverEntry".to_owned(),
            );
        }
    }
    if !matches!(image.pdb_info(), Ok(Some(_))) {
        add(
            "pdb",
            "no identity of a PDB: a debugger cannot find the symbols".to_owned(),
        );
    }
    findings
}

/// Sections are mapped by pages.
const PAGE: u32 = 0x1000;

/// The checksum of a PE file: its words added with carry, and its size. The words of the
/// stored checksum do not count.
fn checksum(image: &PeFile64<'_>, bytes: &[u8]) -> u32 {
    /// Where the checksum is, from the NT headers on.
    const OFFSET: usize = 4 + 20 + 64;
    let at = image.dos_header().nt_headers_offset() as usize + OFFSET;
    let mut sum = 0_u64;
    for (number, pair) in bytes.chunks(2).enumerate() {
        if (at..at + 4).contains(&(number * 2)) {
            continue;
        }
        let low = u64::from(pair[0]);
        let high = pair.get(1).map_or(0, |byte| u64::from(*byte));
        sum += low | high << 8;
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    u32::try_from(sum.wrapping_add(size) & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(name: &str, since: Option<OsVersion>) -> Import {
        Import {
            module: "ntoskrnl.exe".to_owned(),
            name: name.to_owned(),
            since,
            is_listed: name != "NoSuchExport",
        }
    }

    #[test]
    fn since_versions_of_the_lists_are_read() {
        let versions = since_versions();
        assert_eq!(versions.get("IoAllocateMdl"), Some(&Some(OLDEST)));
        let version_2004 = OsVersion::VERSION_2004;
        assert_eq!(versions.get("ExAllocatePool2"), Some(&Some(version_2004)));
        assert_eq!(versions.get("NoSuchExport"), None);
        let dated = versions.values().flatten().filter(|since| **since > OLDEST);
        assert!(dated.count() > 100);
    }

    #[test]
    fn import_is_refused_below_its_version_and_if_no_list_has_it() {
        let version_2004 = OsVersion::VERSION_2004;
        let list = [
            import("ExAllocatePool2", Some(version_2004)),
            import("IoAllocateMdl", Some(OLDEST)),
        ];
        assert_eq!(findings_of_imports(&list, version_2004), []);
        let findings = findings_of_imports(&list, OsVersion::VERSION_1709);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].message.contains("10.0.19041"), "{findings:?}");
        let undated = [import("KeRemoveQueueDpcEx", None)];
        assert_eq!(findings_of_imports(&undated, version_2004), []);
        let unlisted = [import("NoSuchExport", None)];
        assert_eq!(findings_of_imports(&unlisted, version_2004).len(), 1);
    }
}
