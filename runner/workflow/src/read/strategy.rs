//! `strategy:` as far as it is settled in the file: vectors with values, `include` and `exclude` that fit them.
//!
//! The combinations are made later (`matrix`), since values may still be expressions. Follows
//! <https://docs.github.com/en/actions/writing-workflows/workflow-syntax-for-github-actions#jobsjob_idstrategymatrix>.

use super::checks::Checks;
use crate::model::Strategy;
use crate::template::Token;

/// Reads `strategy:` and records what is wrong with its matrix.
pub(super) fn read(checks: &mut Checks<'_>, written: &Token) -> Strategy {
    let strategy = Strategy {
        token: written.clone(),
        matrix: written.get("matrix").cloned(),
        fail_fast: written.get("fail-fast").cloned(),
        max_parallel: written.get("max-parallel").cloned(),
    };
    if let Some(matrix) = &strategy.matrix {
        check_matrix(checks, matrix, written.has_expression());
    }
    strategy
}

fn check_matrix(checks: &mut Checks<'_>, matrix: &Token, open: bool) {
    let Some(pairs) = matrix.as_mapping() else { return };
    let mut vectors: Vec<&str> = Vec::new();
    let (mut include, mut exclude) = (None, None);
    let (mut has_vector, mut has_include) = (false, false);
    for (key, value) in pairs {
        let values = if value.has_expression() { None } else { value.as_sequence() };
        match key.as_str() {
            // A key that is an expression may be a vector.
            None => has_vector = true,
            Some("include") => {
                has_include = values.is_none_or(|values| !values.is_empty());
                include = values;
            }
            Some("exclude") => exclude = values,
            Some(name) => {
                has_vector = true;
                if values.is_some_and(<[Token]>::is_empty) {
                    checks.error(value.span, format!("Matrix vector '{name}' does not contain any values"));
                } else {
                    vectors.push(name);
                }
            }
        }
    }
    if !has_vector && !has_include {
        checks.error(matrix.span, "Matrix must define at least one vector");
    }
    // With an expression anywhere, which keys there are is not known before it is evaluated.
    if !open {
        check_filters(checks, &vectors, include.unwrap_or_default(), exclude.unwrap_or_default());
    }
}

fn check_filters(checks: &mut Checks<'_>, vectors: &[&str], include: &[Token], exclude: &[Token]) {
    for item in include.iter().filter(|item| item.as_mapping().is_some_and(<[_]>::is_empty)) {
        checks.error(item.span, "Matrix include mapping does not contain any values");
    }
    for item in exclude {
        let keys = item.as_mapping().unwrap_or_default().iter().map(|(key, _)| key);
        if keys.len() == 0 {
            checks.error(item.span, "Matrix exclude filter must not be empty");
        }
        for key in keys {
            let name = key.as_str().unwrap_or_default();
            if !vectors.iter().any(|vector| vector.eq_ignore_ascii_case(name)) {
                let message = format!("Matrix exclude key '{name}' does not match any key within the matrix");
                checks.error(key.span, message);
            }
        }
    }
}
