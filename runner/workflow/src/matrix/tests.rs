//! Tables of matrices and their legs, and properties of all of them.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{ENTRIES_MAX, LEGS_MAX, Legs, MISTAKES_MAX, expand, leg_name};
use crate::expression::{Allowed, Expression, Function, Scope, Status, Value};
use crate::model::Strategy;
use crate::source::Span;
use crate::template::{Token, TokenKind};

struct Needs(Json);

impl Scope for Needs {
    fn context(&self, name: &str) -> Option<Value> {
        (name == "needs").then(|| Value::from_json(&self.0))
    }

    fn status(&self) -> Option<Status> {
        None
    }

    fn status_function(&self, _: Function, _: &[Value]) -> Option<bool> {
        None
    }

    fn hash_files(&self, _: &[String]) -> Result<String, String> {
        Err("no files here".to_owned())
    }
}

/// A token from JSON; `"${{ x }}"` becomes an expression.
pub(crate) fn token(json: &Json) -> Token {
    let kind = match json {
        Json::Null => TokenKind::Null,
        Json::Bool(boolean) => TokenKind::Boolean(*boolean),
        Json::Number(number) => TokenKind::Number(number.as_f64().unwrap()),
        Json::String(text) => match text.strip_prefix("${{").and_then(|text| text.strip_suffix("}}")) {
            Some(inner) => TokenKind::Expression(Expression::parse(inner, &Allowed::ANYTHING).unwrap()),
            None => TokenKind::String(text.as_str().into()),
        },
        Json::Array(items) => TokenKind::Sequence(items.iter().map(token).collect()),
        Json::Object(pairs) => TokenKind::Mapping(
            pairs.iter().map(|(name, value)| (token(&Json::from(name.as_str())), token(value))).collect(),
        ),
    };
    Token::new(kind, Span::default())
}

pub(crate) fn strategy(json: &Json) -> Strategy {
    let part = |key: &str| json.get(key).map(token);
    Strategy {
        token: token(json),
        matrix: part("matrix"),
        fail_fast: part("fail-fast"),
        max_parallel: part("max-parallel"),
    }
}

fn legs(matrix: &Json, needs: &Json) -> Result<Legs, String> {
    expand(&strategy(&json!({ "matrix": matrix })), &Needs(needs.clone()))
        .map_err(|wrong| wrong.iter().map(|one| one.message.clone()).collect::<Vec<_>>().join("; "))
}

/// Legs as `name (segments): {values}` lines.
#[track_caller]
fn check(matrix: Json, expected: &[&str]) {
    let actual: Vec<String> = match legs(&matrix, &json!({ "a": { "outputs": { "list": "[1,2]" } } })) {
        Err(message) => vec![format!("error: {message}")],
        Ok(legs) => {
            legs.legs.iter().map(|leg| format!("{} {}", leg_name("t", &leg.segments), leg.matrix_context())).collect()
        }
    };
    assert_eq!(actual, expected, "{matrix}");
}

#[test]
fn products_and_exclude() {
    check(
        json!({ "os": ["linux", "mac"], "node": [18, 20.5] }),
        &[
            r#"t (linux, 18) {"os":"linux","node":18}"#,
            r#"t (linux, 20.5) {"os":"linux","node":20.5}"#,
            r#"t (mac, 18) {"os":"mac","node":18}"#,
            r#"t (mac, 20.5) {"os":"mac","node":20.5}"#,
        ],
    );
    check(
        json!({ "os": ["linux", "mac"], "node": [18, 20], "exclude": [{ "os": "LINUX", "node": "18" }, { "node": 20 }] }),
        &[r#"t (mac, 18) {"os":"mac","node":18}"#],
    );
    check(
        json!({ "v": [{ "a": { "b": 1, "c": 2 } }, { "a": { "b": 2, "c": 2 } }], "exclude": [{ "v": { "a": { "b": 1 } } }] }),
        &[r#"t (2, 2) {"v":{"a":{"b":2,"c":2}}}"#],
    );
    check(json!({ "v": [[1, 2], [3, 4]], "exclude": [{ "v": [3] }] }), &[r#"t (1, 2) {"v":[1,2]}"#]);
    check(json!({ "a": [1], "exclude": [{ "a": 1 }] }), &[]);
    check(json!({ "a": [null, "", true] }), &[r#"t {"a":null}"#, r#"t {"a":""}"#, r#"t (true) {"a":true}"#]);
}

#[test]
fn include() {
    // The example of GitHub's documentation.
    check(
        json!({
            "fruit": ["apple", "pear"], "animal": ["cat", "dog"],
            "include": [
                { "color": "green" }, { "color": "pink", "animal": "cat" }, { "fruit": "apple", "shape": "circle" },
                { "fruit": "banana" }, { "fruit": "banana", "animal": "cat" },
            ],
        }),
        &[
            r#"t (apple, cat) {"fruit":"apple","animal":"cat","color":"pink","shape":"circle"}"#,
            r#"t (apple, dog) {"fruit":"apple","animal":"dog","color":"green","shape":"circle"}"#,
            r#"t (pear, cat) {"fruit":"pear","animal":"cat","color":"pink"}"#,
            r#"t (pear, dog) {"fruit":"pear","animal":"dog","color":"green"}"#,
            r#"t (banana) {"fruit":"banana"}"#,
            r#"t (banana, cat) {"fruit":"banana","animal":"cat"}"#,
        ],
    );
    check(
        json!({ "include": [{ "site": "prod", "n": 1 }, { "site": "test" }] }),
        &[r#"t (prod, 1) {"site":"prod","n":1}"#, r#"t (test) {"site":"test"}"#],
    );
    check(json!({ "a": [1], "exclude": [{ "a": 1 }], "include": [{ "b": 2 }] }), &[r#"t (2) {"b":2}"#]);
}

#[test]
fn dynamic_values() {
    check(json!({ "n": "${{ fromJSON(needs.a.outputs.list) }}" }), &[r#"t (1) {"n":1}"#, r#"t (2) {"n":2}"#]);
    check(
        json!({ "n": [0, "${{ fromJSON(needs.a.outputs.list) }}"] }),
        &[r#"t (0) {"n":0}"#, r#"t (1) {"n":1}"#, r#"t (2) {"n":2}"#],
    );
    check(json!("${{ fromJSON('{\"x\":[1]}') }}"), &[r#"t (1) {"x":1}"#]);
}

#[test]
fn wrong_matrices() {
    check(json!({ "a": [] }), &["error: Matrix vector 'a' does not contain any values"]);
    check(json!({ "a": "x" }), &["error: matrix vector `a` must be a list, but is of type string"]);
    check(json!({}), &["error: Matrix must define at least one vector"]);
    check(json!("x"), &["error: matrix must be a mapping, but is of type string"]);
    check(json!({ "a": [1], "include": 1 }), &["error: matrix include must be a list, but is of type number"]);
    check(json!({ "a": [1], "include": [{}] }), &["error: Matrix include mapping does not contain any values"]);
    check(
        json!({ "a": [1], "exclude": [{ "b": 1 }, 3] }),
        &["error: an entry of matrix exclude must be a mapping, but is of type number; \
           Matrix exclude key 'b' does not match any key within the matrix"],
    );
    check(
        json!({ "a": "${{ fromJSON('[') }}" }),
        &[&*format!("error: {}", legs(&json!({ "a": "${{ fromJSON('[') }}" }), &json!({})).unwrap_err())],
    );
}

#[test]
fn the_limit_is_found_before_anything_is_made() {
    let ten: Vec<u32> = (0..10).collect();
    let error = legs(&json!({ "a": ten, "b": ten, "c": ten, "d": ten }), &json!({})).unwrap_err();
    assert_eq!(error, "matrix has 10000 combinations (10 × 10 × 10 × 10), at most 256 jobs are allowed");
    let wide: Vec<u32> = (0..1000).collect();
    let error = legs(&json!({ "a": wide, "b": wide, "c": wide, "d": wide, "exclude": [{ "a": 1 }] }), &json!({}));
    assert!(error.unwrap_err().starts_with("matrix has 1000000000000 combinations"));
    let sixteen: Vec<u32> = (0..16).collect();
    assert_eq!(legs(&json!({ "a": sixteen, "b": sixteen }), &json!({})).unwrap().legs.len(), LEGS_MAX);
    let more = json!({ "a": sixteen, "b": sixteen, "include": [{ "a": 99 }] });
    assert!(legs(&more, &json!({})).unwrap_err().contains("too many combinations"));
    let exclude: Vec<Json> = (0..8).map(|a| json!({ "a": a })).collect();
    let excluded = json!({ "a": ten, "b": ten, "c": ten, "exclude": exclude });
    assert_eq!(legs(&excluded, &json!({})).unwrap().legs.len(), 200);
}

#[test]
fn i15_a_list_that_another_job_makes_meets_the_limit_too() {
    let list = serde_json::to_string(&(0..100_000).collect::<Vec<u32>>()).unwrap();
    let needs = json!({ "a": { "outputs": { "list": list } } });
    let given = "${{ fromJSON(needs.a.outputs.list) }}";
    for matrix in [json!({ "n": given }), json!({ "n": given, "m": given })] {
        let error = legs(&matrix, &needs).unwrap_err();
        assert!(error.starts_with("matrix has ") && error.ends_with("at most 256 jobs are allowed"), "{error}");
    }
    for key in ["include", "exclude"] {
        let error = legs(&json!({ "a": [1], key: given }), &needs).unwrap_err();
        assert_eq!(error, format!("matrix {key} has 100000 entries, at most 1000 are allowed"));
    }
    // What takes all of many combinations away, each by the last of its entries.
    let digits: Vec<u32> = (0..10).collect();
    let mut exclude = vec![json!({ "a": 10 }); ENTRIES_MAX - 10];
    exclude.extend(digits.iter().map(|a| json!({ "a": a })));
    let mut matrix = json!({ "a": digits, "b": digits, "c": digits, "exclude": exclude });
    assert_eq!(legs(&matrix, &needs).unwrap().legs.len(), 0);
    for vector in ["d", "e"] {
        matrix[vector] = json!(digits);
    }
    assert!(legs(&matrix, &needs).unwrap_err().starts_with("matrix has 100000 combinations"));
    let keys: serde_json::Map<String, Json> = (0..10_000).map(|key| (key.to_string(), Json::Null)).collect();
    let error = legs(&json!({ "a": [1], "exclude": [keys] }), &needs).unwrap_err();
    assert_eq!(error.split("; ").count(), MISTAKES_MAX);
}

#[test]
fn the_other_parts_of_a_strategy() {
    let expand = |json: Json| expand(&strategy(&json), &Needs(Json::Null)).map_err(|wrong| wrong[0].message.clone());
    let legs = expand(json!({ "matrix": { "a": [1, 2] }, "fail-fast": false, "max-parallel": 1 })).unwrap();
    assert_eq!((legs.fail_fast, legs.max_parallel), (false, Some(1)));
    assert_eq!(
        Json::Object(legs.legs[1].strategy_context(legs.fail_fast, legs.max_parallel)),
        json!({ "fail-fast": false, "job-index": 1, "job-total": 2, "max-parallel": 1 })
    );
    assert_eq!(expand(json!({ "fail-fast": "${{ 1 == 1 }}" })).unwrap(), Legs::single());
    assert_eq!(
        expand(json!({ "fail-fast": "yes" })).unwrap_err(),
        "strategy fail-fast must be true or false, but is of type string"
    );
    assert_eq!(
        expand(json!("${{ fromJSON('{\"matrix\":{\"a\":[1,2]},\"max-parallel\":3}') }}")).unwrap().legs.len(),
        2
    );
}

#[test]
fn long_names_are_cut() {
    let name = leg_name("job", &["x".repeat(200)]);
    assert_eq!(name.len(), 100);
    assert!(name.starts_with("job (xxx") && name.ends_with("xxx..."));
    assert_eq!(leg_name("job", &["😀".repeat(60)]).chars().count(), 5 + 46 + 3);
    assert_eq!(leg_name(&"j".repeat(100), &[]), "j".repeat(100));
}

proptest! {
    /// Each leg is a combination, none twice; those missing are exactly the excluded ones.
    #[test]
    fn excluded_and_kept_make_the_product(
        sizes in proptest::collection::vec(1_usize..4, 1..4),
        excluded in proptest::collection::vec((0_usize..4, 0_usize..4), 0..4),
    ) {
        let mut matrix = serde_json::Map::new();
        for (index, size) in sizes.iter().enumerate() {
            matrix.insert(format!("v{index}"), json!((0..*size).collect::<Vec<_>>()));
        }
        let excludes: Vec<(usize, usize)> = excluded.into_iter().filter(|(vector, _)| *vector < sizes.len()).collect();
        let entries: Vec<Json> = excludes.iter().map(|(vector, value)| json!({ (format!("v{vector}")): value })).collect();
        matrix.insert("exclude".to_owned(), json!(entries));
        let legs = legs(&Json::Object(matrix), &json!({})).unwrap().legs;
        let mut seen = std::collections::BTreeSet::new();
        for leg in &legs {
            let values = leg.values.as_ref().unwrap();
            prop_assert!(seen.insert(Json::Object(values.as_ref().clone()).to_string()));
            let is_excluded = excludes.iter().any(|(vector, value)| values[&format!("v{vector}")] == json!(value));
            prop_assert!(!is_excluded);
            prop_assert_eq!(leg.total as usize, legs.len());
        }
        let kept = |vector: usize, size: usize| (0..size).filter(|value| !excludes.contains(&(vector, *value))).count();
        let expected: usize = sizes.iter().enumerate().map(|(vector, size)| kept(vector, *size)).product();
        prop_assert_eq!(legs.len(), expected);
    }

    /// An include entry without vector keys adds to every leg and never makes one.
    #[test]
    fn plain_include_adds_to_all(size in 1_usize..6) {
        let matrix = json!({ "a": (0..size).collect::<Vec<_>>(), "include": [{ "x": "y" }] });
        let legs = legs(&matrix, &json!({})).unwrap().legs;
        prop_assert_eq!(legs.len(), size);
        prop_assert!(legs.iter().all(|leg| leg.values.as_ref().unwrap()["x"] == "y" && leg.segments.len() == 1));
    }
}
