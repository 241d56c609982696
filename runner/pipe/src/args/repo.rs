//! `pipe repo` and `pipe hook`: what can be asked of the repositories of a server.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use workflow::event::Forge;

use super::Connect;

/// `pipe repo`.
#[derive(Debug, Args)]
pub struct RepoArgs {
    /// What to do
    #[command(subcommand)]
    pub command: RepoCommand,
}

/// The commands of `pipe repo`.
#[derive(Debug, Subcommand)]
pub enum RepoCommand {
    /// Register a repository whose pushes are built, or change one
    Add(Box<RepoAddArgs>),
    /// List the registered repositories
    Ls(RepoListArgs),
    /// Show one repository, and what to enter at its forge
    Show(RepoOneArgs),
    /// Forget a repository; its runs stay
    Rm(RepoOneArgs),
    /// Say who may see the badges of a repository without signing in
    Badges(RepoBadgesArgs),
}

/// `pipe repo add`.
#[derive(Debug, Args)]
pub struct RepoAddArgs {
    /// Where it is fetched from: https, http, ssh, `user@host:path`, or a path on this machine
    #[arg(value_name = "URL")]
    pub url: String,
    /// Its full name, where the URL does not tell it
    #[arg(long, value_name = "OWNER/NAME")]
    pub name: Option<String>,
    /// What sends its hooks, where the URL does not tell
    #[arg(long, value_enum, value_name = "FORGE")]
    pub forge: Option<ForgeName>,
    /// A file with the secret of its hook, `-` for standard input; without one, a secret is made and shown once
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// A file with the token that fetches it, `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub fetch_token_file: Option<PathBuf>,
    /// The user that the token belongs to; what GitHub takes where absent
    #[arg(long, value_name = "NAME", requires = "fetch_token_file")]
    pub fetch_user: Option<String>,
    /// The address of the server as the forge reaches it, to show what to enter there
    #[arg(long, value_name = "URL", default_value = "https://YOUR-SERVER")]
    pub public_url: String,
    /// Do not ask whether the repository can be reached
    #[arg(long)]
    pub offline: bool,
    /// Where
    #[command(flatten)]
    pub connect: Connect,
}

/// `pipe repo ls`.
#[derive(Debug, Args)]
pub struct RepoListArgs {
    /// Where
    #[command(flatten)]
    pub connect: Connect,
}

/// `pipe repo show`, `pipe repo rm`.
#[derive(Debug, Args)]
pub struct RepoOneArgs {
    /// Its full name
    #[arg(value_name = "OWNER/NAME")]
    pub name: String,
    /// Which one, where several forges have a repository of that name
    #[arg(long, value_enum, value_name = "FORGE")]
    pub forge: Option<ForgeName>,
    /// The address of the server as the forge reaches it, to show what to enter there
    #[arg(long, value_name = "URL", default_value = "https://YOUR-SERVER")]
    pub public_url: String,
    /// Where
    #[command(flatten)]
    pub connect: Connect,
}

/// `pipe repo badges`.
#[derive(Debug, Args)]
pub struct RepoBadgesArgs {
    /// Its full name
    #[arg(value_name = "OWNER/NAME")]
    pub name: String,
    /// Who may see them; with `token` an address is shown once that holds one, and the one before is good no more
    #[arg(long = "for", value_enum, value_name = "WHO")]
    pub who: BadgesForName,
    /// Where
    #[command(flatten)]
    pub connect: Connect,
}

/// Who may see badges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BadgesForName {
    /// Who is signed in and may see the repository.
    People,
    /// They, and whoever has the address with the token.
    Token,
    /// Everybody.
    Everybody,
}

/// What sends hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ForgeName {
    /// GitHub, and GitHub Enterprise Server.
    Github,
    /// Gitea.
    Gitea,
    /// Forgejo.
    Forgejo,
    /// GitLab.
    Gitlab,
    /// A plain repository with the hook of `pipe hook install`.
    Push,
}

impl From<ForgeName> for Forge {
    fn from(name: ForgeName) -> Self {
        match name {
            ForgeName::Github => Self::Github,
            ForgeName::Gitea => Self::Gitea,
            ForgeName::Forgejo => Self::Forgejo,
            ForgeName::Gitlab => Self::Gitlab,
            ForgeName::Push => Self::Push,
        }
    }
}

/// `pipe hook`.
#[derive(Debug, Args)]
pub struct HookArgs {
    /// What to do
    #[command(subcommand)]
    pub command: HookCommand,
}

/// The commands of `pipe hook`.
#[derive(Debug, Subcommand)]
pub enum HookCommand {
    /// Make a repository on this machine tell a server of each push
    Install(HookInstallArgs),
    /// Send pushes; what the installed hook calls
    #[command(hide = true)]
    Send(HookSendArgs),
}

/// `pipe hook install`.
#[derive(Debug, Args)]
pub struct HookInstallArgs {
    /// The repository, usually a bare one
    #[arg(value_name = "REPOSITORY.git")]
    pub path: PathBuf,
    /// The address of the server
    #[arg(long, value_name = "URL")]
    pub server: String,
    /// Its name as registered with `pipe repo add`
    #[arg(long, value_name = "OWNER/NAME")]
    pub repository: String,
    /// A file with the secret of its hook, `-` for standard input
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub secret_file: PathBuf,
}

/// `pipe hook send`.
#[derive(Debug, Args)]
pub struct HookSendArgs {
    /// The folder that `pipe hook install` made
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Send what is left of earlier pushes, for up to a quarter of an hour
    #[arg(long)]
    pub rest: bool,
}
