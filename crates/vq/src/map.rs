//! The address space as a picture: a band of blocks, from the lowest address to the
//! highest, that goes on from row to row.
//!
//! A process uses a millionth of its addresses. So widths are logarithms: each
//! doubling of a block makes it longer by the same step, for gaps as for memory,
//! and both a page and a gap of terabytes can be seen.

use std::fmt::Write as _;

use crate::{Block, Kind, State, listing};

/// Width of the picture, in its own units; a browser shows one as a pixel.
const WIDTH: u32 = 1200;
const LEFT: u32 = 150;
const RIGHT: u32 = 20;
const TOP: u32 = 96;
const ROW: u32 = 46;
const BAR: u32 = 28;
/// Narrowest block, and how much wider each doubling makes it.
const NARROW: u32 = 4;
const STEP: u32 = 4;
/// More blocks than this are drawn as whole allocations: nobody could tell them
/// apart.
const MOST: usize = 6000;

/// What a colour stands for.
struct Colour {
    name: &'static str,
    fill: &'static str,
}

const IMAGE: Colour = Colour {
    name: "image",
    fill: "#7e57c2",
};
const MAPPED: Colour = Colour {
    name: "mapped",
    fill: "#2a9d8f",
};
const PRIVATE: Colour = Colour {
    name: "private",
    fill: "#f4a261",
};
const FREE: Colour = Colour {
    name: "free",
    fill: "#f3f3f3",
};
const EXECUTE: Colour = Colour {
    name: "executable (bar below)",
    fill: "#1d3557",
};
const GUARD: Colour = Colour {
    name: "guard (bar above)",
    fill: "#d62828",
};

/// The colour of a block by its type.
const fn colour(block: &Block) -> &'static Colour {
    match block.kind {
        None => &FREE,
        Some(Kind::Image) => &IMAGE,
        Some(Kind::Mapped) => &MAPPED,
        Some(Kind::Private) => &PRIVATE,
    }
}

/// The width of so many bytes.
#[must_use]
pub const fn width(bytes: u64) -> u32 {
    let pages = bytes.div_ceil(0x1000);
    NARROW + STEP * if pages == 0 { 0 } else { pages.ilog2() }
}

/// The picture, as SVG.
#[must_use]
pub fn svg(title: &str, blocks: &[Block]) -> String {
    let whole;
    let (blocks, note) = if blocks.len() > MOST {
        whole = allocations(blocks);
        (whole.as_slice(), ", one for each allocation")
    } else {
        (blocks, "")
    };
    let mut picture = Picture::default();
    for block in blocks {
        picture.add(block);
    }
    picture.finish(title, &format!("{} blocks{note}", blocks.len()))
}

/// The blocks of an allocation taken for one.
fn allocations(blocks: &[Block]) -> Vec<Block> {
    let mut whole: Vec<Block> = Vec::new();
    for block in blocks {
        match whole.last_mut() {
            Some(last)
                if block.state != State::Free
                    && last.state != State::Free
                    && last.allocation_base == block.allocation_base
                    && last.end() == block.base =>
            {
                last.size += block.size;
                last.state = last.state.max(block.state);
            }
            _ => whole.push(*block),
        }
    }
    whole
}

/// The rows so far.
#[derive(Default)]
struct Picture {
    shapes: String,
    rows: u32,
    /// Where the next block begins; 0 before the first.
    x: u32,
}

impl Picture {
    fn add(&mut self, block: &Block) {
        let width = width(block.size);
        if self.x == 0 || self.x + width > WIDTH - RIGHT {
            self.x = LEFT;
            self.rows += 1;
            let y = self.y() + BAR / 2 + 4;
            self.write(format_args!(
                "<text x=\"{}\" y=\"{y}\" text-anchor=\"end\" class=\"address\">{:012X}</text>\n",
                LEFT - 8,
                block.base
            ));
        }
        self.bar(block, width);
        self.x += width;
    }

    /// The top of the present row.
    const fn y(&self) -> u32 {
        TOP + (self.rows - 1) * ROW
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.shapes.write_fmt(text);
    }

    fn bar(&mut self, block: &Block, width: u32) {
        let (x, y) = (self.x, self.y());
        let opacity = match block.state {
            State::Reserved => "0.35",
            State::Free | State::Committed => "1",
        };
        self.write(format_args!(
            "<g><title>{}</title><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{BAR}\" \
             fill=\"{}\" fill-opacity=\"{opacity}\"/>",
            listing::line(block),
            colour(block).fill
        ));
        if block.protection.is_executable() {
            self.stripe(&EXECUTE, y + BAR - 6, width);
        }
        if block.protection.is_guard() {
            self.stripe(&GUARD, y, width);
        }
        if block.state != State::Free && block.base == block.allocation_base {
            self.write(format_args!(
                "<path d=\"M{x}.5 {}v{}\" class=\"start\"/>",
                y - 4,
                BAR + 4
            ));
        }
        let label = size_text(block.size);
        // About six units a letter.
        if u64::from(width) > 6 * label.len() as u64 + 6 {
            self.write(format_args!(
                "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
                x + width / 2,
                y + BAR / 2 + 4
            ));
        }
        self.write(format_args!("</g>\n"));
    }

    fn stripe(&mut self, colour: &Colour, y: u32, width: u32) {
        let x = self.x;
        self.write(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"6\" fill=\"{}\"/>",
            colour.fill
        ));
    }

    fn finish(self, title: &str, subtitle: &str) -> String {
        let height = TOP + self.rows * ROW + 16;
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
             viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
             <style>.address{{font-family:monospace;font-size:12px}}.start{{stroke:#000}}\
             .title{{font-size:18px;font-weight:bold}}</style>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
             <text x=\"20\" y=\"30\" class=\"title\">{}</text>\n\
             <text x=\"20\" y=\"48\">{}; a block is {STEP} units longer for each doubling of its \
             size, a black line begins an allocation</text>\n",
            escaped(title),
            escaped(subtitle)
        );
        legend(&mut text);
        text.push_str(&self.shapes);
        text.push_str("</svg>\n");
        text
    }
}

fn legend(text: &mut String) {
    let solid = [&IMAGE, &MAPPED, &PRIVATE, &FREE];
    let entries = solid.map(|colour| (colour.name, colour.fill, "1", 14_u32, 0_u32));
    let rest = [
        ("reserved (pale)", PRIVATE.fill, "0.35", 14, 0),
        (EXECUTE.name, EXECUTE.fill, "1", 6, 8),
        (GUARD.name, GUARD.fill, "1", 6, 0),
    ];
    let mut x = 20;
    for (name, fill, opacity, height, down) in entries.into_iter().chain(rest) {
        let y = 60 + down;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "<rect x=\"{x}\" y=\"{y}\" width=\"20\" height=\"{height}\" fill=\"{fill}\" \
             fill-opacity=\"{opacity}\"/><rect x=\"{x}.5\" y=\"60.5\" width=\"20\" height=\"14\" \
             fill=\"none\" stroke=\"#999\"/><text x=\"{}\" y=\"72\">{name}</text>",
            x + 26
        );
        x += 44 + 7 * u32::try_from(name.len()).unwrap_or(0);
    }
}

/// A size in the largest unit that it fills.
#[must_use]
pub fn size_text(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "K", "M", "G", "T", "P"];
    let unit = if bytes == 0 { 0 } else { bytes.ilog2() / 10 };
    let unit = (unit as usize).min(UNITS.len() - 1);
    let divisor = 1_u64 << (10 * unit);
    let tenths = bytes % divisor * 10 / divisor;
    let whole = bytes / divisor;
    let name = UNITS[unit];
    if tenths == 0 {
        format!("{whole}{name}")
    } else {
        format!("{whole}.{tenths}{name}")
    }
}

/// Text for XML.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            letter if letter.is_control() => safe.push('?'),
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    const TEXT: &str = "\
0000000000000000 0000000000000000 393216  Free
0000000000060000 0000000000060000 1028096 Reserved    Private
0000000000060000 000000000015B000 8192    Committed   Private --GRW-- ---RW--
0000000000060000 000000000015D000 12288   Committed   Private ---RW-- ---RW--
0000000000000000 0000000000160000 8791761354752 Free
000007FEFDF90000 000007FEFDF90000 4096    Committed   Image   ---R--- ---RWEC
000007FEFDF90000 000007FEFDF91000 303104  Committed   Image   ---R-E- ---RWEC
";

    fn blocks() -> Vec<Block> {
        parse::read(TEXT.as_bytes(), "text").expect("a listing")
    }

    #[test]
    fn svg_has_each_block_once_with_title() {
        let picture = svg("a <b> & c", &blocks());
        for line in TEXT.lines() {
            assert_eq!(
                picture.matches(&format!("<title>{line}</title>")).count(),
                1
            );
        }
        assert!(picture.contains("a &lt;b&gt; &amp; c"));
        for colour in [&IMAGE, &MAPPED, &PRIVATE, &FREE, &EXECUTE, &GUARD] {
            assert!(picture.contains(&format!(">{}</text>", colour.name)));
        }
        assert_eq!(
            picture.matches("<g>").count(),
            picture.matches("</g>").count()
        );
        assert_eq!(picture.matches("class=\"start\"/>").count(), 2);
    }

    #[test]
    fn svg_rows_stay_within_bounds() {
        let many: Vec<Block> = (0..500)
            .map(|n| Block::free(n * 0x1000, 0x1000 << (n % 40)))
            .collect();
        let picture = svg("many", &many);
        let number = |text: &str, name: &str| -> Option<u32> {
            let (_, rest) = text.split_once(name)?;
            rest.split('"').next()?.parse().ok()
        };
        let bars = picture.lines().filter(|line| line.starts_with("<g>"));
        let mut drawn = 0;
        for bar in bars {
            let x = number(bar, "rect x=\"").expect("a place");
            let width = number(bar, "width=\"").expect("a width");
            assert!(x >= LEFT && x + width <= WIDTH - RIGHT, "{bar}");
            drawn += 1;
        }
        assert_eq!(drawn, 500);
        let height = number(&picture, "height=\"").expect("a height");
        let lowest = picture
            .lines()
            .filter_map(|line| number(line, "\" y=\""))
            .max();
        assert!(lowest.is_some_and(|y| y + BAR <= height));
    }

    #[test]
    fn svg_of_many_blocks_groups_by_allocation() {
        let block = |n: u64| Block {
            allocation_base: n / 2 * 0x2000,
            size: 0x1000,
            state: if n.is_multiple_of(2) {
                State::Reserved
            } else {
                State::Committed
            },
            kind: Some(Kind::Private),
            ..Block::free(n * 0x1000, 0x1000)
        };
        let many: Vec<Block> = (0..MOST as u64 + 2).map(block).collect();
        let picture = svg("many", &many);
        assert_eq!(picture.matches("<g>").count(), MOST / 2 + 1);
    }

    #[test]
    fn size_text_uses_largest_unit() {
        for (bytes, text) in [
            (0, "0B"),
            (4096, "4K"),
            (1_572_864, "1.5M"),
            (1 << 40, "1T"),
            (u64::MAX, "16383.9P"),
        ] {
            assert_eq!(size_text(bytes), text);
        }
        assert_eq!(width(4096), NARROW);
        assert_eq!(width(1 << 20), NARROW + 8 * STEP);
    }
}
