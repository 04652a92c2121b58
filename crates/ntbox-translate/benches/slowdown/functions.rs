//! Functions of kinds that drivers have, in the calling convention of Windows. They
//! work on a buffer and give a number that depends on everything they did.

#![allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "one argument holds for a whole function: its buffer is large enough"
)]

use std::{hint::black_box, ptr};

use crate::requests::request_loop;

/// A benchmark: its name, the function, how to prepare its buffer, its second argument.
pub struct Case {
    pub name: &'static str,
    pub function: extern "win64" fn(*mut u8, u64) -> u64,
    pub prepare: fn(*mut u8),
    pub argument: u64,
}

/// The bytes that a function may use.
pub const BUFFER: usize = 1 << 18;

fn random_bytes(buffer: *mut u8) {
    let mut state = 88_172_645_463_325_252_u64;
    for index in 0..BUFFER / 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // SAFETY: the buffer has BUFFER bytes and is aligned.
        unsafe { buffer.cast::<u64>().add(index).write(state) };
    }
}

fn zeroes(buffer: *mut u8) {
    // SAFETY: the buffer has BUFFER bytes.
    unsafe { buffer.write_bytes(0, BUFFER) };
}

fn text(buffer: *mut u8) {
    const TEXT: &[u8] =
        b"{\"key\": [1, 22.5, -3e7, true, null], 'x': \"a\\nb\" ; foo = bar + 0x1f; /* note */ }\n";
    for index in 0..BUFFER {
        // SAFETY: the buffer has BUFFER bytes.
        unsafe { buffer.add(index).write(TEXT[index % TEXT.len()]) };
    }
}

#[repr(C)]
struct Node {
    next: *mut Node,
    value: u64,
    padding: [u64; 2],
}

const NODES: usize = 2048;

fn linked(buffer: *mut u8) {
    let node = |index: usize| buffer.cast::<Node>().wrapping_add(index * 37 % NODES);
    for index in 0..NODES {
        // SAFETY: all nodes lie in the buffer.
        unsafe {
            node(index).write(Node {
                next: node(index + 1),
                value: index as u64,
                padding: [0; 2],
            })
        };
    }
}

macro_rules! functions {
    ($($(#[$attribute:meta])* fn $name:ident($buffer:ident, $n:ident) $body:block)*) => {
        $($(#[$attribute])* extern "win64" fn $name($buffer: *mut u8, $n: u64) -> u64 {
            // SAFETY: a case gives a buffer of BUFFER bytes, prepared as the function
            // wants it, and a number with which it stays in there.
            #[allow(unused_unsafe, reason = "some call functions that are safe")]
            unsafe { $body }
        })*
    };
}

functions! {
    fn crc(buffer, n) {
        // The table is at the buffer's end.
        let table = buffer.add(BUFFER - 1024).cast::<u32>();
        let mut crc = !0_u32;
        for index in 0..n as usize {
            crc = *table.add(usize::from(crc as u8 ^ *buffer.add(index))) ^ (crc >> 8);
        }
        u64::from(!crc)
    }

    fn fnv(buffer, n) {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for index in 0..n as usize {
            hash = (hash ^ u64::from(*buffer.add(index))).wrapping_mul(0x100_0000_01b3);
        }
        hash
    }

    fn insertion_sort(buffer, n) {
        let items = buffer.cast::<u32>();
        for index in 0..n as usize {
            items.add(index).write((index as u32).wrapping_mul(2_654_435_761) >> 8);
        }
        for index in 1..n as usize {
            let item = *items.add(index);
            let mut at = index;
            while at > 0 && *items.add(at - 1) > item {
                *items.add(at) = *items.add(at - 1);
                at -= 1;
            }
            *items.add(at) = item;
        }
        u64::from(*items.add(n as usize / 2))
    }

    fn byte_copy(buffer, n) {
        let to = buffer.add(BUFFER / 2);
        for index in 0..n as usize {
            to.add(index).write_volatile(buffer.add(index).read_volatile());
        }
        u64::from(*to)
    }

    fn vector_sum(buffer, n) {
        let items = std::slice::from_raw_parts(buffer.cast::<u32>(), n as usize);
        u64::from(items.iter().fold(0_u32, |sum, item| sum.wrapping_add(*item)))
    }

    fn vector_scale(buffer, n) {
        let from = buffer.cast::<f32>();
        let to = buffer.add(BUFFER / 2).cast::<f32>();
        for index in 0..n as usize & !3 {
            *to.add(index) = *from.add(index) * 1.5 + *to.add(index);
        }
        u64::from((*to).to_bits())
    }

    fn list(buffer, n) {
        let mut node = buffer.cast::<Node>();
        let mut sum = 0_u64;
        for _ in 0..n {
            sum = sum.wrapping_add((*node).value);
            (*node).value ^= sum;
            node = (*node).next;
        }
        sum
    }

    fn parse(buffer, n) {
        let (mut numbers, mut words, mut marks, mut depth, mut deepest, mut spaces, mut at) = (0_u64, 0_u64, 0_u64, 0_u64, 0_u64, 0_u64, 0);
        let n = n as usize;
        while at < n {
            let c = *buffer.add(at);
            at += 1;
            match c {
                b' ' | b'\t' | b'\n' => spaces += 1,
                b'"' | b'\'' => {
                    while at < n && *buffer.add(at) != c {
                        at += if *buffer.add(at) == b'\\' { 2 } else { 1 };
                    }
                    at += 1;
                    words += 3;
                }
                b'{' | b'[' => {
                    depth += 1;
                    deepest = deepest.max(depth);
                }
                b'}' | b']' => depth = depth.wrapping_sub(1),
                b'0'..=b'9' => {
                    numbers += 1;
                    while at < n && matches!(*buffer.add(at), b'0'..=b'9' | b'.' | b'x' | b'e' | b'f') {
                        at += 1;
                    }
                }
                b',' | b':' | b';' => marks += 1,
                b'=' => marks += 2,
                b'+' => marks += 3,
                b'-' => marks += 5,
                b'*' => marks += 7,
                b'/' => marks += 11,
                _ => {
                    words += 1;
                    while at < n && (*buffer.add(at) | 32).wrapping_sub(b'a') < 26 {
                        at += 1;
                    }
                }
            }
        }
        numbers + 3 * words + 7 * marks + 11 * deepest + 13 * spaces
    }

    fn recursion(_buffer, n) {
        fibonacci(n)
    }

    fn requests(buffer, n) {
        request_loop(buffer, n, false)
    }

    fn requests_with_import(buffer, n) {
        request_loop(buffer, n, true)
    }

    fn matrix(buffer, n) {
        let n = n as usize;
        let a = buffer.cast::<f64>();
        let (b, c) = (a.add(n * n), a.add(2 * n * n));
        for index in 0..n * n {
            *a.add(index) = (index % 7) as f64;
            *b.add(index) = (index % 5) as f64;
        }
        for row in 0..n {
            for column in 0..n {
                let mut sum = 0.0;
                for k in 0..n {
                    sum += *a.add(row * n + k) * *b.add(k * n + column);
                }
                *c.add(row * n + column) = sum;
            }
        }
        (*c.add(n * n - 1)) as u64
    }

    fn tree(buffer, n) {
        let nodes = buffer.cast::<Leaf>();
        let (mut root, mut used, mut state) = (ptr::null_mut::<Leaf>(), 0, 99_u64);
        for _ in 0..n {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = state >> 40;
            let mut place = &raw mut root;
            while !(*place).is_null() && (**place).key != key {
                place = if key < (**place).key { &raw mut (**place).left } else { &raw mut (**place).right };
            }
            if (*place).is_null() {
                let leaf = nodes.add(used);
                used += 1;
                leaf.write(Leaf { left: ptr::null_mut(), right: ptr::null_mut(), key, count: 0 });
                *place = leaf;
            }
            (**place).count += 1;
        }
        used as u64
    }

    fn indirect_calls(buffer, n) {
        let operations = black_box(&OPERATIONS);
        let mut value = 1_u64;
        for index in 0..n {
            value = operations.as_ptr().add(usize::from(*buffer.add(index as usize & 1023) & 7)).read()(value, index);
        }
        value
    }

    fn decimal(buffer, n) {
        let mut total = 0_u64;
        for index in 0..n {
            let mut value = index.wrapping_mul(2_654_435_761) & 0xffff_ffff;
            let end = buffer.add(32);
            let mut at = end;
            loop {
                at = at.sub(1);
                at.write_volatile(b'0' + (value % 10) as u8);
                value /= 10;
                if value == 0 {
                    break;
                }
            }
            while at < end {
                total = total.wrapping_mul(7).wrapping_add(u64::from(at.read_volatile()));
                at = at.add(1);
            }
        }
        total
    }

    fn string_instructions(buffer, n) {
        for index in 0..n {
            fill(buffer.add(64), index as u8, 64);
            copy(buffer.add(256), buffer.add(64), 64);
        }
        u64::from(*buffer.add(256))
    }

    fn siphash(buffer, n) {
        let mut v = [0x736f_6d65_7073_6575_u64, 0x646f_7261_6e64_6f6d, 0x6c79_6765_6e65_7261, 0x7465_6462_7974_6573];
        for index in 0..n as usize / 8 {
            let word = *buffer.cast::<u64>().add(index);
            v[3] ^= word;
            sip_round(&mut v);
            sip_round(&mut v);
            v[0] ^= word;
        }
        v[0] ^ v[1] ^ v[2] ^ v[3]
    }
}

#[repr(C)]
struct Leaf {
    left: *mut Leaf,
    right: *mut Leaf,
    key: u64,
    count: u64,
}

#[inline(never)]
extern "win64" fn fibonacci(n: u64) -> u64 {
    if n < 2 {
        n
    } else {
        fibonacci(n - 1) + fibonacci(n - 2)
    }
}

#[inline(always)]
fn sip_round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

#[inline(always)]
unsafe fn fill(to: *mut u8, value: u8, count: usize) {
    // SAFETY: the caller's buffer has `count` bytes there.
    unsafe {
        std::arch::asm!("rep stosb", inout("rdi") to => _, inout("rcx") count => _, in("al") value, options(nostack, preserves_flags))
    }
}

#[inline(always)]
unsafe fn copy(to: *mut u8, from: *const u8, count: usize) {
    // SAFETY: the caller's buffer has `count` bytes at both places.
    unsafe {
        std::arch::asm!("rep movsb", inout("rdi") to => _, inout("rsi") from => _, inout("rcx") count => _, options(nostack, preserves_flags))
    }
}

type Operation = extern "win64" fn(u64, u64) -> u64;

macro_rules! operations {
    ($($name:ident: $body:expr;)*) => {
        $(#[inline(never)] extern "win64" fn $name(a: u64, b: u64) -> u64 { let body: fn(u64, u64) -> u64 = $body; body(a, b) })*
        static OPERATIONS: [Operation; 8] = [$($name),*];
    };
}

operations! {
    add: |a, b| a.wrapping_add(b);
    subtract: |a, b| a.wrapping_sub(b);
    exclusive_or: |a, b| a ^ b;
    multiply: |a, b| a.wrapping_mul(b | 1);
    or: |a, b| a | b;
    shift_left: |a, b| (a << 3).wrapping_add(b);
    shift_right: |a, b| (a >> 1) ^ b;
    twice: |a, b| a.wrapping_add(2 * b);
}

/// All of them.
pub const CASES: [Case; 18] = [
    Case {
        name: "crc",
        function: crc,
        prepare: random_bytes,
        argument: 16384,
    },
    Case {
        name: "fnv",
        function: fnv,
        prepare: random_bytes,
        argument: 16384,
    },
    Case {
        name: "insertion sort",
        function: insertion_sort,
        prepare: zeroes,
        argument: 256,
    },
    Case {
        name: "byte copy",
        function: byte_copy,
        prepare: random_bytes,
        argument: 32768,
    },
    Case {
        name: "vector sum",
        function: vector_sum,
        prepare: random_bytes,
        argument: 16384,
    },
    Case {
        name: "vector scale",
        function: vector_scale,
        prepare: zeroes,
        argument: 16384,
    },
    Case {
        name: "list",
        function: list,
        prepare: linked,
        argument: 16384,
    },
    Case {
        name: "parse",
        function: parse,
        prepare: text,
        argument: 16384,
    },
    Case {
        name: "recursion",
        function: recursion,
        prepare: zeroes,
        argument: 18,
    },
    Case {
        name: "requests",
        function: requests,
        prepare: zeroes,
        argument: 2000,
    },
    Case {
        name: "requests with import",
        function: requests_with_import,
        prepare: zeroes,
        argument: 1000,
    },
    Case {
        name: "matrix",
        function: matrix,
        prepare: zeroes,
        argument: 24,
    },
    Case {
        name: "tree",
        function: tree,
        prepare: zeroes,
        argument: 1000,
    },
    Case {
        name: "indirect calls",
        function: indirect_calls,
        prepare: random_bytes,
        argument: 8000,
    },
    Case {
        name: "decimal",
        function: decimal,
        prepare: zeroes,
        argument: 500,
    },
    Case {
        name: "rep movs, stos of 64",
        function: string_instructions,
        prepare: zeroes,
        argument: 500,
    },
    Case {
        name: "siphash",
        function: siphash,
        prepare: random_bytes,
        argument: 65536,
    },
    Case {
        name: "one request",
        function: requests,
        prepare: zeroes,
        argument: 1,
    },
];
