//! How the parts of a report are written where people and programs read it.
//!
//! What the kernel's world writes in hexadecimal (addresses, statuses, bug check
//! codes) is a string such as `"0x50"` in a self-describing format: readable, and
//! exact in programs whose numbers have 53 bits. Between our own processes the
//! same fields stay plain numbers.

/// Numbers in hexadecimal.
pub mod hex {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// One number on its way.
    pub struct Number(u64);

    impl Serialize for Number {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            if serializer.is_human_readable() {
                serializer.collect_str(&format_args!("{:#x}", self.0))
            } else {
                serializer.serialize_u64(self.0)
            }
        }
    }

    impl<'de> Deserialize<'de> for Number {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            if !deserializer.is_human_readable() {
                return u64::deserialize(deserializer).map(Self);
            }
            let text = String::deserialize(deserializer)?;
            let digits = text
                .strip_prefix("0x")
                .filter(|digits| !digits.starts_with('+'));
            digits
                .and_then(|digits| u64::from_str_radix(digits, 16).ok())
                .map(Self)
                .ok_or_else(|| {
                    D::Error::custom(format_args!("`{text}` is not a number such as 0x50"))
                })
        }
    }

    /// What is made of such numbers.
    pub trait Hex: Sized {
        /// As numbers.
        type Written: Serialize + for<'de> Deserialize<'de>;
        /// To numbers.
        fn written(&self) -> Self::Written;
        /// From numbers; `None` if one is too large.
        fn read(written: Self::Written) -> Option<Self>;
    }

    impl Hex for u64 {
        type Written = Number;
        fn written(&self) -> Number {
            Number(*self)
        }
        fn read(written: Number) -> Option<Self> {
            Some(written.0)
        }
    }

    impl Hex for u32 {
        type Written = Number;
        fn written(&self) -> Number {
            Number((*self).into())
        }
        fn read(written: Number) -> Option<Self> {
            Self::try_from(written.0).ok()
        }
    }

    impl<A: Hex, B: Hex> Hex for (A, B) {
        type Written = (A::Written, B::Written);
        fn written(&self) -> Self::Written {
            (self.0.written(), self.1.written())
        }
        fn read(written: Self::Written) -> Option<Self> {
            Some((A::read(written.0)?, B::read(written.1)?))
        }
    }

    impl Hex for [u64; 4] {
        type Written = [Number; 4];
        fn written(&self) -> Self::Written {
            self.map(Number)
        }
        fn read(written: Self::Written) -> Option<Self> {
            Some(written.map(|number| number.0))
        }
    }

    impl<T: Hex> Hex for Option<T> {
        type Written = Option<T::Written>;
        fn written(&self) -> Self::Written {
            self.as_ref().map(T::written)
        }
        fn read(written: Self::Written) -> Option<Self> {
            match written {
                Some(written) => T::read(written).map(Some),
                None => Some(None),
            }
        }
    }

    /// For `#[serde(with)]`.
    ///
    /// # Errors
    /// The serializer fails.
    pub fn serialize<T: Hex, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        value.written().serialize(serializer)
    }

    /// For `#[serde(with)]`.
    ///
    /// # Errors
    /// The value has another form, or the number is too large.
    pub fn deserialize<'de, T: Hex, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        T::read(T::Written::deserialize(deserializer)?)
            .ok_or_else(|| D::Error::custom("the number is too large"))
    }
}

/// A source file and line, as an object.
pub mod source {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Source<'a> {
        file: Cow<'a, str>,
        line: u32,
    }

    /// For `#[serde(with)]`.
    ///
    /// # Errors
    /// The serializer fails.
    pub fn serialize<S: Serializer>(
        value: &Option<(String, u32)>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let source = value.as_ref().map(|(file, line)| Source {
            file: file.into(),
            line: *line,
        });
        source.serialize(serializer)
    }

    /// For `#[serde(with)]`.
    ///
    /// # Errors
    /// The value has another form, or the number is too large.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<(String, u32)>, D::Error> {
        let source = Option::<Source<'_>>::deserialize(deserializer)?;
        Ok(source.map(|Source { file, line }| (file.into_owned(), line)))
    }
}

#[cfg(test)]
mod tests {
    use crate::report::{BugCheck, Inlined, Location};

    fn stop() -> BugCheck {
        let place = Location {
            return_address: true,
            symbol: Some("Walk".to_owned()),
            source: Some(("walk.c".to_owned(), 12)),
            inlined_into: vec![Inlined {
                symbol: None,
                source: None,
            }],
            ..Location::new("walk.sys", 0x1044)
        };
        BugCheck {
            code: 0x50,
            parameters: [u64::MAX, 1, 0, 0],
            message: "fault".to_owned(),
            location: Some(place.clone()),
            stack: vec![place],
            history: Vec::new(),
        }
    }

    #[test]
    fn json_numbers_are_hexadecimal() {
        let json = serde_json::to_value(stop()).expect("a report is serialised");
        assert_eq!(json["code"], "0x50");
        assert_eq!(json["parameters"][0], "0xffffffffffffffff");
        assert_eq!(json["location"]["source"]["line"], 12);
        assert_eq!(
            json["location"]["inlined_into"][0]["source"],
            serde_json::Value::Null
        );
    }

    #[test]
    fn json_and_postcard_round_trip() {
        let stop = stop();
        let json = serde_json::to_string(&stop).expect("a report is serialised");
        assert_eq!(
            serde_json::from_str::<BugCheck>(&json).expect("it is read again"),
            stop
        );
        let bytes = postcard::to_stdvec(&stop).expect("a report is serialised");
        assert_eq!(
            postcard::from_bytes::<BugCheck>(&bytes).expect("it is read again"),
            stop
        );
    }

    #[test]
    fn json_invalid_number_is_refused() {
        let good = serde_json::to_string(&stop()).expect("a report is serialised");
        for bad in ["50", "0x", "0x+1", "0x100000000", "0xg"] {
            let json = good.replacen("0x50", bad, 1);
            assert!(serde_json::from_str::<BugCheck>(&json).is_err(), "{bad}");
        }
    }
}
