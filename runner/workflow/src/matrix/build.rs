//! The cross product, `exclude`, `include`.
//!
//! Order and rules are those of the runner's own `MatrixBuilder`: vectors vary from right to left; an `include` entry
//! that fits a combination adds its further values to it, one that fits none becomes a leg of its own.

use std::sync::Arc;

use super::filter::Filter;
use super::name::segments;
use super::{COMBINATIONS_MAX, COMPARISONS_MAX, ENTRIES_MAX, LEGS_MAX, Legs, MISTAKES_MAX, MatrixLeg};
use crate::diagnostic::{Code, Diagnostic};
use crate::expression::{Object, Scope, Value};
use crate::model::Strategy;
use crate::source::Span;
use crate::template::{Token, evaluate};

/// An expression that failed.
pub const EVALUATION: Code = Code("P0501");
/// A value of a wrong type or without content.
pub const SHAPE: Code = Code("P0502");
/// Too many legs.
pub const TOO_MANY: Code = Code("P0503");

/// Evaluates a strategy and makes its legs.
///
/// # Errors
/// Everything that is wrong with the matrix: values of a wrong type, empty vectors, `exclude` keys that no vector has,
/// more than [`LEGS_MAX`] legs (found before they are made).
pub fn expand(strategy: &Strategy, scope: &dyn Scope) -> Result<Legs, Vec<Diagnostic>> {
    let (fail_fast, max_parallel, matrix) = parts(strategy, scope)?;
    let legs = match matrix {
        None => vec![MatrixLeg::single()],
        Some((matrix, places)) => Builder::new(&matrix, &places)?.build()?,
    };
    Ok(Legs { legs, fail_fast, max_parallel })
}

/// Where the parts of a matrix stand in the file, as far as they do.
struct Places<'token> {
    whole: Span,
    token: Option<&'token Token>,
}

impl Places<'_> {
    fn of(&self, key: &str) -> Span {
        self.token.and_then(|token| token.get(key)).map_or(self.whole, |value| value.span)
    }
}

type Parts<'token> = (bool, Option<u32>, Option<(Arc<Object>, Places<'token>)>);

/// The three values of a strategy. One that is an expression as a whole is evaluated as a whole.
fn parts<'token>(strategy: &'token Strategy, scope: &dyn Scope) -> Result<Parts<'token>, Vec<Diagnostic>> {
    let whole = strategy.token.span;
    let computed = match strategy.token.as_expression() {
        None => None,
        Some(_) => Some(value(&strategy.token, scope)?),
    };
    let part = |token: Option<&Token>, key: &str| -> Result<Option<(Value, Span)>, Vec<Diagnostic>> {
        match (token, &computed) {
            (Some(token), _) => Ok(Some((value(token, scope)?, token.span))),
            (None, Some(computed)) => Ok(computed.get(key).map(|found| (found.clone(), whole))),
            (None, None) => Ok(None),
        }
    };
    let fail_fast = match part(strategy.fail_fast.as_ref(), "fail-fast")? {
        None => true,
        Some((Value::Boolean(boolean), _)) => boolean,
        Some((other, span)) => return Err(vec![wrong_type("strategy fail-fast", "true or false", &other, span)]),
    };
    let max_parallel = match part(strategy.max_parallel.as_ref(), "max-parallel")? {
        None => None,
        Some((Value::Number(number), _)) => count(number),
        Some((other, span)) => return Err(vec![wrong_type("strategy max-parallel", "a number", &other, span)]),
    };
    let matrix = match part(strategy.matrix.as_ref(), "matrix")? {
        None => None,
        Some((Value::Object(object), span)) => Some((object, Places { whole: span, token: strategy.matrix.as_ref() })),
        Some((other, span)) => return Err(vec![wrong_type("matrix", "a mapping", &other, span)]),
    };
    Ok((fail_fast, max_parallel, matrix))
}

fn value(token: &Token, scope: &dyn Scope) -> Result<Value, Vec<Diagnostic>> {
    evaluate(token, scope).map_err(|error| vec![Diagnostic::error(EVALUATION, error.span, error.message)])
}

/// At least 1; zero and less mean no limit, as on GitHub. A fraction is cut.
fn count(number: f64) -> Option<u32> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range of u32")]
    let count = number.clamp(0.0, f64::from(u32::MAX)) as u32;
    (count > 0).then_some(count)
}

fn wrong_type(what: &str, expected: &str, found: &Value, span: Span) -> Diagnostic {
    let kind = found.kind().name().to_lowercase();
    Diagnostic::error(SHAPE, span, format!("{what} must be {expected}, but is of type {kind}"))
}

/// An entry of `include`: the values that must fit, and those that are added.
struct Include {
    filter: Filter,
    must_fit: Object,
    adds: Object,
    used: bool,
}

struct Builder {
    vectors: Vec<(Arc<str>, Arc<Vec<Value>>)>,
    excludes: Vec<Filter>,
    includes: Vec<Include>,
    place: Span,
}

impl Builder {
    fn new(matrix: &Object, places: &Places<'_>) -> Result<Self, Vec<Diagnostic>> {
        let mut wrong = Vec::new();
        let mut names = Object::new();
        let mut vectors = Vec::new();
        for (name, vector) in matrix.iter().filter(|(name, _)| !is_special(name)) {
            names.insert(name.clone(), Value::Null);
            match vector {
                Value::Array(items) if items.is_empty() => wrong.push(
                    Diagnostic::error(
                        SHAPE,
                        places.of(name),
                        format!("Matrix vector '{name}' does not contain any values"),
                    )
                    .help("a job can be skipped with `if` when there is nothing to run"),
                ),
                Value::Array(items) => vectors.push((name.clone(), items.clone())),
                Value::Null | Value::Boolean(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                    wrong.push(wrong_type(&format!("matrix vector `{name}`"), "a list", vector, places.of(name)));
                }
            }
        }
        let mut builder = Self { vectors, excludes: Vec::new(), includes: Vec::new(), place: places.whole };
        for entry in entries(matrix, "exclude", places, &mut wrong) {
            builder.exclude(&entry, &names, places.of("exclude"), &mut wrong);
        }
        for entry in entries(matrix, "include", places, &mut wrong) {
            builder.include(&entry, &names);
        }
        if names.is_empty() && matrix.get("include").is_none() {
            wrong.push(Diagnostic::error(SHAPE, places.whole, "Matrix must define at least one vector"));
        }
        wrong.truncate(MISTAKES_MAX);
        if wrong.is_empty() { Ok(builder) } else { Err(wrong) }
    }

    fn exclude(&mut self, entry: &Object, names: &Object, span: Span, wrong: &mut Vec<Diagnostic>) {
        for (name, _) in entry.iter().filter(|(name, _)| !names.contains(name)) {
            let message = format!("Matrix exclude key '{name}' does not match any key within the matrix");
            wrong.push(Diagnostic::error(SHAPE, span, message));
        }
        self.excludes.push(Filter::new(entry));
    }

    fn include(&mut self, entry: &Object, names: &Object) {
        let (mut must_fit, mut adds) = (Object::new(), Object::new());
        for (name, item) in entry.iter() {
            let part = if names.contains(name) { &mut must_fit } else { &mut adds };
            part.insert(name.clone(), item.clone());
        }
        self.includes.push(Include { filter: Filter::new(&must_fit), must_fit, adds, used: false });
    }

    fn build(mut self) -> Result<Vec<MatrixLeg>, Vec<Diagnostic>> {
        let product = self.product()?;
        let mut legs = Vec::new();
        for index in 0..product {
            let mut combination = self.combination(index, product);
            if self.excludes.iter().any(|filter| filter.matches(&combination)) {
                continue;
            }
            let segments = segments(combination.values());
            self.add_includes(&mut combination);
            legs.push((combination, segments));
            self.check_count(legs.len())?;
        }
        for include in self.includes.iter().filter(|include| !include.used) {
            let pairs = include.must_fit.iter().chain(include.adds.iter());
            let combination: Object = pairs.map(|(name, item)| (name.clone(), item.clone())).collect();
            let segments = segments(combination.values());
            legs.push((combination, segments));
            self.check_count(legs.len())?;
        }
        Ok(numbered(legs))
    }

    /// How many combinations there are before any is excluded. Too many are refused here, before one is made.
    fn product(&self) -> Result<usize, Vec<Diagnostic>> {
        if self.vectors.is_empty() {
            return Ok(0);
        }
        let product = self.vectors.iter().try_fold(1_usize, |product, (_, items)| product.checked_mul(items.len()));
        let most = match self.excludes.len() {
            0 => LEGS_MAX,
            entries => COMBINATIONS_MAX.min(COMPARISONS_MAX / entries),
        };
        product.filter(|product| *product <= most).ok_or_else(|| {
            let sizes: Vec<String> = self.vectors.iter().map(|(_, items)| items.len().to_string()).collect();
            let product = product.map_or_else(|| "more than 10^18".to_owned(), |product| product.to_string());
            vec![self.too_many(&format!("matrix has {product} combinations ({})", sizes.join(" × ")))]
        })
    }

    fn check_count(&self, count: usize) -> Result<(), Vec<Diagnostic>> {
        if count <= LEGS_MAX {
            return Ok(());
        }
        Err(vec![self.too_many("matrix has too many combinations after `exclude` and `include`")])
    }

    fn too_many(&self, what: &str) -> Diagnostic {
        Diagnostic::error(TOO_MANY, self.place, format!("{what}, at most {LEGS_MAX} jobs are allowed"))
            .help("split the job, or take out combinations with `exclude`")
    }

    /// The combination of a number: the last vector varies fastest.
    fn combination(&self, index: usize, product: usize) -> Object {
        let mut block = product;
        let item = |(name, items): &(Arc<str>, Arc<Vec<Value>>)| {
            block /= items.len();
            (name.clone(), items[index / block % items.len()].clone())
        };
        self.vectors.iter().map(item).collect()
    }

    /// Later entries win over earlier ones; no entry changes a value of the cross product.
    fn add_includes(&mut self, combination: &mut Object) {
        let mut added = Object::new();
        for include in &mut self.includes {
            if include.filter.matches(combination) {
                include.used = true;
                for (name, item) in include.adds.iter() {
                    added.insert(name.clone(), item.clone());
                }
            }
        }
        for (name, item) in added.iter() {
            combination.insert(name.clone(), item.clone());
        }
    }
}

fn is_special(name: &str) -> bool {
    name.eq_ignore_ascii_case("include") || name.eq_ignore_ascii_case("exclude")
}

/// The mappings of `include` or `exclude`; others are wrong.
fn entries(matrix: &Object, key: &str, places: &Places<'_>, wrong: &mut Vec<Diagnostic>) -> Vec<Arc<Object>> {
    let span = places.of(key);
    let items = match matrix.get(key) {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Array(items)) => items,
        Some(other) => {
            wrong.push(wrong_type(&format!("matrix {key}"), "a list", other, span));
            return Vec::new();
        }
    };
    if items.len() > ENTRIES_MAX {
        let message = format!("matrix {key} has {} entries, at most {ENTRIES_MAX} are allowed", items.len());
        wrong.push(Diagnostic::error(TOO_MANY, span, message));
        return Vec::new();
    }
    let mut entries = Vec::new();
    for item in items.iter() {
        match item {
            Value::Object(entry) if entry.is_empty() => {
                let message = if key == "exclude" {
                    "Matrix exclude filter must not be empty"
                } else {
                    "Matrix include mapping does not contain any values"
                };
                wrong.push(Diagnostic::error(SHAPE, span, message));
            }
            Value::Object(entry) => entries.push(entry.clone()),
            Value::Null | Value::Boolean(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                wrong.push(wrong_type(&format!("an entry of matrix {key}"), "a mapping", item, span));
            }
        }
    }
    entries
}

fn numbered(legs: Vec<(Object, Vec<String>)>) -> Vec<MatrixLeg> {
    let total = u32::try_from(legs.len()).unwrap_or(u32::MAX);
    let leg = |(index, (combination, segments)): (u32, (Object, Vec<String>))| MatrixLeg {
        index,
        total,
        values: Some(Arc::new(combination.iter().map(|(name, item)| (name.to_string(), item.to_json())).collect())),
        segments,
    };
    (0..).zip(legs).map(leg).collect()
}
