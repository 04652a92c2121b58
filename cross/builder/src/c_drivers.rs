//! Drivers written in C, which tests run to see that the embedded kernel serves
//! drivers that others wrote with other compilers.
//!
//! Each `NAME.c` of a folder becomes `NAME.sys`, by MinGW's gcc and linker, with
//! DWARF. `NAME_seh.c` uses `__try`, which gcc does not have: clang compiles it
//! with Microsoft's conventions, and it comes with a PDB.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use crate::{Error, Say, Tools, exec, kit, linker, packages};

/// How long one compiler may take over one file.
const COMPILE_LIMIT: Duration = Duration::from_mins(2);
/// MinGW's compiler.
const GCC: &str = "x86_64-w64-mingw32-gcc";
/// Its maker of import libraries.
const DLLTOOL: &str = "x86_64-w64-mingw32-dlltool";
/// How the name of a source ends that needs clang.
const SEH_SUFFIX: &str = "_seh";

/// What both compilers are told.
const COMPILER_ARGUMENTS: &[&str] = &[
    "-std=gnu11",
    "-O1",
    "-g",
    "-Wall",
    "-Wextra",
    "-Werror",
    // There is no runtime to probe the stack or to check it.
    "-mno-stack-arg-probe",
    "-fno-stack-protector",
];

/// Builds every driver of the folder `sources` into `output`, as far as it is
/// not there already; returns their images.
///
/// # Errors
///
/// A compiler that is missing and cannot be installed, or what it says against
/// a source.
pub fn build(
    tools: &Tools,
    sources: &Path,
    output: &Path,
    say: Say,
) -> Result<Vec<PathBuf>, Error> {
    let (drivers, others): (Vec<PathBuf>, Vec<PathBuf>) = kit::entries(sources)?
        .into_iter()
        .partition(|path| path.extension().is_some_and(|extension| extension == "c"));
    if drivers.is_empty() {
        return Ok(Vec::new());
    }
    let scratch = &tools.places.work;
    packages::ensure(packages::FOR_C_DRIVERS, scratch, say)?;
    if drivers.iter().any(|source| needs_clang(source)) {
        packages::ensure(packages::FOR_SEH_DRIVERS, scratch, say)?;
    }
    crate::make_folder(output)?;
    // What all of them depend on: headers beside them, and the kit.
    let common = others
        .into_iter()
        .chain([tools.kit.root().join("stamp"), tools.linker.clone()])
        .map(|path| modified(&path))
        .collect::<Result<Vec<_>, _>>()?;
    let mut images = Vec::with_capacity(drivers.len());
    for source in drivers {
        let image = output
            .join(source.file_stem().unwrap_or_default())
            .with_extension("sys");
        let newest = common.iter().copied().fold(modified(&source)?, Ord::max);
        if modified(&image).is_ok_and(|built| built > newest) {
            images.push(image);
            continue;
        }
        compile(tools, &source, &image)?;
        images.push(image);
    }
    Ok(images)
}

/// Compiles and links `source` to `image`. The image appears in one step and last:
/// a compiler that is killed leaves nothing that looks up to date.
fn compile(tools: &Tools, source: &Path, image: &Path) -> Result<(), Error> {
    let folder = tools
        .places
        .work
        .join(format!("c-driver-{}", std::process::id()));
    crate::make_folder(&folder)?;
    let fresh = folder.join(image.file_name().unwrap_or_default());
    let result = if needs_clang(source) {
        with_clang(tools, source, &fresh)
    } else {
        with_gcc(tools, source, &fresh)
    };
    let result = result.and_then(|()| install(&fresh, image));
    // It is only scratch, and below the folder that is ours to clear.
    let _ = fs::remove_dir_all(&folder);
    result
}

/// Moves a complete image to its place, behind its PDB if there is one.
fn install(fresh: &Path, image: &Path) -> Result<(), Error> {
    let pdb = fresh.with_extension("pdb");
    if pdb.is_file() {
        let place = image.with_extension("pdb");
        fs::rename(&pdb, &place).map_err(|e| Error::io("write", &place, e))?;
    }
    fs::rename(fresh, image).map_err(|e| Error::io("write", image, e))
}

/// Whether a source uses `__try`, which its name must say.
fn needs_clang(source: &Path) -> bool {
    source
        .file_stem()
        .is_some_and(|stem| stem.as_encoded_bytes().ends_with(SEH_SUFFIX.as_bytes()))
}

/// Compiles and links with MinGW.
fn with_gcc(tools: &Tools, source: &Path, image: &Path) -> Result<(), Error> {
    let mut gcc = Command::new(GCC);
    gcc.args(COMPILER_ARGUMENTS);
    for folder in header_folders(tools)? {
        gcc.arg("-isystem").arg(folder);
    }
    gcc.args([
        "-shared",
        "-nostdlib",
        "-Wl,--entry,DriverEntry",
        "-Wl,--subsystem,native",
        "-Wl,--image-base,0x140000000",
        "-Wl,--dynamicbase,--nxcompat",
        // Functions of the driver stay visible by name; those of libraries do not.
        "-Wl,--exclude-libs,ALL",
    ])
    .arg("-o")
    .arg(image)
    .arg(source)
    .args(gnu_libraries(tools)?);
    exec::capture(&mut gcc, &tools.places.work, COMPILE_LIMIT).map(drop)
}

/// The import libraries in the form that GNU's linker wants: it sorts members by
/// their names, and out of the short form that Microsoft's and LLVM's linkers
/// read it makes import tables that end before they begin.
fn gnu_libraries(tools: &Tools) -> Result<Vec<PathBuf>, Error> {
    ["ntoskrnl", "ntoskrnl-later", "hal"]
        .into_iter()
        .map(|name| {
            let definition = tools
                .places
                .sources
                .join("lib")
                .join(name)
                .with_extension("def");
            let library = tools.places.work.join(format!("lib{name}.a"));
            let written = modified(&definition)?;
            if !modified(&library).is_ok_and(|built| built > written) {
                let mut dlltool = Command::new(DLLTOOL);
                dlltool.arg("-d").arg(&definition).arg("-l").arg(&library);
                exec::capture(&mut dlltool, &tools.places.work, COMPILE_LIMIT)?;
            }
            Ok(library)
        })
        .collect()
}

/// Compiles with clang as Microsoft's compiler would, and links with lld.
fn with_clang(tools: &Tools, source: &Path, image: &Path) -> Result<(), Error> {
    let program = exec::find_clang().ok_or(Error::NotFoundAfterInstall("clang"))?;
    let object = image.with_extension("obj");
    let mut clang = Command::new(program);
    clang
        .arg(format!("--target={}", crate::TARGET))
        .args(COMPILER_ARGUMENTS)
        .args([
            "-c",
            "-gcodeview",
            // Of all headers only those that belong to this very compiler.
            "-nostdlibinc",
            "-fms-extensions",
            // The headers are MinGW's and refuse Microsoft's compiler.
            "-fno-ms-compatibility",
            // Any instruction of a `__try` block may fault, not only calls.
            "-fasync-exceptions",
            // Newer versions of clang say what they think of old headers.
            "-Wno-#warnings",
        ]);
    for folder in header_folders(tools)? {
        clang.arg("-isystem").arg(folder);
    }
    clang.arg(source).arg("-o").arg(&object);
    exec::capture(&mut clang, &tools.places.work, COMPILE_LIMIT)?;
    let mut link = tools.lld.link();
    link.args([
        "/NOLOGO",
        "/DRIVER",
        "/SUBSYSTEM:NATIVE",
        "/ENTRY:DriverEntry",
        "/NODEFAULTLIB",
        "/DYNAMICBASE",
        "/NXCOMPAT",
        "/DEBUG",
    ])
    .args(linker::ADDED)
    .arg(format!("/OUT:{}", image.display()))
    .arg(&object)
    .args(libraries(tools));
    exec::capture(&mut link, &tools.places.work, COMPILE_LIMIT).map(drop)
}

/// Folders of headers, in the order in which they are searched.
fn header_folders(tools: &Tools) -> Result<[PathBuf; 3], Error> {
    let system = kit::system_headers()
        .ok_or(Error::NotFoundAfterInstall("the folder of MinGW's headers"))?;
    Ok([
        tools.places.sources.join("include"),
        system.join("ddk"),
        system,
    ])
}

/// The import libraries.
fn libraries(tools: &Tools) -> [PathBuf; 2] {
    ["ntoskrnl.lib", "hal.lib"].map(|name| tools.library_folder().join(name))
}

/// When a file was last changed.
fn modified(path: &Path) -> Result<SystemTime, Error> {
    fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .map_err(|e| Error::io("read", path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn install_image_with_pdb_moves_both() {
        let folder = std::env::temp_dir().join(format!("cross-install-{}", std::process::id()));
        let fresh = folder.join("fresh");
        fs::create_dir_all(&fresh).expect("a scratch folder");
        let write = |path: &Path| fs::write(path, path.display().to_string()).expect("a file");
        write(&fresh.join("a.sys"));
        write(&fresh.join("a.pdb"));
        install(&fresh.join("a.sys"), &folder.join("a.sys")).expect("the image moves");
        let found = ["a.sys", "a.pdb"].map(|name| folder.join(name).is_file());
        let left = ["a.sys", "a.pdb"].map(|name| fresh.join(name).exists());
        fs::remove_dir_all(&folder).expect("the scratch folder can go");
        assert_eq!((found, left), ([true; 2], [false; 2]));
    }

    #[test]
    fn needs_clang_by_seh_suffix() {
        assert!(needs_clang(Path::new("drivers/probe_seh.c")));
        assert!(!needs_clang(Path::new("drivers/seh.c")));
        assert!(!needs_clang(Path::new("drivers/probe_seh_not.c")));
    }
}
