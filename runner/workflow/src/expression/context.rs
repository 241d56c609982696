//! What an expression may name, and what it finds there: the seam between the language and the rest.
//!
//! [`Allowed`] is asked while parsing, [`Scope`] while evaluating. What it does not do: know which workflow key allows
//! what (`schema`).
//! Follows <https://docs.github.com/actions/reference/workflows-and-actions/contexts#context-availability>.

use super::text::equal_ignoring_case;
use super::value::Value;

/// A function of the language. The first eight are allowed everywhere, the others only where [`Allowed`] says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// `case(predicate, value, …, default)`
    Case,
    /// `contains(search, item)`
    Contains,
    /// `endsWith(text, end)`
    EndsWith,
    /// `format(text, value, …)`
    Format,
    /// `fromJSON(text)`
    FromJson,
    /// `join(array, separator?)`
    Join,
    /// `startsWith(text, start)`
    StartsWith,
    /// `toJSON(value)`
    ToJson,
    /// `always()`
    Always,
    /// `cancelled()`
    Cancelled,
    /// `failure()`
    Failure,
    /// `success()`
    Success,
    /// `hashFiles(pattern, …)`
    HashFiles,
}

impl Function {
    /// Every function.
    pub const ALL: [Self; 13] = [
        Self::Case,
        Self::Contains,
        Self::EndsWith,
        Self::Format,
        Self::FromJson,
        Self::Join,
        Self::StartsWith,
        Self::ToJson,
        Self::Always,
        Self::Cancelled,
        Self::Failure,
        Self::Success,
        Self::HashFiles,
    ];

    /// The function of that name, case ignored.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|function| function.name().eq_ignore_ascii_case(name))
    }

    /// The name as GitHub's documentation writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Case => "case",
            Self::Contains => "contains",
            Self::EndsWith => "endsWith",
            Self::Format => "format",
            Self::FromJson => "fromJSON",
            Self::Join => "join",
            Self::StartsWith => "startsWith",
            Self::ToJson => "toJSON",
            Self::Always => "always",
            Self::Cancelled => "cancelled",
            Self::Failure => "failure",
            Self::Success => "success",
            Self::HashFiles => "hashFiles",
        }
    }

    /// Least and most arguments of a function that is allowed everywhere; none for one that is not.
    pub const fn built_in(self) -> Option<(usize, usize)> {
        match self {
            Self::Case => Some((3, 255)),
            Self::Contains | Self::EndsWith | Self::StartsWith => Some((2, 2)),
            Self::Format => Some((1, 255)),
            Self::Join => Some((1, 2)),
            Self::FromJson | Self::ToJson => Some((1, 1)),
            Self::Always | Self::Cancelled | Self::Failure | Self::Success | Self::HashFiles => None,
        }
    }

    /// Whether it is one of `always()`, `cancelled()`, `failure()` and `success()`.
    pub const fn is_status(self) -> bool {
        matches!(self, Self::Always | Self::Cancelled | Self::Failure | Self::Success)
    }
}

/// A function that a place allows beyond the built-in ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowedFunction {
    /// Which.
    pub function: Function,
    /// Least arguments.
    pub min: usize,
    /// Most arguments.
    pub max: usize,
}

impl AllowedFunction {
    /// `success(0,MAX)` of the schema is `new(Function::Success, 0, usize::MAX)`.
    pub const fn new(function: Function, min: usize, max: usize) -> Self {
        Self { function, min, max }
    }
}

/// The contexts that a place allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contexts<'names> {
    /// Any name: for checking the form only.
    Any,
    /// These names, case ignored.
    Named(&'names [&'names str]),
}

/// What an expression at one place may name. Every field can be a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed<'names> {
    /// Context names.
    pub contexts: Contexts<'names>,
    /// Functions beyond the built-in ones.
    pub functions: &'names [AllowedFunction],
}

impl<'names> Allowed<'names> {
    /// The four status functions without arguments, and `hashFiles`: what a step's `if` allows.
    pub const STEP_FUNCTIONS: &'static [AllowedFunction] = &[
        AllowedFunction::new(Function::Always, 0, 0),
        AllowedFunction::new(Function::Cancelled, 0, 0),
        AllowedFunction::new(Function::Failure, 0, 0),
        AllowedFunction::new(Function::Success, 0, 0),
        AllowedFunction::new(Function::HashFiles, 1, 255),
    ];

    /// Any context and every function.
    pub const ANYTHING: Allowed<'static> = Allowed { contexts: Contexts::Any, functions: Allowed::STEP_FUNCTIONS };

    /// Allows these contexts and, beyond the built-in functions, these.
    pub const fn new(contexts: &'names [&'names str], functions: &'names [AllowedFunction]) -> Self {
        Self { contexts: Contexts::Named(contexts), functions }
    }

    /// Whether a context may be named.
    pub fn allows_context(&self, name: &str) -> bool {
        match self.contexts {
            Contexts::Any => true,
            Contexts::Named(names) => names.iter().any(|allowed| equal_ignoring_case(allowed, name)),
        }
    }

    /// The functions that may be called, for suggestions.
    pub fn functions(&self) -> impl Iterator<Item = Function> {
        let built_in = Function::ALL.into_iter().filter(|function| function.built_in().is_some());
        built_in.chain(self.functions.iter().map(|allowed| allowed.function))
    }

    /// The function of that name, with least and most arguments, if it may be called.
    pub(super) fn function(&self, name: &str) -> Option<(Function, usize, usize)> {
        let function = Function::from_name(name)?;
        if let Some((min, max)) = function.built_in() {
            return Some((function, min, max));
        }
        let allowed = self.functions.iter().find(|allowed| allowed.function == function)?;
        Some((function, allowed.min, allowed.max))
    }
}

/// How things stand, for the status functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing failed so far.
    Success,
    /// Something failed.
    Failure,
    /// The run was cancelled.
    Cancelled,
}

/// What an expression finds when it is evaluated.
pub trait Scope {
    /// The value of a context; null where there is none.
    fn context(&self, name: &str) -> Option<Value>;

    /// How things stand; none where status functions make no sense.
    fn status(&self) -> Option<Status>;

    /// What `success()`, `failure()`, `cancelled()` or `always()` gives. Only job conditions pass arguments: names of
    /// needed jobs. Without an override they are ignored.
    fn status_function(&self, function: Function, arguments: &[Value]) -> Option<bool> {
        let _ = arguments;
        match function {
            Function::Always => Some(true),
            Function::Success => self.status().map(|status| status == Status::Success),
            Function::Failure => self.status().map(|status| status == Status::Failure),
            Function::Cancelled => self.status().map(|status| status == Status::Cancelled),
            Function::Case
            | Function::Contains
            | Function::EndsWith
            | Function::Format
            | Function::FromJson
            | Function::Join
            | Function::StartsWith
            | Function::ToJson
            | Function::HashFiles => None,
        }
    }

    /// The digest of the files of the workspace that match, in lower-case hexadecimal; empty where none does.
    ///
    /// # Errors
    /// Says in one sentence why the files could not be read.
    fn hash_files(&self, patterns: &[String]) -> Result<String, String>;
}
