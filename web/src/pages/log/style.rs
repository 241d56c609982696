//! How text looks: one of sixteen colours before and behind it, and six attributes, as classes.
//!
//! Follows <https://www.ecma-international.org/publications-and-standards/standards/ecma-48/>, 8.3.117.

use std::fmt::Write as _;

/// Class letters of the attributes, by bit.
const ATTRIBUTES: [char; 6] = ['b', 'd', 'i', 'u', 'v', 's'];
const INVERSE: u8 = 1 << 4;

/// How the next character looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Style {
    /// One of sixteen.
    front: Option<u8>,
    back: Option<u8>,
    attributes: u8,
}

impl Style {
    pub(super) fn open(self, out: &mut String) {
        out.push_str("<span class=\"a");
        let (front, back) =
            if self.attributes & INVERSE == 0 { (self.front, self.back) } else { (self.back, self.front) };
        for (letter, colour) in [('f', front), ('g', back)] {
            if let Some(colour) = colour {
                write!(out, " {letter}{colour}").expect("writing to memory cannot fail");
            }
        }
        for (bit, letter) in (0_u8..).zip(ATTRIBUTES) {
            if self.attributes & 1 << bit != 0 {
                out.push_str(" a");
                out.push(letter);
            }
        }
        out.push_str("\">");
    }

    pub(super) fn change(&mut self, parameters: &str) {
        let mut codes = parameters.split([';', ':']).map(|code| code.parse::<u16>().unwrap_or(0));
        while let Some(code) = codes.next() {
            match code {
                0 => *self = Self::default(),
                1..=4 => self.attributes |= 1 << (code - 1),
                7 => self.attributes |= INVERSE,
                9 => self.attributes |= 1 << 5,
                21 | 24 => self.attributes &= !(1 << 3),
                22 => self.attributes &= !0b11,
                23 => self.attributes &= !(1 << 2),
                27 => self.attributes &= !INVERSE,
                29 => self.attributes &= !(1 << 5),
                30..=37 => self.front = u8::try_from(code - 30).ok(),
                38 => self.front = extended(&mut codes),
                39 => self.front = None,
                40..=47 => self.back = u8::try_from(code - 40).ok(),
                48 => self.back = extended(&mut codes),
                49 => self.back = None,
                90..=97 => self.front = u8::try_from(code - 90 + 8).ok(),
                100..=107 => self.back = u8::try_from(code - 100 + 8).ok(),
                _ => {}
            }
        }
    }
}

/// `5;n` or `2;r;g;b`, as the nearest of sixteen, since those can be read on light and on dark.
fn extended(codes: &mut impl Iterator<Item = u16>) -> Option<u8> {
    let mut next = || codes.next().and_then(|code| u8::try_from(code).ok());
    match next()? {
        5 => match next()? {
            code @ 0..=15 => Some(code),
            code @ 16..=231 => {
                let code = code - 16;
                let level = |level: u8| if level == 0 { 0 } else { 55 + level * 40 };
                Some(nearest(level(code / 36), level(code / 6 % 6), level(code % 6)))
            }
            code => Some(nearest(8 + (code - 232) * 10, 8 + (code - 232) * 10, 8 + (code - 232) * 10)),
        },
        2 => Some(nearest(next()?, next()?, next()?)),
        _ => None,
    }
}

fn nearest(red: u8, green: u8, blue: u8) -> u8 {
    let (most, least) = (red.max(green).max(blue), red.min(green).min(blue));
    if most - least < 40 {
        return match most {
            0..64 => 0,
            64..150 => 8,
            150..220 => 7,
            220.. => 15,
        };
    }
    let middle = least + (most - least) / 2;
    let bit = |value: u8, bit: u8| if value > middle { bit } else { 0 };
    bit(red, 1) | bit(green, 2) | bit(blue, 4)
}
