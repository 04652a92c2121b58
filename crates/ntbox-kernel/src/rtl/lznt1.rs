//! LZNT1, the compression of NTFS: chunks of 4096 bytes, each behind a header and
//! compressed by itself. In a chunk, a byte of flags goes before eight items; an
//! item is a byte as it is, or two bytes that say how far back a copy begins and
//! how long it is. The further into the chunk, the more bits the distance has.

/// Bytes of a chunk before compression.
const CHUNK: usize = 0x1000;
/// Set in the header of a chunk that is compressed.
const COMPRESSED: u16 = 0x8000;
/// The signature in every header.
const SIGNATURE: u16 = 0x3000;
/// Shortest copy.
const SHORTEST: usize = 3;

/// Bits of the length in an item, at a place in the chunk.
fn length_bits(at: usize) -> u32 {
    let mut bits = 12;
    while bits > 4 && at > 1 << (16 - bits) {
        bits -= 1;
    }
    bits
}

/// Appends a decompressed chunk. `None` if it is damaged.
fn expand_chunk(mut from: &[u8], to: &mut Vec<u8>) -> Option<()> {
    let begin = to.len();
    while let Some((flags, rest)) = from.split_first() {
        from = rest;
        for bit in 0..8 {
            if from.is_empty() {
                break;
            }
            if flags & 1 << bit == 0 {
                to.push(from[0]);
                from = &from[1..];
            } else {
                let (item, rest) = from.split_first_chunk::<2>()?;
                from = rest;
                let item = u16::from_le_bytes(*item);
                let bits = length_bits(to.len() - begin);
                let length = usize::from(item & ((1 << bits) - 1)) + SHORTEST;
                let distance = usize::from(item >> bits) + 1;
                let source = to
                    .len()
                    .checked_sub(distance)
                    .filter(|source| *source >= begin)?;
                for n in 0..length {
                    to.push(to[source + n]);
                }
            }
            if to.len() - begin > CHUNK {
                return None;
            }
        }
    }
    Some(())
}

/// Decompresses as much as `room` bytes, from `offset` on. `None` if the data is
/// damaged before that.
pub fn decompress(mut from: &[u8], offset: usize, room: usize) -> Option<Vec<u8>> {
    let mut all: Vec<u8> = Vec::new();
    let end = offset.checked_add(room)?;
    from.first_chunk::<2>()?;
    while let Some((header, rest)) = from.split_first_chunk::<2>() {
        let header = u16::from_le_bytes(*header);
        if header == 0 || all.len() >= end {
            break;
        }
        let size = usize::from(header & 0xfff) + 1;
        let (chunk, rest) = rest.split_at_checked(size)?;
        from = rest;
        // A chunk that is followed by another one fills its 4096 bytes.
        all.resize(all.len().next_multiple_of(CHUNK), 0);
        if header & COMPRESSED != 0 {
            expand_chunk(chunk, &mut all)?;
        } else {
            all.extend(chunk);
        }
    }
    all.truncate(end);
    Some(all.split_off(offset.min(all.len())))
}

/// The longest copy for what comes at a place in the chunk: distance and length.
fn longest(chunk: &[u8], at: usize) -> Option<(usize, usize)> {
    let most = (1 << length_bits(at)) - 1 + SHORTEST;
    let limit = most.min(chunk.len() - at);
    let mut best = None;
    let mut length = SHORTEST - 1;
    for source in (0..at).rev() {
        let same = chunk[source..].iter().zip(&chunk[at..at + limit]);
        let same = same.take_while(|(one, two)| one == two).count();
        if same > length {
            length = same;
            best = Some((at - source, same));
            if same == limit {
                break;
            }
        }
    }
    best
}

/// A chunk as items. `None` if that is not shorter.
fn shrink_chunk(chunk: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(CHUNK);
    let (mut at, mut flags_at, mut bit) = (0, 0, 8);
    while at < chunk.len() {
        if bit == 8 {
            (flags_at, bit) = (out.len(), 0);
            out.push(0);
        }
        if let Some((distance, length)) = longest(chunk, at) {
            let item = (distance - 1) << length_bits(at) | (length - SHORTEST);
            out.extend(u16::try_from(item).ok()?.to_le_bytes());
            out[flags_at] |= 1 << bit;
            at += length;
        } else {
            out.push(chunk[at]);
            at += 1;
        }
        bit += 1;
        if out.len() >= chunk.len() {
            return None;
        }
    }
    Some(out)
}

/// Compresses.
pub fn compress(from: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for chunk in from.chunks(CHUNK) {
        let shrunk = shrink_chunk(chunk);
        let flag = if shrunk.is_some() { COMPRESSED } else { 0 };
        let data = shrunk.as_deref().unwrap_or(chunk);
        let size = u16::try_from(data.len() - 1).unwrap_or(0xfff);
        all.extend((flag | SIGNATURE | size).to_le_bytes());
        all.extend(data);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decompress_reads_ms_xca_example() {
        // From the protocol documentation of the format: [MS-XCA], 3.3.
        let text = b"F# F# G A A G F# E D D E F# F# E E F# F# G A A G F# E D D E F# E D D E E F# D E F# G F# D E F# G F# E D E A F# F# G A A G F# E D D E F# E D D\0";
        let compressed = compress(text);
        assert!(compressed.len() < text.len() / 2 + 10);
        assert_eq!(decompress(&compressed, 0, 4096).as_deref(), Some(&text[..]));
    }

    #[test]
    fn compress_produces_known_bytes() {
        // One literal and a copy of it: distance 1, length 5.
        let compressed = [0x03, 0xb0, 0x02, b'a', 0x02, 0x00];
        assert_eq!(
            decompress(&compressed, 0, 100).as_deref(),
            Some(&b"aaaaaa"[..])
        );
        assert_eq!(compress(b"aaaaaa"), compressed);
        // A chunk that is not compressed, and the end.
        let plain = [0x02, 0x30, b'x', b'y', b'z', 0, 0, 1];
        assert_eq!(decompress(&plain, 0, 100).as_deref(), Some(&b"xyz"[..]));
        assert_eq!(decompress(&plain, 1, 1).as_deref(), Some(&b"y"[..]));
        assert_eq!(compress(b"xyz"), plain[..5]);
    }

    #[test]
    fn decompress_of_damaged_input_fails() {
        for damaged in [
            &[0x03_u8][..],
            &[0x05, 0xb0, 0x00],
            &[0x03, 0xb0, 0x02, b'a', 0x02, 0x10],
            &[0x02, 0xb0, 0x01, 0, 0],
        ] {
            assert_eq!(decompress(damaged, 0, 100), None, "{damaged:x?}");
        }
    }

    #[test]
    fn compress_and_decompress_random_data_round_trip() {
        let mut seed = 7_u32;
        let mut random = move || {
            seed = seed.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            seed.to_le_bytes()[2]
        };
        for length in [0, 1, 3, 100, 4095, 4096, 4097, 10_000] {
            for spread in [1, 3, 255] {
                let data: Vec<u8> = (0..length).map(|_| random() % spread).collect();
                let compressed = compress(&data);
                if data.is_empty() {
                    assert!(compressed.is_empty());
                    continue;
                }
                assert_eq!(
                    decompress(&compressed, 0, length).as_deref(),
                    Some(&data[..])
                );
                let middle = length / 2;
                assert_eq!(
                    decompress(&compressed, middle, length).as_deref(),
                    Some(&data[middle..])
                );
            }
        }
    }
}
