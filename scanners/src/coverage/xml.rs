//! Cobertura (<https://github.com/cobertura/web/blob/master/htdocs/xml/coverage-04.dtd>) and JaCoCo
//! (<https://www.jacoco.org/jacoco/trunk/coverage/report.dtd>). Nothing is expanded.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::{Add, CoverageError};
use crate::policy::Rate;

/// Where in a report a line stands.
#[derive(Default)]
struct Place {
    form: Option<Form>,
    sources: Vec<String>,
    in_source: bool,
    package: String,
    file: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Cobertura,
    Jacoco,
}

pub(super) fn read(text: &str, add: &mut Add<'_>) -> Result<(), CoverageError> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut place = Place::default();
    let mut depth = 0_usize;
    loop {
        let at = reader.buffer_position();
        let wrong = |reason: String| CoverageError::Xml { at, reason };
        match reader.read_event().map_err(|error| wrong(error.to_string()))? {
            Event::Start(start) | Event::Empty(start) => {
                depth += 1;
                open(&start, &mut place, add)?;
            }
            Event::End(end) => {
                depth = depth.saturating_sub(1);
                let name = end.local_name();
                let name: &str = name.as_ref();
                match name {
                    "source" => place.in_source = false,
                    "class" if place.form == Some(Form::Cobertura) => place.file = None,
                    "sourcefile" => place.file = None,
                    _ => {}
                }
            }
            Event::Text(words) if place.in_source => {
                let words = words.into_inner();
                place.sources.push(words.trim().to_owned());
            }
            Event::DocType(words) if words.contains("<!ENTITY") => {
                return Err(wrong("it declares entities".to_owned()));
            }
            Event::Eof if depth > 0 => return Err(wrong("it ends early".to_owned())),
            Event::Eof if place.form.is_none() => return Err(CoverageError::Unknown),
            Event::Eof => return Ok(()),
            Event::Text(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_)
            | Event::GeneralRef(_) => {}
        }
    }
}

fn open(start: &BytesStart<'_>, place: &mut Place, add: &mut Add<'_>) -> Result<(), CoverageError> {
    let number = |name: &str| attribute(start, name).and_then(|text| text.trim().parse::<f64>().ok());
    let name = start.local_name();
    let name: &str = name.as_ref();
    match (place.form, name) {
        (None, "coverage") => place.form = Some(Form::Cobertura),
        (None, "report") => place.form = Some(Form::Jacoco),
        (None, _) => return Err(CoverageError::Unknown),
        (Some(Form::Cobertura), "source") => place.in_source = true,
        (Some(Form::Cobertura), "class") => {
            place.file = attribute(start, "filename").map(|path| below(&place.sources, path));
        }
        (Some(Form::Cobertura), "line") => {
            let line = attribute(start, "number").and_then(|text| text.trim().parse().ok());
            if let (Some(file), Some(line)) = (&place.file, line) {
                let branches = attribute(start, "condition-coverage").and_then(|text| of_words(&text));
                add(file, line, number("hits").is_some_and(|hits| hits > 0.0), branches.unwrap_or_default())?;
            }
        }
        (Some(Form::Jacoco), "package") => place.package = attribute(start, "name").unwrap_or_default(),
        (Some(Form::Jacoco), "sourcefile") => {
            let name = attribute(start, "name").unwrap_or_default();
            place.file = Some(if place.package.is_empty() { name } else { format!("{}/{name}", place.package) });
        }
        (Some(Form::Jacoco), "line") => {
            let count = |name: &str| number(name).unwrap_or(0.0) as u64;
            let line = attribute(start, "nr").and_then(|text| text.trim().parse().ok());
            if let (Some(file), Some(line)) = (&place.file, line) {
                let branches = Rate { covered: count("cb"), total: count("cb") + count("mb") };
                add(file, line, count("ci") > 0, branches)?;
            }
        }
        (Some(_), _) => {}
    }
    Ok(())
}

fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = start.attributes().with_checks(false).flatten().find(|found| found.key.as_ref() == name)?;
    let value = quick_xml::escape::unescape(&found.value);
    Some(value.map_or_else(|_| found.value.to_string(), std::borrow::Cow::into_owned))
}

/// Where there is one folder of sources, paths are below it.
fn below(sources: &[String], path: String) -> String {
    match sources {
        [source] if !source.is_empty() && source != "." && !path.starts_with('/') => {
            format!("{}/{path}", source.trim_end_matches('/'))
        }
        _ => path,
    }
}

/// `50% (1/2)`.
fn of_words(text: &str) -> Option<Rate> {
    let (covered, total) = text.split_once('(')?.1.split_once(')')?.0.split_once('/')?;
    Some(Rate { covered: covered.trim().parse().ok()?, total: total.trim().parse().ok()? })
}
