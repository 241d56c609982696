//! The pages of the reference that are about people.

use engine::store::tokens::Scope;

use super::{JSON, Page, page};

const ROLE: &[(&str, &str)] = &[
    ("role*", "viewer, developer, deployer, approver, maintainer, admin or auditor"),
    ("repository", "owner/name; empty: all"),
    ("environment", "of an approver: a deployment environment; empty: all"),
];
const SIGNED_OUT: &str = "what was set; whom it concerns is signed out";

const fn known(method: &'static str, path: &'static str, summary: &'static str) -> Page {
    Page { scope: None, is_for_all: true, ..page(method, path, Scope::Admin, summary) }
}

/// Them.
pub(super) const PAGES: &[Page] = &[
    Page {
        answer: (200, "application/x-ndjson", "rows, oldest first, with their hashes; at the end a signed checkpoint"),
        ..page("get", "/audit/export", Scope::AuditRead, "The whole audit log, to be kept elsewhere")
    },
    Page {
        answer: (200, JSON, "algorithm, key in hexadecimal"),
        ..known("get", "/audit/key", "The key that checkpoints of the audit log are signed with")
    },
    Page {
        answer: (200, JSON, "who, user, teams, scopes, grants: what is allowed where, session"),
        ..known("get", "/me", "Who asks, and what they may do")
    },
    Page {
        query: &[("all", "true: those of all users, for administrators")],
        answer: (200, JSON, "sessions: id, user, created_at, seen_at, address, agent, way; current: the one that asks"),
        ..known("get", "/sessions", "Who is signed in: the own sessions")
    },
    Page {
        answer: (200, JSON, "ended: its number"),
        ..known("delete", "/sessions/{id}", "End a session; of others only for administrators")
    },
    Page {
        answer: (
            200,
            JSON,
            "users: id, name, full_name, has_password, issuer, roles, teams, aliases, created_at, seen_at",
        ),
        ..page("get", "/users", Scope::Admin, "Users")
    },
    Page {
        body: &[
            ("name*", "what they sign in with"),
            ("full_name", "as people call them"),
            ("password", "12 characters at least; without one they sign in elsewhere"),
            ("roles", "a list of objects with role, repository, environment"),
        ],
        answer: (201, JSON, "id, name"),
        ..page("post", "/users", Scope::Admin, "Make a user")
    },
    Page {
        answer: (200, JSON, "removed: the name"),
        ..page("delete", "/users/{name}", Scope::Admin, "Remove a user; what the audit log says of them stays")
    },
    Page {
        body: &[("password*", "the new one")],
        answer: (200, JSON, SIGNED_OUT),
        ..page("put", "/users/{name}/password", Scope::Admin, "Set a user's password")
    },
    Page {
        body: ROLE,
        answer: (201, JSON, SIGNED_OUT),
        ..page("post", "/users/{name}/roles", Scope::Admin, "Give a user a role")
    },
    Page {
        answer: (201, JSON, "user, alias as it is kept"),
        ..page(
            "put",
            "/users/{name}/aliases/{alias}",
            Scope::Admin,
            "Say that a user is somebody elsewhere too, such as github:octocat",
        )
    },
    Page {
        answer: (200, JSON, "user, removed: the alias"),
        ..page("delete", "/users/{name}/aliases/{alias}", Scope::Admin, "Take an alias away")
    },
    Page {
        answer: (200, JSON, "teams: id, name, members, roles, created_at"),
        ..page("get", "/teams", Scope::Admin, "Teams")
    },
    Page {
        body: &[("name*", "its name")],
        answer: (201, JSON, "id, name"),
        ..page("post", "/teams", Scope::Admin, "Make a team")
    },
    Page {
        answer: (200, JSON, "removed: the name"),
        ..page("delete", "/teams/{name}", Scope::Admin, "Remove a team with its roles")
    },
    Page {
        answer: (200, JSON, "team, user, member"),
        ..page("put", "/teams/{name}/members/{user}", Scope::Admin, "Put somebody into a team")
    },
    Page {
        answer: (200, JSON, "team, user, member"),
        ..page("delete", "/teams/{name}/members/{user}", Scope::Admin, "Take somebody out of a team")
    },
    Page {
        body: ROLE,
        answer: (201, JSON, SIGNED_OUT),
        ..page("post", "/teams/{name}/roles", Scope::Admin, "Give the members of a team a role")
    },
    Page {
        answer: (200, JSON, "removed: the number"),
        ..page("delete", "/roles/{id}", Scope::Admin, "Take a role away from a user or a team")
    },
];
