//! Operations of a description: what is asked of them, and what is told of their answers.

use serde_json::{Value as Json, json};

use super::super::{api, sample};
use super::*;

fn description() -> Json {
    json!({
        "openapi": "3.1.0",
        "security": [{ "key": [] }],
        "paths": {
            "/products/{id}": {
                "parameters": [{ "name": "id", "in": "path", "required": true, "schema": { "type": "integer", "minimum": 1 } }],
                "get": {
                    "security": [],
                    "parameters": [{ "name": "q", "in": "query", "schema": { "type": "string", "maxLength": 20 } }],
                    "responses": {
                        "200": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Product" } } } },
                        "4XX": { "description": "refused" }
                    }
                },
                "delete": { "responses": { "204": { "description": "gone" } } }
            },
            "/orders": {
                "get": { "responses": { "200": { "content": { "application/json": { "schema": { "type": "array" } } } } } },
                "post": {
                    "requestBody": { "content": { "application/json": { "schema": {
                        "type": "object", "required": ["sku", "count"],
                        "properties": { "sku": { "type": "string", "pattern": "^[A-Z]{3}-\\d{2}$" }, "count": { "type": "integer", "exclusiveMinimum": 0 } }
                    } } } },
                    "responses": { "201": { "description": "made" }, "422": { "description": "refused" } }
                }
            }
        },
        "components": { "schemas": { "Product": {
            "type": "object", "required": ["id", "price"],
            "properties": { "id": { "type": "integer" }, "price": { "type": "number", "minimum": 0 }, "next": { "anyOf": [{ "$ref": "#/components/schemas/Product" }, { "type": "null" }] } }
        } } }
    })
}

fn api() -> Api {
    Api::read(description().to_string().as_bytes()).unwrap()
}

/// A service that does all that its description says.
fn good(question: &Question) -> Answer {
    let json = |status, body: Json| answer(status, &[JSON, SAFE[1]], &body.to_string());
    let path = question.path.split('?').next().unwrap();
    let query = question.path.split_once('?').map_or("", |(_, query)| query);
    match (question.method.as_str(), path) {
        ("GET", path) if path.starts_with("/products/") => match path[10..].parse::<u32>() {
            Ok(id) if id > 0 && query.len() < 23 => json(200, json!({ "id": id, "price": 1.5, "next": null })),
            _ => json(422, json!({ "detail": "refused" })),
        },
        ("DELETE", _) | ("GET", "/orders") => json(401, json!({})),
        ("POST", "/orders") => {
            let body: Option<Json> = question.body.as_ref().and_then(|body| serde_json::from_str(body).ok());
            let is_fine = body.is_some_and(|body| body["sku"].as_str() == Some("AAA-00") && body["count"].is_u64());
            json(if is_fine { 401 } else { 422 }, json!({}))
        }
        _ => answer(404, &[("content-type", "text/plain")], "no"),
    }
}

#[test]
fn operations_are_asked_as_described() {
    let mut asked = Vec::new();
    let found = visit(Service::default(), Some(api()), |question| {
        asked.push(format!("{} {}", question.method, question.path));
        Some(good(question))
    });
    // 401 of the orders is what the description forgot.
    assert_eq!(ids(&found), ["probe-undocumented-status"], "{found:?}");
    for expected in [
        "GET /products/1",
        "GET /products/1?q=probe",
        "GET /products/pipe-probe",
        "GET /products/1.5",
        "GET /products/0",
    ] {
        assert!(asked.iter().any(|one| one == expected), "{expected}: {asked:?}");
    }
    assert!(!asked.iter().any(|one| one.starts_with("POST") || one.starts_with("DELETE")), "{asked:?}");
    let mut bodies = Vec::new();
    let free = Service { is_free: true, ..Service::default() };
    let found = visit(free, Some(api()), |question| {
        bodies.extend(question.body.clone());
        Some(good(question))
    });
    assert_eq!(found.len(), 2, "{found:?}");
    let first: Json = serde_json::from_str(&bodies[0]).unwrap();
    assert_eq!(first, json!({ "count": 1, "sku": "AAA-00" }));
    assert!(bodies.contains(&r#"{"count":1}"#.to_owned()) && bodies.contains(&"{\"pipe\": ".to_owned()), "{bodies:?}");
}

#[test]
fn operations_that_do_other_things() {
    let with = |change: fn(&Question, Answer) -> Option<Answer>| {
        visit(Service::default(), Some(api()), move |question| change(question, good(question)))
    };
    for (change, expected) in [
        (
            (|question, good| {
                let is_word = question.path == "/products/pipe-probe";
                Some(if is_word { answer(500, &[JSON, SAFE[1]], "{}") } else { good })
            }) as fn(&Question, Answer) -> Option<Answer>,
            "probe-server-error products/{id}: GET, id: a text: 500: a request ends with an error of the server",
        ),
        (
            |question, good| {
                Some(if question.path == "/products/1" { answer(503, &[JSON, SAFE[1]], "{}") } else { good })
            },
            "probe-server-error products/{id}: GET: 503: a request that the description of the API allows ends with",
        ),
        (
            |question, good| {
                let body = r#"{"id": 1, "price": 2, "next": {"id": 2, "price": -1}}"#;
                Some(if question.path == "/products/1" { answer(200, &[JSON, SAFE[1]], body) } else { good })
            },
            "probe-schema-mismatch products/{id}: GET: 200: /next fits none of anyOf: /next/price is -1, less than 0 allows: an answer is not",
        ),
        (
            |question, good| {
                let text = [("content-type", "text/plain"), SAFE[1]];
                Some(if question.path == "/products/1" { answer(200, &text, "one") } else { good })
            },
            "probe-undocumented-type products/{id}",
        ),
        (
            |question, good| {
                let body = r#"{"id": 0, "price": 2}"#;
                Some(if question.path == "/products/0" { answer(200, &[JSON, SAFE[1]], body) } else { good })
            },
            "probe-invalid-accepted products/{id}: GET, id: too little: 200: a value that",
        ),
        (
            |question, good| Some(if question.path == "/orders" { answer(200, &[JSON, SAFE[1]], "[]") } else { good }),
            "probe-authentication-missing orders",
        ),
        (|question, good| (question.path != "/products/1").then_some(good), "probe-no-answer products/{id}"),
    ] {
        let found = with(change);
        assert!(found.iter().any(|one| one.starts_with(expected)), "{expected}: {found:?}");
    }
    let known = Service { has_credentials: true, ..Service::default() };
    let found = visit(known, Some(api()), |question| {
        let all = answer(200, &[JSON, SAFE[1]], "[]");
        Some(if question.path == "/orders" { all } else { good(question) })
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn samples_are_valid_and_wrong_ones_are_not() {
    for (schema, is_made) in [
        (json!({ "type": "string", "pattern": "^[a-f0-9]{8}(-x|y)+$" }), true),
        (json!({ "type": "string", "minLength": 12, "maxLength": 12 }), true),
        (json!({ "type": "string", "format": "uuid" }), true),
        (json!({ "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 }), true),
        (json!({ "type": "integer", "minimum": 10, "multipleOf": 7 }), true),
        (json!({ "type": ["integer", "null"], "maximum": -5 }), true),
        (json!({ "type": "array", "minItems": 2, "items": { "enum": ["b", "c"] } }), true),
        (
            json!({ "allOf": [{ "type": "object", "required": ["a"], "properties": { "a": { "type": "boolean" } } }, { "required": ["b"], "properties": { "b": { "const": 4 } } }] }),
            true,
        ),
        (json!({ "anyOf": [{ "type": "null" }, { "type": "integer" }] }), true),
        (json!({ "type": "string", "pattern": "(?=x)y" }), false),
        (json!({ "type": "integer", "minimum": 5, "maximum": 4 }), false),
        (json!(false), false),
    ] {
        assert_eq!(sample::valid(&Json::Null, &schema).is_some(), is_made, "{schema}");
    }
    // A schema of itself ends.
    let root = json!({ "a": { "type": "object", "required": ["a"], "properties": { "a": { "$ref": "#/a" } } } });
    assert_eq!(sample::valid(&root, &json!({ "$ref": "#/a" })), None);
    assert_eq!(api::resolved(&json!({ "a": { "$ref": "#/a" } }), &json!({ "$ref": "#/a" })), &Json::Null);
}

#[test]
fn descriptions_that_are_none() {
    for (text, expected) in [
        ("{", "it is neither JSON nor YAML"),
        ("a: [", "it is neither JSON nor YAML"),
        ("swagger: '2.0'", "Swagger 2 has to be converted first"),
        ("openapi: 3.0.3", "`paths` is no mapping"),
        ("[]", "there is no `openapi: 3"),
    ] {
        let error = Api::read(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let yaml = "openapi: 3.0.3\npaths:\n  /a:\n    get:\n      responses:\n        200: {description: fine}\n";
    assert_eq!(Api::read(yaml.as_bytes()).unwrap().operations(), (1, 1));
    assert_eq!(api().operations(), (4, 2));
}
