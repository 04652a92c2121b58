//! Types as the x64 calling convention sees them.
//!
//! Two declarations agree when a call through one hands over what the other
//! expects: the same number of values, each of the same size and kind. Signs and
//! what pointers point to make no difference to that.

use std::fmt;

use syn::{FnArg, GenericArgument, PathArguments, ReturnType, Type};

/// A value as it is passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// Nothing, or never returning.
    Nothing,
    /// An address.
    Pointer,
    /// An integer, or a structure that is passed as one, of so many bytes.
    Integer(usize),
    /// A floating-point number of so many bytes.
    Float(usize),
    /// A larger structure, passed by its address.
    Aggregate(usize),
}

/// A function as its callers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub parameters: Vec<Value>,
    pub variadic: bool,
    pub result: Value,
}

/// Knows types by their names.
pub trait Names {
    /// What the alias `name` stands for.
    fn alias(&self, name: &str) -> Option<Type>;
    /// The size of the structure or union `name`.
    fn size(&self, name: &str) -> Option<usize>;
}

impl Signature {
    /// Reads a declaration. Panics on what cannot be understood: a test that
    /// guesses is worth nothing.
    pub fn new(declaration: &syn::Signature, names: &impl Names) -> Self {
        let parameters = declaration
            .inputs
            .iter()
            .map(|input| match input {
                FnArg::Typed(typed) => Value::new(&typed.ty, names),
                FnArg::Receiver(_) => panic!("{} has a receiver", declaration.ident),
            })
            .collect();
        let result = match &declaration.output {
            ReturnType::Default => Value::Nothing,
            ReturnType::Type(_, ty) => Value::new(ty, names),
        };
        Self {
            parameters,
            variadic: declaration.variadic.is_some(),
            result,
        }
    }
}

impl Value {
    /// How a value of type `ty` is passed.
    fn new(ty: &Type, names: &impl Names) -> Self {
        match ty {
            Type::Ptr(_) | Type::BareFn(_) | Type::Reference(_) => Self::Pointer,
            Type::Never(_) => Self::Nothing,
            Type::Tuple(tuple) if tuple.elems.is_empty() => Self::Nothing,
            Type::Paren(inner) => Self::new(&inner.elem, names),
            Type::Group(inner) => Self::new(&inner.elem, names),
            Type::Path(path) => {
                let segments: Vec<_> = path.path.segments.iter().collect();
                let last = segments.last().expect("a path has segments");
                if last.ident == "Option" {
                    return Self::new(optional(&last.arguments), names);
                }
                // Enumerations: `module::Type`, an alias inside the module.
                let name = match segments.as_slice() {
                    [.., module, last] if last.ident == "Type" => format!("{}::Type", module.ident),
                    _ => last.ident.to_string(),
                };
                Self::named(&name, names)
            }
            _ => panic!("a type that is not provided for: {ty:?}"),
        }
    }

    /// How a value of the type called `name` is passed.
    fn named(name: &str, names: &impl Names) -> Self {
        if let Some(value) = Self::primitive(name) {
            return value;
        }
        if let Some(alias) = names.alias(name) {
            return Self::new(&alias, names);
        }
        match names.size(name) {
            Some(size @ (1 | 2 | 4 | 8)) => Self::Integer(size),
            Some(size) => Self::Aggregate(size),
            None => panic!("the type {name} is not known"),
        }
    }

    /// Rust's own types and C's, as they are on x64 Windows.
    fn primitive(name: &str) -> Option<Self> {
        Some(match name {
            "u8" | "i8" | "bool" | "c_char" | "c_schar" | "c_uchar" => Self::Integer(1),
            "u16" | "i16" | "c_short" | "c_ushort" => Self::Integer(2),
            "u32" | "i32" | "c_int" | "c_uint" | "c_long" | "c_ulong" => Self::Integer(4),
            "u64" | "i64" | "usize" | "isize" | "c_longlong" | "c_ulonglong" => Self::Integer(8),
            "f32" | "c_float" => Self::Float(4),
            "f64" | "c_double" => Self::Float(8),
            _ => return None,
        })
    }
}

/// What is in an `Option`: only functions are put there.
fn optional(arguments: &PathArguments) -> &Type {
    let PathArguments::AngleBracketed(arguments) = arguments else {
        panic!("an Option of nothing");
    };
    match arguments.args.first() {
        Some(GenericArgument::Type(ty)) => ty,
        other => panic!("an Option of {other:?}"),
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => write!(f, "nothing"),
            Self::Pointer => write!(f, "pointer"),
            Self::Integer(size) => write!(f, "integer({size})"),
            Self::Float(size) => write!(f, "float({size})"),
            Self::Aggregate(size) => write!(f, "structure({size})"),
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parameters: Vec<String> = self.parameters.iter().map(Value::to_string).collect();
        if self.variadic {
            parameters.push("...".to_owned());
        }
        write!(f, "({}) -> {}", parameters.join(", "), self.result)
    }
}
