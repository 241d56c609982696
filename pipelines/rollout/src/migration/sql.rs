//! What a migration takes away, read from its SQL: what cannot be undone, and what the revision that runs may miss.
//!
//! It reads statements, not a grammar: comments, strings and what dollar quotes enclose are passed over. What it cannot know (how
//! wide a column's type was) is taken for the worse. Statements are those of PostgreSQL
//! (<https://www.postgresql.org/docs/current/sql-altertable.html>), MySQL and SQLite.

/// What a statement does to those who use the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Harm {
    /// Data is gone for good.
    Loses(String),
    /// Nothing is lost, and the revision that runs may not work with it.
    Breaks(String),
}

/// What the part of a file that goes forwards does.
pub(super) fn harms(text: &str) -> Vec<Harm> {
    statements(forwards(text)).iter().flat_map(|words| of_statement(words)).collect()
}

/// Lines that begin the part of a file that goes backwards: goose, dbmate, sql-migrate.
const DOWN: [&str; 3] = ["-- +goose down", "-- migrate:down", "-- +migrate down"];

fn forwards(text: &str) -> &str {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let lower = line.trim().to_lowercase();
        if DOWN.iter().any(|down| lower.starts_with(down)) {
            return &text[..at];
        }
        at += line.len();
    }
    text
}

/// Words of each statement in upper case; names lose their quotes.
fn statements(text: &str) -> Vec<Vec<String>> {
    let (mut all, mut words, mut word) = (Vec::new(), Vec::new(), String::new());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let mut skip = c.len_utf8();
        let is_word = c.is_alphanumeric() || c == '_' || c == '.';
        if is_word {
            word.extend(c.to_uppercase());
        } else if !word.is_empty() && !matches!(c, '"' | '`' | '$') {
            words.push(std::mem::take(&mut word));
        }
        if rest.starts_with("--") || (c == '#' && word.is_empty()) {
            skip = rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            skip = rest.find("*/").map_or(rest.len(), |end| end + 2);
        } else if c == '\'' {
            skip = end_of_string(rest);
            words.push("''".to_owned());
        } else if let Some(tag) = dollar_tag(rest) {
            skip = rest[tag.len()..].find(tag).map_or(rest.len(), |end| end + 2 * tag.len());
        } else if matches!(c, ',' | '(' | ')' | '=') {
            words.push(c.to_string());
        } else if c == ';' {
            all.push(std::mem::take(&mut words));
        }
        rest = &rest[skip..];
    }
    words.extend((!word.is_empty()).then_some(word));
    all.push(words);
    all.retain(|words| !words.is_empty());
    all
}

/// A doubled quote is none; a backslash is a letter, as the standard has it.
fn end_of_string(text: &str) -> usize {
    let mut at = 1;
    while let Some(next) = text[at..].find('\'') {
        at += next + 1;
        if !text[at..].starts_with('\'') {
            return at;
        }
        at += 1;
    }
    text.len()
}

/// `$$` or `$name$` at the beginning.
fn dollar_tag(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('$')?;
    let end = inside.find('$')?;
    let is_name = inside[..end].chars().all(|c| c.is_alphanumeric() || c == '_')
        && !inside.starts_with(|c: char| c.is_ascii_digit());
    is_name.then(|| &text[..end + 2])
}

fn of_statement(words: &[String]) -> Vec<Harm> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let has = |word: &str| words.contains(&word);
    match words.as_slice() {
        ["DROP", kind @ ("TABLE" | "SCHEMA" | "DATABASE"), rest @ ..] => {
            vec![Harm::Loses(format!("drops {} {}", kind.to_lowercase(), name(rest)))]
        }
        ["DROP", "MATERIALIZED", "VIEW", rest @ ..]
        | ["DROP", "VIEW" | "FUNCTION" | "TYPE" | "PROCEDURE", rest @ ..] => {
            vec![Harm::Breaks(format!("drops {}", name(rest)))]
        }
        ["TRUNCATE", rest @ ..] => vec![Harm::Loses(format!("empties {}", name(rest)))],
        ["DELETE", "FROM", rest @ ..] => vec![Harm::Loses(format!("deletes rows of {}", name(rest)))],
        ["UPDATE", rest @ ..] if !has("WHERE") => vec![Harm::Loses(format!("overwrites all rows of {}", name(rest)))],
        ["RENAME", "TABLE", rest @ ..] => vec![Harm::Breaks(format!("renames table {}", name(rest)))],
        ["ALTER", "TABLE", rest @ ..] => alter(rest),
        _ => Vec::new(),
    }
}

/// The first word that is a name.
fn name(words: &[&str]) -> String {
    let noise = ["IF", "EXISTS", "NOT", "TABLE", "ONLY", "COLUMN", "CONCURRENTLY"];
    words.iter().find(|word| !noise.contains(word)).map_or_else(|| "?".to_owned(), |word| word.to_lowercase())
}

/// What `ALTER TABLE` does, action by action.
fn alter(words: &[&str]) -> Vec<Harm> {
    let table = name(words);
    let at = words.iter().position(|word| word.to_lowercase() == table).map_or(0, |at| at + 1);
    actions(&words[at.min(words.len())..]).into_iter().filter_map(|action| of_action(&table, action)).collect()
}

/// Between commas that are in no brackets.
fn actions<'a, 'b>(words: &'a [&'b str]) -> Vec<&'a [&'b str]> {
    let (mut depth, mut from, mut all) = (0_usize, 0, Vec::new());
    for (at, word) in words.iter().enumerate() {
        match *word {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            "," if depth == 0 => {
                all.push(&words[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    all.push(&words[from..]);
    all
}

fn of_action(table: &str, action: &[&str]) -> Option<Harm> {
    let column = |rest: &[&str]| format!("{table}.{}", name(rest));
    match action {
        ["DROP", "CONSTRAINT" | "INDEX" | "KEY" | "PRIMARY" | "FOREIGN" | "CHECK" | "DEFAULT", ..] => None,
        ["DROP", "PARTITION", rest @ ..] => Some(Harm::Loses(format!("drops partition {}", column(rest)))),
        ["DROP", rest @ ..] => Some(Harm::Loses(format!("drops column {}", column(rest)))),
        ["RENAME", "TO" | "AS", ..] => Some(Harm::Breaks(format!("renames table {table}"))),
        ["RENAME", "CONSTRAINT" | "INDEX" | "KEY", ..] => None,
        ["RENAME", rest @ ..] => Some(Harm::Breaks(format!("renames column {}", column(rest)))),
        ["ADD", "CONSTRAINT" | "PRIMARY" | "FOREIGN" | "CHECK" | "UNIQUE", ..] if !action.contains(&"VALID") => {
            Some(Harm::Breaks(format!("restricts {table}")))
        }
        ["ADD", "CONSTRAINT" | "PRIMARY" | "FOREIGN" | "CHECK" | "UNIQUE" | "INDEX" | "KEY" | "PARTITION", ..] => None,
        ["ADD", rest @ ..] => {
            let is_wanted = rest.windows(2).any(|pair| pair == ["NOT", "NULL"]);
            let is_filled = ["DEFAULT", "GENERATED", "AUTO_INCREMENT", "SERIAL", "BIGSERIAL"];
            (is_wanted && !rest.iter().any(|word| is_filled.contains(word)))
                .then(|| Harm::Breaks(format!("adds column {}, which rows must have", column(rest))))
        }
        ["ALTER", rest @ ..] => alter_column(&column(rest), rest),
        [verb @ ("MODIFY" | "CHANGE"), rest @ ..] => {
            // `CHANGE` has the new name too.
            let names = 1 + usize::from(rest.first() == Some(&"COLUMN")) + usize::from(*verb == "CHANGE");
            typed(&column(rest), rest.iter().skip(names))
        }
        _ => None,
    }
}

fn alter_column(column: &str, rest: &[&str]) -> Option<Harm> {
    if rest.windows(3).any(|words| words == ["SET", "NOT", "NULL"]) {
        return Some(Harm::Breaks(format!("{column} must have a value")));
    }
    // Behind the column's name, which may be `type` too.
    let behind = if rest.first() == Some(&"COLUMN") { 2 } else { 1 };
    let at = rest.iter().skip(behind).position(|word| *word == "TYPE")? + behind;
    typed(column, rest[at + 1..].iter())
}

/// Types that hold whatever was there.
const WIDE: [&str; 10] =
    ["TEXT", "LONGTEXT", "BIGINT", "INT8", "NUMERIC", "DECIMAL", "DOUBLE", "FLOAT8", "JSONB", "TIMESTAMPTZ"];

fn typed<'a>(column: &str, mut rest: impl Iterator<Item = &'a &'a str>) -> Option<Harm> {
    let kind = rest.next()?;
    let is_limited = rest.next() == Some(&"(");
    if WIDE.contains(kind) && !is_limited {
        return Some(Harm::Breaks(format!("changes the type of {column} to {}", kind.to_lowercase())));
    }
    Some(Harm::Loses(format!("changes the type of {column} to {}, which may hold less", kind.to_lowercase())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sql: &str, expect: &[&str]) {
        let harms: Vec<String> = harms(sql)
            .into_iter()
            .map(|harm| match harm {
                Harm::Loses(words) => format!("loses: {words}"),
                Harm::Breaks(words) => format!("breaks: {words}"),
            })
            .collect();
        assert_eq!(harms, expect, "{sql}");
    }

    #[test]
    fn what_takes_away_is_seen() {
        check("CREATE TABLE a (b int); create index c on a (b); insert into a values (1);", &[]);
        check("DROP TABLE IF EXISTS public.orders CASCADE;", &["loses: drops table public.orders"]);
        check("drop\n table\t\"Orders\"", &["loses: drops table orders"]);
        check("ALTER TABLE orders DROP COLUMN note, ADD COLUMN x int", &["loses: drops column orders.note"]);
        check("ALTER TABLE ONLY orders DROP note;", &["loses: drops column orders.note"]);
        check("ALTER TABLE orders DROP CONSTRAINT c; ALTER TABLE o ALTER COLUMN a DROP NOT NULL", &[]);
        check(
            "ALTER TABLE o ALTER COLUMN a TYPE varchar(10)",
            &["loses: changes the type of o.a to varchar, which may hold less"],
        );
        check("ALTER TABLE o ALTER a SET DATA TYPE text USING a::text", &["breaks: changes the type of o.a to text"]);
        check(
            "ALTER TABLE `o` MODIFY COLUMN `a` smallint",
            &["loses: changes the type of o.a to smallint, which may hold less"],
        );
        check("ALTER TABLE o CHANGE a b int", &["loses: changes the type of o.a to int, which may hold less"]);
        check("ALTER TABLE o ALTER COLUMN type SET DEFAULT 'x'", &[]);
        check(
            "ALTER TABLE o ALTER COLUMN a TYPE numeric(5,2)",
            &["loses: changes the type of o.a to numeric, which may hold less"],
        );
        check("TRUNCATE TABLE a; DELETE FROM b WHERE c = 1", &["loses: empties a", "loses: deletes rows of b"]);
        check("UPDATE a SET b = 1 WHERE b IS NULL", &[]);
        check("update a set b = 1", &["loses: overwrites all rows of a"]);
        check("ALTER TABLE a RENAME COLUMN b TO c", &["breaks: renames column a.b"]);
        check(
            "ALTER TABLE a RENAME TO b; RENAME TABLE c TO d",
            &["breaks: renames table a", "breaks: renames table c"],
        );
        check("ALTER TABLE a ALTER COLUMN b SET NOT NULL", &["breaks: a.b must have a value"]);
        check("ALTER TABLE a ADD COLUMN b int NOT NULL", &["breaks: adds column a.b, which rows must have"]);
        check("ALTER TABLE a ADD b int NOT NULL DEFAULT 0, ADD COLUMN c numeric(3, 2)", &[]);
        check("ALTER TABLE a ADD CONSTRAINT c CHECK (b > 0)", &["breaks: restricts a"]);
        check("ALTER TABLE a ADD CONSTRAINT c CHECK (b > 0) NOT VALID", &[]);
        check("DROP VIEW v", &["breaks: drops v"]);
    }

    #[test]
    fn what_only_looks_like_it_is_not() {
        check("-- DROP TABLE a;\n/* DROP TABLE b; */ SELECT 'DROP TABLE c; it''s'; SELECT $$ DROP TABLE d $$;", &[]);
        check("# DROP TABLE a\nSELECT 1", &[]);
        check("CREATE FUNCTION f() RETURNS void AS $body$ BEGIN DELETE FROM a; END $body$ LANGUAGE plpgsql;", &[]);
        check("-- migrate:up\nCREATE TABLE a (b int);\n-- migrate:down\nDROP TABLE a;", &[]);
        check("-- +goose Up\nDROP TABLE b;\n-- +goose Down\nDROP TABLE a;", &["loses: drops table b"]);
        check("", &[]);
        check("SELECT 'never closed; DROP TABLE a", &[]);
        check("SELECT $1; SELECT é, 'ü'; /* never closed", &[]);
    }
}
