//! Paths that tell the inside of a service, each with what shows that it is really that: a status is no proof, since many services
//! answer everything with one page.

use std::sync::LazyLock;

use regex::bytes::Regex;

use super::Answer;
use super::rules::{self, Rule};

struct Leak {
    path: &'static str,
    /// What its content looks like.
    sign: &'static str,
    rule: &'static Rule,
    what: &'static str,
}

const fn leak(path: &'static str, sign: &'static str, rule: &'static Rule, what: &'static str) -> Leak {
    Leak { path, sign, rule, what }
}

const VARIABLES: &str = r"(?m)\A(#.*\n|\s*\n)*(export )?[A-Za-z_][A-Za-z0-9_]*=";
const ACTUATOR: &str = r#"\A\s*\{\s*"_links"\s*:"#;

static LEAKS: [Leak; 31] = [
    leak(".env", VARIABLES, &rules::LEAK_SECRET, "variables of the environment"),
    leak(".env.local", VARIABLES, &rules::LEAK_SECRET, "variables of the environment"),
    leak(".env.production", VARIABLES, &rules::LEAK_SECRET, "variables of the environment"),
    leak(".aws/credentials", r"aws_secret_access_key", &rules::LEAK_SECRET, "keys of AWS"),
    leak(".docker/config.json", r#""auths"\s*:"#, &rules::LEAK_SECRET, "passwords of registries"),
    leak(".npmrc", r"_authToken\s*=", &rules::LEAK_SECRET, "a token of npm"),
    leak(".ssh/id_rsa", r"\A-----BEGIN [A-Z ]*PRIVATE KEY", &rules::LEAK_SECRET, "a private key"),
    leak("id_rsa", r"\A-----BEGIN [A-Z ]*PRIVATE KEY", &rules::LEAK_SECRET, "a private key"),
    leak("server.key", r"\A-----BEGIN [A-Z ]*PRIVATE KEY", &rules::LEAK_SECRET, "a private key"),
    leak(".htpasswd", r"\A[\w.@-]+:(\$|\{SHA\})", &rules::LEAK_SECRET, "digests of passwords"),
    leak("wp-config.php.bak", r"DB_PASSWORD", &rules::LEAK_SECRET, "the password of a database"),
    leak("actuator/env", r#""propertySources"\s*:"#, &rules::LEAK_SECRET, "variables of a Spring application"),
    leak("actuator/heapdump", r"\AJAVA PROFILE 1\.", &rules::LEAK_SECRET, "the memory of a Java program"),
    leak(".git/HEAD", r"\A(ref: refs/|[0-9a-f]{40}\s*\z)", &rules::LEAK_SOURCE, "the repository"),
    leak(".git/config", r"\A\s*\[core\]", &rules::LEAK_SOURCE, "the repository"),
    leak(".svn/entries", r"\A\d+\s", &rules::LEAK_SOURCE, "the repository"),
    leak(".hg/requires", r"\A(revlogv1|store|dotencode)", &rules::LEAK_SOURCE, "the repository"),
    leak("dump.sql", r"(?i)(CREATE TABLE|INSERT INTO|PostgreSQL database dump)", &rules::LEAK_SOURCE, "a database"),
    leak("backup.sql", r"(?i)(CREATE TABLE|INSERT INTO|PostgreSQL database dump)", &rules::LEAK_SOURCE, "a database"),
    leak(".DS_Store", r"\A\x00\x00\x00\x01Bud1", &rules::LEAK, "names of files"),
    leak("Dockerfile", r"(?m)\A(#.*\n|\s*\n)*FROM \S+", &rules::LEAK, "how it is built"),
    leak("docker-compose.yml", r"(?m)^services:\s*$", &rules::LEAK, "how it is put together"),
    leak("phpinfo.php", r"<title>phpinfo\(\)</title>|PHP Version </td>", &rules::LEAK, "settings of PHP"),
    leak("server-status", r"Apache Server Status", &rules::LEAK, "requests of others"),
    leak("metrics", r"(?m)^# (HELP|TYPE) \S+ ", &rules::LEAK, "figures of Prometheus"),
    leak("debug/pprof/", r"(?s)pprof.*goroutine", &rules::LEAK, "profiles of a Go program"),
    leak("debug/vars", r#""memstats"\s*:"#, &rules::LEAK, "figures of a Go program"),
    leak("actuator", ACTUATOR, &rules::LEAK, "the inside of a Spring application"),
    leak("actuator/mappings", r#""dispatcherServlets"\s*:"#, &rules::LEAK, "all addresses of a Spring application"),
    leak("console", r"<title>(H2 Console|Werkzeug)", &rules::LEAK_SOURCE, "a console"),
    leak("_debugbar/open", r#"\A\s*\[?\{.*"__meta""#, &rules::LEAK, "requests of others"),
];

static SIGNS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let sign = |leak: &Leak| Regex::new(leak.sign).expect("the patterns are constants, and a test makes them");
    LEAKS.iter().map(sign).collect()
});

/// Below the service.
pub(super) fn paths() -> impl Iterator<Item = &'static str> {
    LEAKS.iter().map(|leak| leak.path)
}

/// Whether it is open, and what it holds.
pub(super) fn judge(number: usize, answer: &Answer) -> Option<(&'static Rule, &'static str)> {
    let (leak, sign) = (LEAKS.get(number)?, SIGNS.get(number)?);
    let is_there = matches!(answer.status, 200 | 206) && sign.is_match(&answer.body);
    is_there.then_some((leak.rule, leak.what))
}
