//! The small words of a policy: `critical`, `cvss>=9`, `kev`, `epss>=0.5`, `7d`, `2027-01-31`.

use jiff::SignedDuration;
use jiff::civil::Date;
use workflow::diagnostic::suggest;

use super::model::Threshold;
use super::read::Reader;
use crate::finding::Severity;
use crate::yaml::Node;

/// Longest time that a policy may give.
const DAYS_MAX: i64 = 3660;
const HELP: &str = "write a severity (critical, high, medium, low), `cvss>=9`, `kev` or `epss>=0.5`";

/// One rule of `fail-on`.
pub(super) fn threshold(reader: &mut Reader<'_>, node: &Node) -> Option<Threshold> {
    let text = reader.text(node, "a rule of `fail-on`")?;
    let squeezed: String = text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect();
    if squeezed == "kev" {
        return Some(Threshold::Kev);
    }
    if let Some((name, number)) = squeezed.split_once(">=") {
        let (highest, make): (f64, fn(f64) -> Threshold) = match name {
            "cvss" => (10.0, Threshold::Cvss),
            "epss" => (1.0, Threshold::Epss),
            other => {
                let help =
                    suggest(other, ["cvss", "epss"]).map_or(HELP.to_owned(), |name| format!("did you mean `{name}`?"));
                reader.helped(node.span, format!("`{other}` has no numbers to compare"), help);
                return None;
            }
        };
        return match number.parse::<f64>() {
            Ok(number) if (0.0..=highest).contains(&number) => Some(make(number)),
            Ok(_) | Err(_) => {
                reader.problem(node.span, format!("`{number}` is no {name} score: it is from 0 to {highest}"));
                None
            }
        };
    }
    let rated = Severity::ALL.into_iter().filter(|severity| *severity != Severity::Unknown);
    if let Some(severity) = rated.clone().find(|severity| severity.as_str() == squeezed) {
        return Some(Threshold::Severity(severity));
    }
    let help = if squeezed == "unknown" {
        "what becomes of unknown severities stands in `unknown-severity`".to_owned()
    } else if squeezed.contains(['>', '<', '=']) {
        "compare with `>=`: `cvss>=9`, `epss>=0.5`".to_owned()
    } else {
        let words = rated.map(Severity::as_str).chain(["kev", "cvss>=9", "epss>=0.5", "none"]);
        suggest(&squeezed, words).map_or(HELP.to_owned(), |word| format!("did you mean `{word}`?"))
    };
    reader.helped(node.span, format!("nothing can fail on `{text}`"), help);
    None
}

/// `30m`, `48h`, `7d`, `2w`.
pub(super) fn duration(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<SignedDuration> {
    let text = reader.text(node, what)?;
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text.get(digits.len()..).map(str::trim) {
        Some("m") => Some(60),
        Some("h") => Some(3600),
        Some("d") => Some(86_400),
        Some("w") => Some(7 * 86_400),
        Some("") if digits == "0" => Some(1),
        Some(_) | None => None,
    };
    let seconds = digits.parse::<i64>().ok().zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
    match seconds {
        Some(seconds) if (0..=DAYS_MAX * 86_400).contains(&seconds) => Some(SignedDuration::from_secs(seconds)),
        Some(_) => {
            reader.problem(node.span, format!("{what} cannot be `{text}`: the longest time is {DAYS_MAX}d"));
            None
        }
        None => {
            let help = "write a number and m, h, d or w: `48h`, `7d`";
            reader.helped(node.span, format!("{what} cannot be `{text}`"), help);
            None
        }
    }
}

/// `2027-01-31`.
pub(super) fn date(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<Date> {
    let text = reader.text(node, what)?;
    let is_plain = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    match text.parse::<Date>() {
        Ok(date) if is_plain => Some(date),
        Ok(_) | Err(_) => {
            reader.helped(node.span, format!("{what} cannot be `{text}`"), "write a day: `2027-01-31`");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use workflow::source::SourceFile;

    use super::*;
    use crate::yaml::read;

    fn with<T>(text: &str, term: impl FnOnce(&mut Reader<'_>, &Node) -> Option<T>) -> Result<T, String> {
        let file = SourceFile::new("gate.yml", text);
        let node = read(text, workflow::source::FileId(0)).unwrap();
        let mut reader = Reader { file: &file, problems: Vec::new() };
        let found = term(&mut reader, &node);
        found.ok_or_else(|| {
            let problem = reader.problems.pop().unwrap();
            format!("{} ({})", problem.message, problem.help.unwrap_or_default())
        })
    }

    #[test]
    fn thresholds() {
        let check = |text: &str, expect: Result<Threshold, &str>| {
            assert_eq!(with(text, threshold), expect.map_err(str::to_owned), "{text}");
        };
        check("critical", Ok(Threshold::Severity(Severity::Critical)));
        check("High", Ok(Threshold::Severity(Severity::High)));
        check("cvss>=9", Ok(Threshold::Cvss(9.0)));
        check("'cvss >= 7.5'", Ok(Threshold::Cvss(7.5)));
        check("KEV", Ok(Threshold::Kev));
        check("epss>=0.5", Ok(Threshold::Epss(0.5)));
        check("critcal", Err("nothing can fail on `critcal` (did you mean `critical`?)"));
        check("cvs>=9", Err("`cvs` has no numbers to compare (did you mean `cvss`?)"));
        check("cvss>9", Err("nothing can fail on `cvss>9` (compare with `>=`: `cvss>=9`, `epss>=0.5`)"));
        check("cvss>=11", Err("`11` is no cvss score: it is from 0 to 10 ()"));
        check("epss>=50", Err("`50` is no epss score: it is from 0 to 1 ()"));
        check("cvss>=NaN", Err("`nan` is no cvss score: it is from 0 to 10 ()"));
        check(
            "unknown",
            Err("nothing can fail on `unknown` (what becomes of unknown severities stands in `unknown-severity`)"),
        );
    }

    #[test]
    fn durations_and_dates() {
        let seconds = |text: &str| with(text, |reader, node| duration(reader, node, "it")).map(|time| time.as_secs());
        assert_eq!(seconds("48h"), Ok(172_800));
        assert_eq!(seconds("0d"), Ok(0));
        assert_eq!(seconds("0"), Ok(0));
        assert_eq!(seconds("2w"), Ok(1_209_600));
        for bad in ["7", "d", "-1d", "1.5d", "7days", "99999999999999999999d", "4000d"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
        let day = |text: &str| with(text, |reader, node| date(reader, node, "it")).map(|date| date.to_string());
        assert_eq!(day("2027-01-31"), Ok("2027-01-31".to_owned()));
        for bad in ["2027-02-30", "31.1.2027", "2027", "2027-01-31T00:00:00Z", "never"] {
            assert!(day(bad).is_err(), "{bad}");
        }
    }
}
