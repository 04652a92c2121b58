//! What the macros of `wdm` do not let a driver write: they hold `unsafe`, so what
//! they are given must mean there what it means where it was written.

use super::{ENTRY, compile, refused};

#[test]
fn linked_with_wrong_field_type_does_not_compile() {
    refused(
        "struct Entry { number: u32, links: DoubleLinks }
         wdm::linked!(Entry, number: DoubleLinks);",
        &["E0308", "expected `*const DoubleLinks`, found `*const u32`"],
        ENTRY,
    );
}

/// A type that says one thing where a constant has a name and another where something
/// else has it: what [`wdm::linked!`] declares must not have a name there.
#[test]
fn linked_with_ambiguous_links_type_does_not_compile() {
    let program = |field: &str| {
        format!(
            "const field: usize = 5;
             struct Pick<const N: usize>;
             trait Choose {{ type Links; }}
             impl Choose for Pick<8> {{ type Links = DoubleLinks; }}
             impl Choose for Pick<0> {{ type Links = u64; }}
             struct Entry {{ links: {field} }}
             wdm::linked!(
                 Entry,
                 links: <Pick<{{ match 1 {{ field => 0, _ => 8 }} }}> as Choose>::Links
             );"
        )
    };
    refused(
        &program("u64"),
        &["E0308", "expected `*const DoubleLinks`, found `*const u64`"],
        &program("DoubleLinks"),
    );
}

/// The same for the entry, whose offset would be that of another type.
#[test]
fn linked_with_ambiguous_entry_type_uses_one_offset() {
    const RIGHT: &str = "const field: usize = 5;
         struct Entry<const N: usize> { before: [u64; N], links: DoubleLinks }
         wdm::linked!(Entry<{ match 1 { field => 0, _ => 8 } }>, links: DoubleLinks);
         const OFFSET: usize = <Entry<8> as wdm::list::Linked<DoubleLinks>>::OFFSET;
         const _: () = assert!(OFFSET == core::mem::offset_of!(Entry<8>, links));";
    if let Err(message) = compile(RIGHT) {
        panic!("the offset is another type's:\n{message}");
    }
}

#[test]
fn linked_with_packed_entry_does_not_compile() {
    for packed in ["packed", "C, packed", "C, packed(4)"] {
        refused(
            &format!(
                "#[repr({packed})] struct Entry {{ number: u8, links: DoubleLinks }}
                 wdm::linked!(Entry, links: DoubleLinks);"
            ),
            &["E0080", "links are aligned in their entry"],
            "#[repr(C)] struct Entry { number: u8, links: DoubleLinks }
             wdm::linked!(Entry, links: DoubleLinks);",
        );
    }
}

#[test]
fn pageable_function_at_dispatch_level_does_not_compile() {
    refused(
        "wdm::pageable! { dispatch: fn f(dispatch: &Dispatch) {} }",
        &["E0277", "`Dispatch` is no token for `<= APC_LEVEL`"],
        "wdm::pageable! { apc: fn f(apc: &Apc) {} }",
    );
}

#[test]
fn init_function_without_context_does_not_compile() {
    refused(
        "wdm::init! { passive: fn f(passive: &Passive) {} }",
        &["E0277", "`Passive` does not say that the driver starts"],
        "wdm::init! { context: fn f(context: &Context<'_>) {} }",
    );
}

/// What dereferences to a token is a type of the driver's, whose `deref` need not
/// return; and by then the function's first page has been fetched, or is gone.
#[test]
fn token_behind_deref_does_not_compile() {
    let fake = |target: &str| {
        format!(
            "struct Fake;
             impl core::ops::Deref for Fake {{
                 type Target = {target};
                 fn deref(&self) -> &{target} {{ loop {{}} }}
             }}"
        )
    };
    refused(
        &format!(
            "{} wdm::pageable! {{ apc: fn f(apc: &Fake) {{}} }}
             fn g(passive: &mut Passive) {{ passive.raise_to_dispatch(|_| f(&Fake)) }}",
            fake("Apc")
        ),
        &["E0277", "`Fake` is no token for `<= APC_LEVEL`"],
        "wdm::pageable! { passive: fn f(passive: &mut Passive) {} }
         fn g(passive: &mut Passive) { f(passive) }",
    );
    refused(
        &format!(
            "{} wdm::init! {{ context: fn f(context: &Fake) {{}} }} fn g() {{ f(&Fake) }}",
            fake("Context<'static>")
        ),
        &["E0277", "`Fake` does not say that the driver starts"],
        "wdm::init! { context: fn f(context: &Context<'_>) {} }
         fn g(context: &Context<'_>) { f(context) }",
    );
}
