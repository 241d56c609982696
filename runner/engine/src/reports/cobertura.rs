//! Coverage as Cobertura has it, which coverage.py, gcovr, coverlet, cargo-llvm-cov and others write too. Follows
//! <https://github.com/cobertura/web/blob/master/htdocs/xml/coverage-04.dtd>. Rates that it states are not believed:
//! lines are counted.

use super::coverage::{FileLines, Lines, Rate};
use super::xml::{Node, ReadError, Xml, attribute, name};

/// Reads a file; what it says of each source file is given to `add`.
pub(super) fn read(text: &str, add: &mut dyn FnMut(&str, FileLines)) -> Result<(), ReadError> {
    let mut xml = Xml::new(text);
    let mut sources: Vec<String> = Vec::new();
    let mut open: Option<(usize, String, FileLines)> = None;
    loop {
        match xml.next()? {
            Node::End => return Ok(()),
            Node::Text(_) => {}
            Node::Close => {
                if let Some((_, path, file)) = open.take_if(|(depth, ..)| *depth > xml.depth()) {
                    add(&path, file);
                }
            }
            Node::Open(start) => match (name(&start).as_str(), &mut open) {
                ("coverage", _) => {}
                (found, _) if xml.depth() == 1 => {
                    return Err(ReadError::OtherRoot { expected: "Cobertura", found: found.to_owned() });
                }
                ("source", _) => sources.push(source(&mut xml)?),
                ("class", _) => {
                    let path = attribute(&start, "filename").unwrap_or_default();
                    let file = FileLines { lines: Lines::default(), branches: Rate::default() };
                    open = Some((xml.depth(), below(&sources, &path), file));
                }
                ("line", Some((_, _, file))) => {
                    let number = |name: &str| attribute(&start, name).and_then(|text| text.trim().parse::<f64>().ok());
                    if let Some(line) = attribute(&start, "number").and_then(|text| text.trim().parse().ok()) {
                        file.lines.add(line, number("hits").is_some_and(|hits| hits > 0.0));
                    }
                    if let Some(found) = attribute(&start, "condition-coverage").and_then(|text| of_words(&text)) {
                        file.branches.covered += found.covered;
                        file.branches.total += found.total;
                    }
                }
                (_, _) => {}
            },
        }
    }
}

fn source(xml: &mut Xml<'_>) -> Result<String, ReadError> {
    let outside = xml.depth() - 1;
    let mut text = String::new();
    while xml.depth() > outside {
        if let Node::Text(part) = xml.next()? {
            text.push_str(&part);
        }
    }
    Ok(text.trim().to_owned())
}

/// Where there is one folder of sources, paths are below it.
fn below(sources: &[String], path: &str) -> String {
    match sources {
        [source] if !source.is_empty() && source != "." && !path.starts_with('/') => {
            format!("{}/{path}", source.trim_end_matches('/'))
        }
        _ => path.to_owned(),
    }
}

/// `50% (1/2)`.
fn of_words(text: &str) -> Option<Rate> {
    let (covered, total) = text.split_once('(')?.1.split_once(')')?.0.split_once('/')?;
    Some(Rate { covered: covered.trim().parse().ok()?, total: total.trim().parse().ok()? })
}
