//! What is made here, as programs read it that know nothing of this project:
//! OpenSSL and osslsigncode. Each has a damaged twin that they must refuse.
#![cfg(not(windows))]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use driver_package::{
    catalog::{self, Member},
    date::Date,
    sign::{Error, Signer},
};

const INF: &[u8] = b"[Version]\r\nSignature = \"$Windows NT$\"\r\n";

/// A folder of the test's own, with a signed package in it.
struct Package {
    folder: PathBuf,
    signer: Signer,
}

impl Package {
    fn new(test: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
        if folder.exists() {
            fs::remove_dir_all(&folder).expect("an old folder can go");
        }
        let signer = Signer::in_folder(&folder.join("certificate"), "a test")
            .expect("openssl and osslsigncode are installed; `cargo xtask package` does that");
        let image = image();
        let members = [
            Member::flat("x.inf", INF),
            Member::image("x.sys", &image).expect("an image"),
        ];
        let package = Self { folder, signer };
        let list = catalog::unsigned(&members, &Date::now());
        package.write("unsigned.sys", &image);
        package.write("unsigned.cat", &list);
        package.write("x.inf", INF);
        for name in ["sys", "cat"] {
            package
                .signer
                .sign(
                    &package.path(&format!("unsigned.{name}")),
                    &package.path(&format!("x.{name}")),
                )
                .expect("it can be signed");
        }
        package
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn write(&self, name: &str, contents: &[u8]) {
        fs::write(self.path(name), contents).expect("the folder can be written to");
    }

    /// A copy of a file with one byte changed: the first of `what`.
    fn damage(&self, name: &str, what: &[u8]) -> PathBuf {
        let mut bytes = fs::read(self.path(name)).expect("the file is there");
        let mut windows = bytes.windows(what.len());
        let at = windows
            .position(|window| window == what)
            .expect("it is in the file");
        bytes[at] ^= 1;
        let damaged = format!("damaged-{name}");
        self.write(&damaged, &bytes);
        self.path(&damaged)
    }

    fn listed(&self, name: &str) -> Result<(), Error> {
        self.signer
            .verify_listed(&self.path("x.cat"), &self.path(name))
    }
}

/// The least that is an image: headers, and one section of code.
fn image() -> Vec<u8> {
    let mut image = vec![0; 0x400];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(0x3C, &0x80_u32.to_le_bytes());
    put(0x80, b"PE\0\0\x64\x86\x01\0");
    put(0x94, &[0xF0, 0, 0x22, 0]);
    put(0x98, &0x20B_u16.to_le_bytes());
    put(0x104, &16_u32.to_le_bytes());
    put(0x188, b".text\0\0\0");
    put(0x190, &0x200_u32.to_le_bytes());
    put(0x194, &0x1000_u32.to_le_bytes());
    put(0x198, &0x200_u32.to_le_bytes());
    put(0x19C, &0x200_u32.to_le_bytes());
    put(0x200, b"code");
    image
}

#[test]
fn verify_accepts_signed_and_rejects_damaged_image() {
    let package = Package::new("image");
    package
        .signer
        .verify(&package.path("x.sys"))
        .expect("it is signed");
    let damaged = package.damage("x.sys", b"code");
    assert!(matches!(
        package.signer.verify(&damaged),
        Err(Error::Failed { .. })
    ));
    let unsigned = package.path("unsigned.sys");
    assert!(matches!(
        package.signer.verify(&unsigned),
        Err(Error::Failed { .. })
    ));
}

#[test]
fn verify_with_other_certificate_fails() {
    let package = Package::new("stranger");
    let stranger = Signer::in_folder(&package.path("stranger"), "a test").expect("a certificate");
    let signed = package.path("x.sys");
    assert!(matches!(
        stranger.verify(&signed),
        Err(Error::Failed { .. })
    ));
}

#[test]
fn catalog_lists_signed_and_unsigned_image() {
    let package = Package::new("listed");
    package.listed("x.sys").expect("the signed image is listed");
    package
        .listed("unsigned.sys")
        .expect("the unsigned image is listed");
    package.damage("unsigned.sys", b"code");
    assert!(matches!(
        package.listed("damaged-unsigned.sys"),
        Err(Error::Failed { .. })
    ));
}

#[test]
fn catalog_damaged_is_refused() {
    let package = Package::new("catalogue");
    let hash = driver_package::authenticode::hash(&image()).expect("an image");
    let damaged = package.damage("x.cat", &hash);
    let verdict = package
        .signer
        .verify_listed(&damaged, &package.path("x.sys"));
    assert!(matches!(verdict, Err(Error::Failed { .. })));
}

/// OpenSSL reads the structure, and finds both files in it.
#[test]
fn catalog_parses_with_openssl() {
    let package = Package::new("structure");
    let parse = |name: &str| {
        Command::new("openssl")
            .args(["asn1parse", "-inform", "DER", "-in"])
            .arg(package.path(name))
            .output()
            .expect("openssl is installed")
    };
    for name in ["unsigned.cat", "x.cat"] {
        let output = parse(name);
        assert!(output.status.success(), "{name}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let image = driver_package::authenticode::hash(&image()).expect("an image");
        for hash in [image, driver_package::authenticode::flat_hash(INF)] {
            let digits = hash.map(|byte| format!("{byte:02X}")).concat();
            // Once as the member's name, once as what was hashed.
            assert_eq!(text.matches(&digits).count(), 2, "{name}: {text}");
        }
        assert_eq!(text.matches("1.3.6.1.4.1.311.12.2.3").count(), 2, "{text}");
    }
    let bytes = fs::read(package.path("unsigned.cat")).expect("the catalogue");
    package.write("short.cat", &bytes[..bytes.len() - 1]);
    assert!(!parse("short.cat").status.success());
}
