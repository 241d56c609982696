//! Names that audits know: events, actions, owners.

/// Events that run with the rights of the repository while somebody else chose the code or the words.
pub(super) const FOR_STRANGERS: [&str; 4] =
    ["pull_request_target", "workflow_run", "issue_comment", "discussion_comment"];

/// What names the code of a stranger.
pub(super) const OF_STRANGERS: [&str; 7] = [
    "github.event.pull_request.head.",
    "github.head_ref",
    "github.event.workflow_run.head_",
    "github.event.pull_request.merge_commit_sha",
    "refs/pull/",
    "github.event.number",
    "github.event.pull_request.number",
];

/// Whose actions are as safe as the machine that runs them.
pub(super) const OF_THE_FORGE: [&str; 2] = ["actions", "github"];

/// Owners whose names others are likely to take with a slip in them.
pub(super) const WELL_KNOWN: &[&str] = &[
    "actions",
    "anchore",
    "aquasecurity",
    "astral-sh",
    "aws-actions",
    "azure",
    "cachix",
    "codecov",
    "docker",
    "dtolnay",
    "github",
    "google-github-actions",
    "goreleaser",
    "gradle",
    "hashicorp",
    "helm",
    "microsoft",
    "peaceiris",
    "peter-evans",
    "pypa",
    "ruby",
    "shivammathur",
    "sigstore",
    "softprops",
    "sonarsource",
    "step-security",
    "swatinem",
    "taiki-e",
];

/// Actions that nobody keeps any more, with what does the same.
pub(super) const ARCHIVED: &[(&str, &str)] = &[
    ("actions/create-release", "`gh release create` in a `run`"),
    ("actions/upload-release-asset", "`gh release upload` in a `run`"),
    ("actions/setup-ruby", "`ruby/setup-ruby`"),
    ("actions/setup-elixir", "`erlef/setup-beam`"),
    ("actions-rs/audit-check", "`cargo audit` in a `run`"),
    ("actions-rs/cargo", "`cargo` in a `run`"),
    ("actions-rs/clippy-check", "`cargo clippy` in a `run`"),
    ("actions-rs/install", "`cargo install` in a `run`"),
    ("actions-rs/toolchain", "`rustup` in a `run`"),
];

/// How an action is told to keep a cache.
pub(super) enum Caches {
    /// It is what it does.
    Always,
    /// Where this input has a value other than `false`.
    With(&'static str),
    /// Unless this input is `false`.
    Unless(&'static str),
    /// Where the first input has a value, and from this version on unless the second is `false`.
    WithOrSince(&'static str, u32, &'static str),
}

/// Actions that restore what a former run kept.
pub(super) const CACHING: &[(&str, Caches)] = &[
    ("actions/cache", Caches::Always),
    ("actions/cache/restore", Caches::Always),
    ("actions/setup-dotnet", Caches::With("cache")),
    ("actions/setup-go", Caches::Unless("cache")),
    ("actions/setup-java", Caches::With("cache")),
    // https://github.com/actions/setup-node/releases/tag/v5.0.0
    ("actions/setup-node", Caches::WithOrSince("cache", 5, "package-manager-cache")),
    ("actions/setup-python", Caches::With("cache")),
    ("astral-sh/setup-uv", Caches::With("enable-cache")),
    ("docker/build-push-action", Caches::With("cache-from")),
    ("gradle/actions/setup-gradle", Caches::Always),
    ("mozilla-actions/sccache-action", Caches::Always),
    ("ruby/setup-ruby", Caches::With("bundler-cache")),
    ("swatinem/rust-cache", Caches::Always),
];

/// Actions that give to others what was built.
pub(super) const PUBLISHING: &[&str] = &[
    "goreleaser/goreleaser-action",
    "ncipollo/release-action",
    "pypa/gh-action-pypi-publish",
    "rubygems/release-gem",
    "softprops/action-gh-release",
];
