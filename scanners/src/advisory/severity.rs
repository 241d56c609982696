//! How bad an advisory says it is: words of vendors and CVSS vectors, put on one scale.
//!
//! The vendor comes before NVD, since it knows how the package is built; a score alone comes last. Vectors of versions 2, 3 and
//! 4 (<https://www.first.org/cvss/>) are scored by the crate `cvss`.

use crate::finding::{Cvss, Rating, Severity, SeveritySource};

/// What a word stands for, in any case of letters and with what trackers put around it (`low**`, `not yet assigned`).
pub(crate) fn of_word(word: &str) -> Option<Severity> {
    let word = word.trim().trim_end_matches('*').to_ascii_lowercase();
    match word.as_str() {
        "critical" | "urgent" => Some(Severity::Critical),
        "high" | "important" => Some(Severity::High),
        "medium" | "moderate" => Some(Severity::Medium),
        "low" | "minor" | "negligible" | "unimportant" | "none" | "info" => Some(Severity::Low),
        _ => None,
    }
}

/// A vector with its score. None when it cannot be read.
pub(crate) fn of_vector(vector: &str) -> Option<Cvss> {
    let vector = vector.trim().trim_start_matches('(').trim_end_matches([')', '/']);
    let score = vector.parse::<cvss::Cvss>().ok()?.score();
    Some(Cvss { vector: vector.to_owned(), score })
}

/// What a vector alone says.
pub(crate) fn rating_of(source: SeveritySource, cvss: Cvss) -> Rating {
    Rating { source, severity: Severity::of_score(cvss.score), cvss: Some(cvss) }
}

/// Which version a vector is of, to prefer the newest: 2, 3 or 4, with 3.1 before 3.0.
fn version(vector: &str) -> u8 {
    match vector.strip_prefix("CVSS:").and_then(|rest| rest.split('/').next()) {
        Some("4.0") => 40,
        Some("3.1") => 31,
        Some("3.0") => 30,
        _ => 20,
    }
}

/// Puts ratings in the order in which they count: vendor, NVD, score; of one source the newest vector, then the worst.
pub(crate) fn order(ratings: &mut Vec<Rating>) {
    let vector_version = |rating: &Rating| rating.cvss.as_ref().map_or(0, |cvss| version(&cvss.vector));
    ratings.sort_by(|left, right| {
        (left.source, left.severity == Severity::Unknown)
            .cmp(&(right.source, right.severity == Severity::Unknown))
            // A word of the vendor is about this package; its vectors of several versions are about the same thing.
            .then_with(|| left.cvss.is_some().cmp(&right.cvss.is_some()))
            .then_with(|| vector_version(right).cmp(&vector_version(left)))
            .then_with(|| right.severity.cmp(&left.severity))
    });
    ratings.dedup();
}

/// The vector of the newest version, and among equals the one with the highest score.
pub(crate) fn best_vector(ratings: &[Rating]) -> Option<Cvss> {
    let vectors = ratings.iter().filter_map(|rating| rating.cvss.as_ref());
    vectors
        .max_by(|left, right| {
            version(&left.vector).cmp(&version(&right.vector)).then(left.score.total_cmp(&right.score))
        })
        .cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(vector: &str, score: f64, severity: Severity) {
        let cvss = of_vector(vector).expect(vector);
        assert!((cvss.score - score).abs() < 1e-9, "{vector}: {} and not {score}", cvss.score);
        assert_eq!(rating_of(SeveritySource::Cvss, cvss).severity, severity);
    }

    #[test]
    fn vectors_of_each_version() {
        check("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8, Severity::Critical);
        check("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:L/I:L/A:N", 6.5, Severity::Medium);
        check("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10.0, Severity::Critical);
        check("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 9.3, Severity::Critical);
        check("CVSS:4.0/AV:L/AC:L/AT:N/PR:L/UI:N/VC:L/VI:N/VA:N/SC:N/SI:N/SA:N", 4.8, Severity::Medium);
        check("AV:N/AC:L/Au:N/C:P/I:P/A:P", 7.5, Severity::High);
        check("(AV:N/AC:L/Au:N/C:C/I:C/A:C)", 10.0, Severity::Critical);
        assert_eq!(of_vector("CVSS:3.1/nonsense"), None);
        assert_eq!(of_vector(""), None);
    }

    #[test]
    fn the_vendor_comes_first() {
        let rating = |source, severity| Rating { source, severity, cvss: None };
        let mut ratings = vec![
            rating(SeveritySource::Cvss, Severity::Critical),
            rating(SeveritySource::Nvd, Severity::High),
            rating(SeveritySource::Vendor, Severity::Low),
        ];
        order(&mut ratings);
        assert_eq!(ratings[0].severity, Severity::Low);
        assert_eq!(ratings[1].source, SeveritySource::Nvd);
    }

    #[test]
    fn words_of_vendors() {
        for (word, severity) in [
            ("Important", Some(Severity::High)),
            ("MODERATE", Some(Severity::Medium)),
            ("low**", Some(Severity::Low)),
            ("negligible", Some(Severity::Low)),
            ("not yet assigned", None),
        ] {
            assert_eq!(of_word(word), severity, "{word}");
        }
    }
}
