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
    /// Unless this input is on: what it says is that there be none.
    UnlessOn(&'static str),
    /// Where the first input has a value, and from this version on unless the second is `false`.
    WithOrSince(&'static str, u32, &'static str),
    /// Where this input has a value, and before this version where it is not given too.
    WithOrBefore(&'static str, u32),
    /// Where both inputs have a value, the second one perhaps its default.
    WithBoth(&'static str, &'static str),
}

/// Actions that restore what a former run kept.
pub(super) const CACHING: &[(&str, Caches)] = &[
    ("actions-rust-lang/setup-rust-toolchain", Caches::Unless("cache")),
    ("actions/cache", Caches::Always),
    ("actions/cache/restore", Caches::Always),
    ("actions/setup-dotnet", Caches::With("cache")),
    ("actions/setup-go", Caches::Unless("cache")),
    ("actions/setup-java", Caches::With("cache")),
    // https://github.com/actions/setup-node/releases/tag/v5.0.0
    ("actions/setup-node", Caches::WithOrSince("cache", 5, "package-manager-cache")),
    ("actions/setup-python", Caches::With("cache")),
    // https://github.com/astral-sh/setup-uv/releases/tag/v10.0.0
    ("astral-sh/setup-uv", Caches::WithOrBefore("enable-cache", 10)),
    ("awalsh128/cache-apt-pkgs-action", Caches::Always),
    ("determinatesystems/magic-nix-cache-action", Caches::Unless("use-gha-cache")),
    ("docker/build-push-action", Caches::With("cache-from")),
    ("docker/setup-buildx-action", Caches::WithBoth("version", "cache-binary")),
    ("graalvm/setup-graalvm", Caches::With("cache")),
    ("gradle/actions/setup-gradle", Caches::UnlessOn("cache-disabled")),
    ("jdx/mise-action", Caches::Unless("cache")),
    ("mlugg/setup-zig", Caches::Unless("use-cache")),
    ("mozilla-actions/sccache-action", Caches::Always),
    ("nix-community/cache-nix-action", Caches::Always),
    ("oven-sh/setup-bun", Caches::UnlessOn("no-cache")),
    ("pyo3/maturin-action", Caches::With("sccache")),
    ("ramsey/composer-install", Caches::UnlessOn("ignore-cache")),
    ("ruby/setup-ruby", Caches::With("bundler-cache")),
    ("swatinem/rust-cache", Caches::Always),
];

/// Actions that give to others what was built, with the input that makes them do so, if they do not always.
pub(super) const PUBLISHING: &[(&str, Option<&str>)] = &[
    ("aws-actions/amazon-ecs-deploy-task-definition", None),
    ("aws-actions/aws-cloudformation-github-deploy", None),
    ("azure/aci-deploy", None),
    ("azure/container-apps-deploy-action", None),
    ("azure/functions-action", None),
    ("azure/sql-action", None),
    ("cloudflare/wrangler-action", None),
    ("docker/build-push-action", Some("push")),
    ("google-github-actions/deploy-appengine", None),
    ("google-github-actions/deploy-cloud-functions", None),
    ("google-github-actions/deploy-cloudrun", None),
    ("googleapis/release-please-action", None),
    ("goreleaser/goreleaser-action", None),
    ("jreleaser/release-action", None),
    ("ncipollo/release-action", None),
    ("pypa/gh-action-pypi-publish", None),
    ("redhat-actions/push-to-registry", None),
    ("release-drafter/release-drafter", None),
    ("rubygems/release-gem", None),
    ("softprops/action-gh-release", None),
];

/// What of `github` is a text that somebody with rights chose, and not a stranger.
pub(super) const OF_COLLEAGUES: [&str; 3] = ["base_ref", "ref", "ref_name"];

/// What the properties of events are called that GitHub itself makes: numbers, commits, names of accounts, states, dates.
pub(super) const MADE_BY_THE_FORGE: &[&str] = &[
    "action",
    "after",
    "author_association",
    "before",
    "commits",
    "conclusion",
    "draft",
    "event",
    "full_name",
    "html_url",
    "id",
    "login",
    "mergeable_state",
    "merged",
    "node_id",
    "number",
    "run_attempt",
    "run_number",
    "state",
    "status",
    "type",
    "url",
];
