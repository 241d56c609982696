//! The bytes of the index: numbers of variable length, texts with their length before them, and what is made of the two.
//!
//! Reading never panics: whatever the bytes, it gives a value or None. Rows are read without copying, since a match reads
//! thousands to keep a few.

use super::model::{Advisory, Affected, contains};
use crate::finding::{Cvss, Epss, Kev, Rating, Severity, SeveritySource};
use crate::version::Scheme;

pub(crate) fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(0x80 | (number & 0x7f) as u8);
        number >>= 7;
    }
    bytes.push(number as u8);
}

pub(crate) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_number(bytes, text.len() as u64);
    bytes.extend_from_slice(text.as_bytes());
}

fn put_texts(bytes: &mut Vec<u8>, texts: &[String]) {
    put_number(bytes, texts.len() as u64);
    for text in texts {
        put_text(bytes, text);
    }
}

/// None is 0; times before 1970 do not occur.
fn put_time(bytes: &mut Vec<u8>, time: Option<i64>) {
    put_number(bytes, time.and_then(|time| u64::try_from(time).ok()).map_or(0, |time| time + 1));
}

pub(crate) fn put_rating(bytes: &mut Vec<u8>, rating: &Rating) {
    let source = match rating.source {
        SeveritySource::Vendor => 0,
        SeveritySource::Nvd => 1,
        SeveritySource::Cvss => 2,
        SeveritySource::Rule => 3,
    };
    bytes.push(source << 4 | rating.severity as u8);
    let (vector, score) = rating.cvss.as_ref().map_or(("", 0.0), |cvss| (cvss.vector.as_str(), cvss.score));
    bytes.push((score * 10.0).round() as u8);
    put_text(bytes, vector);
}

/// Bytes that are read from the front.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    pub(crate) fn length(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let length = self.length()?;
        std::str::from_utf8(self.bytes(length)?).ok()
    }

    fn texts(&mut self) -> Option<Vec<String>> {
        let count = self.length()?;
        // Each takes a byte at least, so that a wrong count cannot ask for room without end.
        let mut texts = Vec::with_capacity(count.min(self.0.len()));
        for _ in 0..count {
            texts.push(self.text()?.to_owned());
        }
        Some(texts)
    }

    fn time(&mut self) -> Option<Option<i64>> {
        let number = self.number()?;
        Some(number.checked_sub(1).and_then(|time| i64::try_from(time).ok()))
    }

    fn rating(&mut self) -> Option<Rating> {
        let head = self.byte()?;
        let source = match head >> 4 {
            0 => SeveritySource::Vendor,
            1 => SeveritySource::Nvd,
            2 => SeveritySource::Cvss,
            3 => SeveritySource::Rule,
            _ => return None,
        };
        let severity = *Severity::ALL.get(usize::from(head & 15))?;
        let score = f64::from(self.byte()?) / 10.0;
        let vector = self.text()?;
        let cvss = (!vector.is_empty()).then(|| Cvss { vector: vector.to_owned(), score });
        Some(Rating { source, severity, cvss })
    }
}

/// An advisory without what it affects, which is in the rows.
pub(crate) fn put_advisory(bytes: &mut Vec<u8>, advisory: &Advisory) {
    put_text(bytes, &advisory.id);
    put_texts(bytes, &advisory.aliases);
    put_texts(bytes, &advisory.covers);
    put_text(bytes, &advisory.summary);
    put_time(bytes, advisory.published);
    put_time(bytes, advisory.modified);
    put_texts(bytes, &advisory.references);
    put_number(bytes, advisory.ratings.len() as u64);
    for rating in &advisory.ratings {
        put_rating(bytes, rating);
    }
}

pub(crate) fn advisory(bytes: &[u8]) -> Option<Advisory> {
    let mut reader = Reader(bytes);
    let mut advisory = Advisory {
        id: reader.text()?.to_owned(),
        aliases: reader.texts()?,
        covers: reader.texts()?,
        summary: reader.text()?.to_owned(),
        published: reader.time()?,
        modified: reader.time()?,
        references: reader.texts()?,
        ..Advisory::default()
    };
    for _ in 0..reader.number()? {
        advisory.ratings.push(reader.rating()?);
    }
    Some(advisory)
}

pub(crate) fn rating(bytes: &[u8]) -> Option<Rating> {
    Reader(bytes).rating()
}

const FROM: u8 = 1;
const FROM_INCLUSIVE: u8 = 2;
const TO: u8 = 4;
const TO_INCLUSIVE: u8 = 8;
const ENDS_WITH_FIX: u8 = 16;
const WILL_NOT_FIX: u8 = 1;
const HAS_RATING: u8 = 2;

/// A row: where the advisory lies in the file, and which versions it is about.
pub(crate) fn put_row(bytes: &mut Vec<u8>, offset: u64, length: u64, affected: &Affected) {
    put_number(bytes, offset);
    put_number(bytes, length);
    let will_not_fix = if affected.will_not_fix { WILL_NOT_FIX } else { 0 };
    bytes.push(will_not_fix | if affected.rating.is_some() { HAS_RATING } else { 0 });
    if let Some(rating) = &affected.rating {
        put_rating(bytes, rating);
    }
    put_number(bytes, affected.intervals.len() as u64);
    for interval in &affected.intervals {
        let mut flags = if interval.ends_with_fix { ENDS_WITH_FIX } else { 0 };
        if let Some(from) = &interval.from {
            flags |= FROM | if from.inclusive { FROM_INCLUSIVE } else { 0 };
        }
        if let Some(to) = &interval.to {
            flags |= TO | if to.inclusive { TO_INCLUSIVE } else { 0 };
        }
        bytes.push(flags);
        for bound in [&interval.from, &interval.to].into_iter().flatten() {
            put_text(bytes, &bound.version);
        }
    }
    put_texts(bytes, &affected.versions);
    put_texts(bytes, &affected.fixed);
}

/// Whether `applies` says yes to any interval of a row, or `listed` to any of its versions: without building anything, since most
/// rows of a package are about versions from before. None when the row cannot be read.
pub(crate) fn row_is(
    bytes: &[u8],
    mut applies: impl FnMut(Span<'_>) -> bool,
    mut listed: impl FnMut(&str) -> bool,
) -> Option<bool> {
    let mut reader = Reader(bytes);
    reader.number()?;
    reader.number()?;
    if reader.byte()? & HAS_RATING != 0 {
        reader.byte()?;
        reader.byte()?;
        reader.text()?;
    }
    for _ in 0..reader.number()? {
        if applies(span(&mut reader)?) {
            return Some(true);
        }
    }
    for _ in 0..reader.number()? {
        if listed(reader.text()?) {
            return Some(true);
        }
    }
    Some(false)
}

fn span<'a>(reader: &mut Reader<'a>) -> Option<Span<'a>> {
    let flags = reader.byte()?;
    let mut bound = |present: u8, inclusive: u8| {
        if flags & present == 0 { Some(None) } else { Some(Some((reader.text()?, flags & inclusive != 0))) }
    };
    Some(Span {
        from: bound(FROM, FROM_INCLUSIVE)?,
        to: bound(TO, TO_INCLUSIVE)?,
        ends_with_fix: flags & ENDS_WITH_FIX != 0,
    })
}

/// A row as it lies in its block.
#[derive(Debug, Clone)]
pub(crate) struct Row<'a> {
    pub(crate) offset: u64,
    pub(crate) length: usize,
    pub(crate) will_not_fix: bool,
    pub(crate) rating: Option<Rating>,
    pub(crate) spans: Vec<Span<'a>>,
    pub(crate) fixed: Vec<&'a str>,
}

/// An interval of versions in a row: each bound with whether it counts itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span<'a> {
    pub(crate) from: Option<(&'a str, bool)>,
    pub(crate) to: Option<(&'a str, bool)>,
    pub(crate) ends_with_fix: bool,
}

impl Span<'_> {
    pub(crate) fn contains(&self, scheme: Scheme, version: &str) -> bool {
        contains(scheme, version, self.from, self.to)
    }
}

pub(crate) fn row(bytes: &[u8]) -> Option<Row<'_>> {
    let mut reader = Reader(bytes);
    let offset = reader.number()?;
    let length = reader.length()?;
    let flags = reader.byte()?;
    let rating = if flags & HAS_RATING == 0 { None } else { Some(reader.rating()?) };
    let count = reader.length()?;
    let mut spans = Vec::with_capacity(count.min(reader.0.len()));
    for _ in 0..count {
        spans.push(span(&mut reader)?);
    }
    let mut list = || {
        let count = reader.length()?;
        (0..count).map(|_| reader.text()).collect::<Option<Vec<_>>>()
    };
    // The versions beside the intervals: `row_is` reads them.
    list()?;
    let fixed = list()?;
    Some(Row { offset, length, will_not_fix: flags & WILL_NOT_FIX != 0, rating, spans, fixed })
}

/// Shares are kept in steps of 0.00001, as FIRST publishes them.
const SHARE_STEPS: f64 = 100_000.0;

pub(crate) fn put_epss(bytes: &mut Vec<u8>, epss: Epss) {
    put_number(bytes, (epss.score * SHARE_STEPS).round() as u64);
    put_number(bytes, (epss.percentile * SHARE_STEPS).round() as u64);
}

pub(crate) fn epss(bytes: &[u8]) -> Option<Epss> {
    let mut reader = Reader(bytes);
    let mut share = || Some(u32::try_from(reader.number()?).ok().map(f64::from)? / SHARE_STEPS);
    Some(Epss { score: share()?, percentile: share()? })
}

pub(crate) fn put_kev(bytes: &mut Vec<u8>, kev: &Kev) {
    let text = |date: Option<jiff::civil::Date>| date.map(|date| date.to_string()).unwrap_or_default();
    put_text(bytes, &text(kev.added));
    put_text(bytes, &text(kev.due));
    bytes.push(u8::from(kev.ransomware));
}

pub(crate) fn kev(bytes: &[u8]) -> Option<Kev> {
    let mut reader = Reader(bytes);
    let added = reader.text()?.parse().ok();
    let due = reader.text()?.parse().ok();
    Some(Kev { added, due, ransomware: reader.byte()? != 0 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::advisory::model::{Bound, Interval};

    proptest! {
        #[test]
        fn numbers_and_texts_come_back(number in any::<u64>(), text in ".{0,40}") {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            put_text(&mut bytes, &text);
            let mut reader = Reader(&bytes);
            prop_assert_eq!(reader.number(), Some(number));
            prop_assert_eq!(reader.text(), Some(text.as_str()));
            prop_assert!(reader.0.is_empty());
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (row(&bytes), row_is(&bytes, |_| false, |_| false), advisory(&bytes), epss(&bytes), kev(&bytes));
        }
    }

    #[test]
    fn rows_come_back() {
        let affected = Affected {
            intervals: vec![
                Interval::before_fix("1.0"),
                Interval {
                    from: Some(Bound { version: "2".to_owned(), inclusive: true }),
                    to: None,
                    ends_with_fix: false,
                },
            ],
            versions: vec!["0.5-odd".to_owned()],
            fixed: vec!["3".to_owned()],
            will_not_fix: true,
            rating: Some(Rating { source: SeveritySource::Vendor, severity: Severity::High, cvss: None }),
            ..Affected::default()
        };
        let mut bytes = Vec::new();
        put_row(&mut bytes, 7, 9, &affected);
        let row = row(&bytes).expect("it was just written");
        assert_eq!((row.offset, row.length, row.will_not_fix), (7, 9, true));
        assert_eq!(row.rating, affected.rating);
        assert!(row.spans[0].ends_with_fix && row.spans[0].to == Some(("1.0", false)) && row.spans[0].from.is_none());
        assert!(row.spans[1].from == Some(("2", true)) && row.spans[1].to.is_none());
        assert_eq!(row.fixed, ["3"]);
        assert_eq!(row_is(&bytes, |_| false, |listed| listed == "0.5-odd"), Some(true));
        assert_eq!(row_is(&bytes, |span| span.to.is_none(), |_| false), Some(true));
        assert_eq!(row_is(&bytes, |_| false, |_| false), Some(false));
    }
}
