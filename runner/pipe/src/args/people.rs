//! Verbs about people: users, teams and what they may do.

use clap::{Args, Subcommand};

use super::Connect;

/// A role, and where it holds.
#[derive(Debug, Clone, Args)]
pub struct RolePlace {
    /// Only in this repository
    #[arg(long, value_name = "OWNER/NAME")]
    pub repo: Option<String>,
    /// An approver or deployer only for this environment
    #[arg(long, value_name = "ENVIRONMENT")]
    pub env: Option<String>,
}

/// `pipe user`.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make one; the password comes from standard input or a hidden prompt
    Add {
        /// What they sign in with
        name: String,
        /// As people call them
        #[arg(long, value_name = "TEXT", default_value = "")]
        full_name: String,
        /// viewer, developer, deployer, approver, maintainer, admin or auditor
        #[arg(long, value_name = "ROLE")]
        role: Option<String>,
        /// Where it holds
        #[command(flatten)]
        place: RolePlace,
        /// Without a password: they sign in at the OpenID provider
        #[arg(long)]
        no_password: bool,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
    /// List them with their roles and teams
    #[command(visible_alias = "list")]
    Ls {
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
    /// Remove one; what the audit log says of them stays
    Rm {
        /// Their name
        name: String,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
    /// Set a password, from standard input or a hidden prompt; all their sessions end
    Passwd {
        /// Their name
        name: String,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
    /// Other names of a user: logins at forges, addresses of commits; nobody approves under one what they began under another
    #[command(subcommand)]
    Alias(AliasCommand),
    /// Give somebody a role, or take one away; they are signed out
    Role {
        /// Their name
        name: String,
        /// viewer, developer, deployer, approver, maintainer, admin or auditor
        role: String,
        /// Take it away
        #[arg(long)]
        remove: bool,
        /// Where it holds
        #[command(flatten)]
        place: RolePlace,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
}

/// `pipe user alias`.
#[derive(Debug, Subcommand)]
pub enum AliasCommand {
    /// Say that a user is somebody elsewhere too
    Add {
        /// The user
        name: String,
        /// `github:LOGIN`, `gitlab:LOGIN`, `gitea:LOGIN`, `forgejo:LOGIN` or `mail:ADDRESS`
        alias: String,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
    /// Take an alias away
    Rm {
        /// The user
        name: String,
        /// As `pipe user ls` shows it
        alias: String,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
}

/// `pipe team`.
#[derive(Debug, Subcommand)]
pub enum TeamCommand {
    /// Make one
    Add {
        /// Its name
        name: String,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
    /// List them with their members and roles
    #[command(visible_alias = "list")]
    Ls {
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
    /// Remove one with its roles
    Rm {
        /// Its name
        name: String,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
    /// Put somebody into a team
    Join {
        /// The team
        team: String,
        /// Who
        user: String,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
    /// Take somebody out of a team
    Leave {
        /// The team
        team: String,
        /// Who
        user: String,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
    /// Give a team a role, or take one away; its members are signed out
    Role {
        /// The team
        team: String,
        /// viewer, developer, deployer, approver, maintainer, admin or auditor
        role: String,
        /// Take it away
        #[arg(long)]
        remove: bool,
        /// Where it holds
        #[command(flatten)]
        place: RolePlace,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
}
