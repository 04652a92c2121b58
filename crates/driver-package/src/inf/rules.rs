//! The rules of an INF that installs a driver without a device.
//!
//! Each has its source in Microsoft's documentation: "Creating a primitive
//! driver", the pages of the sections and directives, and the list of what
//! `InfVerif` reports, whose numbers are given where it has one. `InfVerif` knows
//! many more; what passes here still has to pass there.

use super::{Inf, Section};

/// A rule that an INF breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// `InfVerif`'s number for it, where the documentation names one.
    pub code: Option<u16>,
    /// What is wrong.
    pub what: String,
}

/// Folder 13: the driver store, from which a driver runs.
const STORE: &str = "13";
/// The class for what belongs to no device class of its own.
const SYSTEM_CLASS: (&str, &str) = ("System", "{4D36E97D-E325-11CE-BFC1-08002BE10318}");

/// Every rule that is broken; none means that nothing was found.
#[must_use]
pub fn check(inf: &Inf) -> Vec<Broken> {
    let mut report = Report::default();
    report.version(inf);
    report.names(inf);
    report.files(inf);
    report.services(inf);
    report.registry(inf);
    report.0
}

/// What was found so far.
#[derive(Debug, Default)]
struct Report(Vec<Broken>);

impl Report {
    fn add(&mut self, code: impl Into<Option<u16>>, what: impl Into<String>) {
        self.0.push(Broken {
            code: code.into(),
            what: what.into(),
        });
    }

    /// `[Version]`: complete, of a class that exists, of a date that exists.
    fn version(&mut self, inf: &Inf) {
        let value = |key| inf.values("Version", key).and_then(<[String]>::first);
        let signature = value("Signature");
        if !signature.is_some_and(|value| value.eq_ignore_ascii_case("$Windows NT$")) {
            self.add(1001, "[Version] has no Signature = \"$Windows NT$\"");
        }
        for key in ["Class", "ClassGuid", "Provider", "CatalogFile", "DriverVer"] {
            if value(key).is_none_or(String::is_empty) {
                self.add(None, format!("[Version] has no {key}"));
            }
        }
        if let (Some(class), Some(guid)) = (value("Class"), value("ClassGuid")) {
            let is = class.eq_ignore_ascii_case(SYSTEM_CLASS.0);
            if is != guid.eq_ignore_ascii_case(SYSTEM_CLASS.1) {
                self.add(1281, format!("class {class} does not go with {guid}"));
            }
        }
        if value("PnpLockDown").is_none_or(|value| value != "1") {
            self.add(1324, "[Version] has no PnpLockDown = 1");
        }
        let stamp = inf.values("Version", "DriverVer").unwrap_or_default();
        if !stamp.is_empty() && !is_stamp(stamp) {
            self.add(
                None,
                format!("DriverVer is no mm/dd/yyyy,w.x.y.z: {}", stamp.join(",")),
            );
        }
    }

    /// The sections that a primitive driver must have, and those it must not.
    fn names(&mut self, inf: &Inf) {
        for section in &inf.sections {
            let name = section.name.to_ascii_lowercase();
            if name.contains("$arch$") {
                self.add(1274, format!("[{}] is not stamped", section.name));
            }
            match name.as_str() {
                "manufacturer" => self.add(None, "[Manufacturer] makes it a device's driver"),
                "defaultinstall" | "defaultuninstall" => {
                    self.add(1421, format!("[{}] names no architecture", section.name));
                }
                _ => {}
            }
            let is_uninstall =
                name.starts_with("defaultuninstall.") && !name.ends_with(".services");
            let is_legacy = section.values("LegacyUninstall");
            if is_uninstall && is_legacy.is_none_or(|values| values != ["1"]) {
                self.add(
                    1422,
                    format!("[{}] lacks LegacyUninstall = 1", section.name),
                );
            }
        }
        let install = "DefaultInstall.NTamd64";
        for (name, code) in [
            (install.to_owned(), Some(1423)),
            (format!("{install}.Services"), None),
        ] {
            if inf.sections(&name).next().is_none() {
                self.add(code, format!("[{name}] is missing"));
            }
        }
    }

    /// Each file that is copied has a source on a disk, and goes to the store.
    fn files(&mut self, inf: &Inf) {
        for folder in inf
            .sections("DestinationDirs")
            .flat_map(|section| &section.lines)
        {
            if folder.values.first().is_none_or(|id| id != STORE) {
                let key = folder.key.as_deref().unwrap_or("a line");
                self.add(
                    1322,
                    format!("{key} of [DestinationDirs] is not {STORE}, the driver store"),
                );
            }
        }
        for list in self.referenced(inf, "DefaultInstall.NTamd64", "CopyFiles", 0) {
            let own = inf.values("DestinationDirs", &list.name);
            if own
                .or_else(|| inf.values("DestinationDirs", "DefaultDestDir"))
                .is_none()
            {
                self.add(1275, format!("{} is not in [DestinationDirs]", list.name));
            }
            for file in list.lines.iter().filter_map(|line| line.values.first()) {
                let disk = inf
                    .values("SourceDisksFiles", file)
                    .and_then(<[String]>::first);
                match disk {
                    None => self.add(1016, format!("{file} is not in [SourceDisksFiles]")),
                    Some(disk) if inf.values("SourceDisksNames", disk).is_none() => {
                        self.add(
                            1273,
                            format!("disk {disk} of {file} is not in [SourceDisksNames]"),
                        );
                    }
                    Some(_) => {}
                }
            }
        }
    }

    /// The service: a kernel driver, started from where its file goes.
    fn services(&mut self, inf: &Inf) {
        let section = "DefaultInstall.NTamd64.Services";
        for service in self.referenced(inf, section, "AddService", 2) {
            for (key, wanted) in [
                ("ServiceType", "1"),
                ("StartType", "3"),
                ("ErrorControl", "1"),
            ] {
                match service.values(key) {
                    None => self.add(1289, format!("[{}] has no {key}", service.name)),
                    Some([value]) if value == wanted => {}
                    Some(values) => {
                        let values = values.join(",");
                        self.add(None, format!("{key} is {values}, not {wanted}"));
                    }
                }
            }
            let Some([binary]) = service.values("ServiceBinary") else {
                self.add(1289, format!("[{}] has no ServiceBinary", service.name));
                continue;
            };
            let file = binary.strip_prefix("%13%\\");
            if file.is_none_or(|file| inf.values("SourceDisksFiles", file).is_none()) {
                self.add(
                    None,
                    format!("{binary} is no file of this package in the store"),
                );
            }
        }
    }

    /// Values are written below `Parameters` of the service's key, and nowhere else.
    fn registry(&mut self, inf: &Inf) {
        for section in inf
            .sections
            .iter()
            .filter(|section| section.values("AddReg").is_some())
        {
            for list in self.referenced(inf, &section.name, "AddReg", 0) {
                for line in &list.lines {
                    let root = line.values.first().map_or("", String::as_str);
                    if !root.eq_ignore_ascii_case("HKR") {
                        self.add(1304, format!("[{}] writes to {root}, not HKR", list.name));
                    }
                    let key = line.values.get(1).map_or("", String::as_str);
                    let top = key.split('\\').next().unwrap_or_default();
                    if !top.eq_ignore_ascii_case("Parameters") {
                        let what = format!("[{}] writes outside of Parameters: {key}", list.name);
                        self.add(1323, what);
                    }
                }
            }
        }
    }

    /// The sections that the `index`th value of `key` names; those that do not
    /// exist are reported.
    fn referenced<'a>(
        &mut self,
        inf: &'a Inf,
        section: &str,
        key: &str,
        index: usize,
    ) -> Vec<&'a Section> {
        let Some(values) = inf.values(section, key) else {
            if inf.sections(section).next().is_some() {
                self.add(1289, format!("[{section}] has no {key}"));
            }
            return Vec::new();
        };
        let Some(name) = values.get(index) else {
            self.add(1005, format!("{key} of [{section}] names no section"));
            return Vec::new();
        };
        let found: Vec<&Section> = inf.sections(name).collect();
        if found.is_empty() {
            self.add(
                None,
                format!("{key} of [{section}] names [{name}], which does not exist"),
            );
        }
        found
    }
}

/// Whether these are a date and a version of four numbers.
fn is_stamp(values: &[String]) -> bool {
    let [date, version] = values else {
        return false;
    };
    let numbers = |text: &str, separator| -> Option<Vec<u16>> {
        text.split(separator)
            .map(|part| part.parse().ok())
            .collect()
    };
    let is_date = numbers(date, '/').is_some_and(|parts| {
        matches!(parts[..], [month, day, year]
            if (1..=12).contains(&month) && (1..=31).contains(&day) && year >= 1980)
    });
    is_date && numbers(version, '.').is_some_and(|parts| parts.len() == 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{date::Date, inf::stamp};

    const INX: &str = include_str!("../../../../inf/ntmem.inx");

    fn stamped() -> String {
        stamp(INX, &Date::from_unix(1_767_225_600), "0.1.0.0")
    }

    fn broken(inf: &str) -> Vec<Broken> {
        check(&Inf::parse(inf).expect("well formed"))
    }

    #[test]
    fn inf_of_ntmem_breaks_no_rule() {
        assert_eq!(broken(&stamped()), []);
    }

    /// What breaks a rule: a text of the INF, what takes its place, the rule's number
    /// and what is said.
    const BREAKING: [(&str, &str, Option<u16>, &str); 23] = [
        (
            "\"$Windows NT$\"",
            "\"$Windows 95$\"",
            Some(1001),
            "Signature",
        ),
        ("CatalogFile = ntmem.cat", "", None, "CatalogFile"),
        ("Provider    = %Provider%", "", None, "Provider"),
        (
            "08002BE10318",
            "08002BE10319",
            Some(1281),
            "does not go with",
        ),
        (
            "PnpLockDown = 1",
            "PnpLockDown = 0",
            Some(1324),
            "PnpLockDown",
        ),
        ("01/01/2026", "13/01/2026", None, "mm/dd/yyyy"),
        ("0.1.0.0", "0.1.0", None, "w.x.y.z"),
        (
            "[Strings]",
            "[Manufacturer]\r\n[Strings]",
            None,
            "Manufacturer",
        ),
        (
            "[Strings]",
            "[DefaultInstall]\r\n[Strings]",
            Some(1421),
            "no architecture",
        ),
        (
            "[Driver.Files]",
            "[$ARCH$]\r\n[Driver.Files]",
            Some(1274),
            "not stamped",
        ),
        (
            "LegacyUninstall = 1",
            "LegacyUninstall = 0",
            Some(1422),
            "LegacyUninstall",
        ),
        (
            "[DefaultInstall.NTamd64.Services]",
            "[Other]",
            None,
            "Services] is missing",
        ),
        (
            "DefaultDestDir = 13",
            "DefaultDestDir = 12",
            Some(1322),
            "driver store",
        ),
        (
            "DefaultDestDir = 13",
            "Others = 13",
            Some(1275),
            "DestinationDirs",
        ),
        ("= Driver.Files", "= Other.Files", None, "does not exist"),
        ("CopyFiles = Driver.Files", "", Some(1289), "CopyFiles"),
        ("1 = %Disk%", "2 = %Disk%", Some(1273), "disk 1"),
        (
            "AddService = ntmem,, Driver.Service",
            "AddService = ntmem",
            Some(1005),
            "no section",
        ),
        (
            "ServiceType   = 1",
            "ServiceType   = 2",
            None,
            "ServiceType is 2",
        ),
        ("StartType     = 3", "", Some(1289), "StartType"),
        ("%13%\\ntmem.sys", "%12%\\ntmem.sys", None, "in the store"),
        (
            "HKR, Parameters, Size",
            "HKLM, Parameters, Size",
            Some(1304),
            "HKLM",
        ),
        (
            "HKR, Parameters, Size",
            "HKR,, Size",
            Some(1323),
            "outside of Parameters",
        ),
    ];

    /// Each rule has a twin of the INF that breaks it, and no other.
    #[test]
    fn rule_broken_is_reported_alone() {
        for (from, to, code, what) in BREAKING {
            let whole = stamped();
            assert!(whole.contains(from), "{from} is not in the INF");
            let found = broken(&whole.replacen(from, to, 1));
            let [only] = found.as_slice() else {
                panic!("{from} -> {to}: {found:?}");
            };
            assert_eq!(only.code, code, "{from} -> {to}: {found:?}");
            assert!(only.what.contains(what), "{from} -> {to}: {found:?}");
        }
    }

    #[test]
    fn inf_without_file_breaks_two_rules() {
        let found = broken(&stamped().replacen("ntmem.sys = 1", "", 1));
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].code, Some(1016));
    }
}
