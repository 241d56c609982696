//! `if:` of a job, a step or a snapshot: always an expression, with `success()` added where no status function is named.
//!
//! It is parsed here rather than with the other values, because its braces may be left out. Follows
//! <https://docs.github.com/en/actions/writing-workflows/workflow-syntax-for-github-actions#jobsjob_idif>.

use super::checks::Checks;
use crate::expression::{Allowed, AllowedFunction, Expression, ExpressionError, Function};
use crate::schema::AllowedNames;
use crate::template::{Token, TokenKind};

/// Whose condition it is: each may name other contexts and functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// A job: nothing of it runs yet.
    Job,
    /// A step.
    Step,
    /// A snapshot, taken when the job's steps are done.
    Snapshot,
    /// A `pre:` or `post:` of an action.
    Part,
}

const PART_CONTEXTS: &[&str] = &["github", "strategy", "matrix", "job", "runner", "env", "inputs"];

const PART: Allowed<'static> = Allowed::new(PART_CONTEXTS, Allowed::STEP_FUNCTIONS);

const JOB_CONTEXTS: &[&str] = &["github", "vars", "inputs", "needs"];

const JOB: Allowed<'static> = Allowed::new(
    JOB_CONTEXTS,
    &[
        AllowedFunction::new(Function::Always, 0, 0),
        AllowedFunction::new(Function::Failure, 0, usize::MAX),
        AllowedFunction::new(Function::Cancelled, 0, 0),
        AllowedFunction::new(Function::Success, 0, usize::MAX),
    ],
);

const STEP_CONTEXTS: &[&str] =
    &["github", "vars", "inputs", "needs", "strategy", "matrix", "steps", "job", "runner", "env"];

const STEP: Allowed<'static> = Allowed::new(STEP_CONTEXTS, Allowed::STEP_FUNCTIONS);

impl Owner {
    const fn allowed(self) -> &'static Allowed<'static> {
        match self {
            Self::Job => &JOB,
            Self::Step | Self::Snapshot => &STEP,
            Self::Part => &PART,
        }
    }

    fn names(self) -> AllowedNames {
        let contexts = match self {
            Self::Job => JOB_CONTEXTS,
            Self::Step | Self::Snapshot => STEP_CONTEXTS,
            Self::Part => PART_CONTEXTS,
        };
        AllowedNames { contexts: contexts.to_vec(), functions: self.allowed().functions.to_vec() }
    }
}

/// The condition that is in force where none is written.
pub(super) fn default_condition() -> Expression {
    Expression::parse("success()", &JOB).expect("a constant expression that the tests parse")
}

/// The condition of a `pre:` or `post:` without one.
pub(super) fn always() -> Expression {
    Expression::parse("always()", &PART).expect("a constant expression that the tests parse")
}

/// The condition of a `pre:` or `post:` out of its text.
pub(crate) fn part(text: &str) -> Result<Expression, ExpressionError> {
    Expression::parse(text, &PART)
}

/// Reads the condition of a `pre:` or `post:`: no `success()` is added to it. What is wrong with it is recorded.
pub(super) fn read_part(checks: &mut Checks<'_>, written: &Token) -> Expression {
    let text = written_text(written);
    part(text.trim()).unwrap_or_else(|error| {
        checks.expression_error(written, text, &error, Owner::Part.names());
        always()
    })
}

/// Reads a condition. What is wrong with it is recorded, and the default stands in for it.
pub(super) fn read(checks: &mut Checks<'_>, written: &Token, owner: Owner) -> Expression {
    let text = written_text(written);
    if text.trim().is_empty() {
        return checks.success();
    }
    match Expression::parse(text, owner.allowed()) {
        Ok(expression) => expression.into_condition(),
        Err(error) => {
            checks.expression_error(written, text, &error, owner.names());
            checks.success()
        }
    }
}

/// A condition as it is written, with braces around it or without.
fn written_text(written: &Token) -> &str {
    match &written.kind {
        TokenKind::Expression(expression) => expression.text(),
        TokenKind::String(text) => text,
        TokenKind::Null
        | TokenKind::Boolean(_)
        | TokenKind::Number(_)
        | TokenKind::Sequence(_)
        | TokenKind::Mapping(_)
        | TokenKind::Insert => "",
    }
}
