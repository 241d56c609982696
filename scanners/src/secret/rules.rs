//! Our rules: token formats that their issuers document, and what else is surely a secret by its form.
//!
//! A rule here is a prefix with an expression that begins there; where a service documents no format it has no rule.

use regex::bytes::{Regex, RegexBuilder};

use super::{Allow, Pattern, Rule, Rules};
use crate::finding::Severity::{self, Critical, High, Low, Medium};

/// Largest compiled expression.
const EXPRESSION_BYTES_MAX: usize = 1024 * 1024;

/// Shortest keyword that several prefixes share.
const STEM_BYTES_MIN: usize = 3;

/// Id, description, severity, prefixes that are separated by spaces, the rest of the token, least entropy.
type Row = (&'static str, &'static str, Severity, &'static str, &'static str, f64);

const TOKENS: &[Row] = &[
    ("aws-access-key-id", "an access key of AWS", Critical, "AKIA ASIA ABIA ACCA", "[A-Z2-7]{16}", 3.0),
    ("github-token", "a token of GitHub", Critical, "ghp_ gho_ ghu_ ghs_ ghr_", "[A-Za-z0-9]{36,}", 3.0),
    (
        "github-fine-grained-token",
        "a fine-grained token of GitHub",
        Critical,
        "github_pat_",
        "[A-Za-z0-9]{22}_[A-Za-z0-9]{59}",
        3.0,
    ),
    (
        "gitlab-token",
        "a token of GitLab",
        Critical,
        "glpat- gldt- glrt- glptt- glcbt- glft-",
        "[A-Za-z0-9_.-]{20,}",
        3.0,
    ),
    ("slack-app-token", "an app token of Slack", Critical, "xapp-", "[A-Za-z0-9-]{10,}", 2.5),
    (
        "slack-token",
        "a token of Slack",
        Critical,
        "xoxb- xoxp- xoxa- xoxr- xoxs- xoxe- xoxe.",
        "[A-Za-z0-9-]{10,}",
        2.5,
    ),
    (
        "slack-webhook",
        "a webhook of Slack",
        High,
        "hooks.slack.com/services/",
        "T[A-Z0-9]{8,12}/B[A-Z0-9]{8,12}/[A-Za-z0-9]{20,30}",
        0.0,
    ),
    ("stripe-live-key", "a live key of Stripe", Critical, "sk_live_ rk_live_", "[A-Za-z0-9]{10,}", 2.5),
    ("stripe-test-key", "a test key of Stripe", Low, "sk_test_ rk_test_", "[A-Za-z0-9]{10,}", 2.5),
    ("stripe-webhook-secret", "a webhook secret of Stripe", High, "whsec_", "[A-Za-z0-9+/=]{32,80}", 3.0),
    ("google-api-key", "an API key of Google", High, "AIza", "[A-Za-z0-9_-]{35}", 3.5),
    ("google-oauth-secret", "an OAuth secret of Google", High, "GOCSPX-", "[A-Za-z0-9_-]{28}", 3.0),
    ("google-oauth-token", "an access token of Google", High, "ya29.", "[A-Za-z0-9_-]{30,}", 3.5),
    ("npm-token", "a token of npm", Critical, "npm_", "[A-Za-z0-9]{36}", 3.0),
    (
        "pypi-token",
        "a token of PyPI",
        Critical,
        "pypi-AgEIcHlwaS5vcmc pypi-AgENdGVzdC5weXBpLm9yZw",
        "[A-Za-z0-9_-]{50,}",
        3.0,
    ),
    ("rubygems-token", "a token of RubyGems", Critical, "rubygems_", "[a-f0-9]{48}", 3.0),
    ("docker-token", "a token of Docker Hub", Critical, "dckr_pat_ dckr_oat_", "[A-Za-z0-9_-]{27,32}", 3.0),
    ("digitalocean-token", "a token of DigitalOcean", Critical, "dop_v1_ doo_v1_ dor_v1_", "[a-f0-9]{64}", 3.0),
    ("sendgrid-key", "a key of SendGrid", Critical, "SG.", r"[A-Za-z0-9_-]{20,24}\.[A-Za-z0-9_-]{39,50}", 3.0),
    ("openai-key", "a key of OpenAI", Critical, "sk-proj- sk-svcacct- sk-admin-", "[A-Za-z0-9_-]{20,}", 3.5),
    ("anthropic-key", "a key of Anthropic", Critical, "sk-ant-", "(?:api03|admin01)-[A-Za-z0-9_-]{80,}", 3.5),
    ("huggingface-token", "a token of Hugging Face", Critical, "hf_", "[A-Za-z]{34}", 3.0),
    ("vault-token", "a token of Vault", Critical, "hvs. hvb.", "[A-Za-z0-9_-]{24,}", 3.5),
    ("shopify-token", "a token of Shopify", Critical, "shpat_ shpss_ shpca_ shppa_", "[a-fA-F0-9]{32}", 3.0),
    ("square-token", "a token of Square", Critical, "sq0atp- sq0csp-", "[A-Za-z0-9_-]{22,60}", 3.0),
    ("postman-key", "a key of Postman", High, "PMAK-", "[a-f0-9]{24}-[a-f0-9]{34}", 3.0),
    ("newrelic-key", "a key of New Relic", High, "NRAK-", "[A-Z0-9]{27}", 3.0),
    ("grafana-token", "a token of Grafana", High, "glsa_", "[A-Za-z0-9]{32}_[a-fA-F0-9]{8}", 3.0),
    ("grafana-cloud-token", "a token of Grafana Cloud", High, "glc_", "[A-Za-z0-9+/]{32,}={0,2}", 3.5),
    ("databricks-token", "a token of Databricks", Critical, "dapi", "[a-f0-9]{32}(?:-[0-9])?", 3.0),
    ("linear-key", "a key of Linear", High, "lin_api_", "[A-Za-z0-9]{40}", 3.0),
    (
        "planetscale-secret",
        "a secret of PlanetScale",
        Critical,
        "pscale_tkn_ pscale_pw_ pscale_oauth_",
        "[A-Za-z0-9=._-]{32,64}",
        3.0,
    ),
    ("doppler-token", "a token of Doppler", High, "dp.pt. dp.st. dp.ct. dp.sa.", "[A-Za-z0-9._-]{40,60}", 3.0),
    ("atlassian-token", "a token of Atlassian", Critical, "ATATT3xFfGF0 ATCTT3xFfGN0", "[A-Za-z0-9_=-]{100,}", 3.5),
    (
        "age-secret-key",
        "a secret key of age",
        Critical,
        "AGE-SECRET-KEY-1",
        "[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}",
        3.0,
    ),
    ("azure-storage-key", "a key of an Azure storage account", Critical, "AccountKey=", "[A-Za-z0-9+/]{86}==", 4.0),
    (
        "discord-webhook",
        "a webhook of Discord",
        Medium,
        "discord.com/api/webhooks/",
        "[0-9]{17,20}/[A-Za-z0-9_-]{60,80}",
        0.0,
    ),
    (
        "jwt",
        "a signed JSON web token",
        Medium,
        "eyJ",
        r"[A-Za-z0-9_-]{12,}\.eyJ[A-Za-z0-9_-]{12,}\.[A-Za-z0-9_-]{20,}",
        3.5,
    ),
];

/// Rules with more than a prefix: the keywords, the expression with the secret as group 1, the longest match in bytes.
const SHAPES: &[(&str, &str, Severity, &str, &str, usize, f64)] = &[
    (
        "private-key",
        "a private key",
        Critical,
        "-----begin",
        r"(-----BEGIN (?:RSA |EC |DSA |OPENSSH |PGP )?PRIVATE KEY(?: BLOCK)?-----[A-Za-z0-9+/=:,\\\s-]*?[A-Za-z0-9+/=\\\s]{64,}-----END)",
        17_000,
        3.5,
    ),
    (
        "aws-secret-access-key",
        "a secret access key of AWS",
        Critical,
        "secretaccesskey secret_access_key",
        r#"(?i-u)(?:aws_?)?secret_?(?:access_?)?key(?:_id)?["']?\s{0,8}(?:=|:|=>|:=)\s{0,8}["']?([A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|$)"#,
        160,
        4.0,
    ),
    (
        "azure-client-secret",
        "a client secret of Microsoft Entra",
        Critical,
        "0q~ 1q~ 2q~ 3q~ 4q~ 5q~ 6q~ 7q~ 8q~ 9q~",
        r"(?-u)(?:^|[^A-Za-z0-9_~.-])([A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34})(?:[^A-Za-z0-9_~.-]|$)",
        44,
        3.5,
    ),
    (
        "telegram-bot-token",
        "a token of a Telegram bot",
        High,
        ":aa",
        r"(?-u)(?:^|[^A-Za-z0-9])([0-9]{8,10}:AA[A-Za-z0-9_-]{33})(?:[^A-Za-z0-9_-]|$)",
        50,
        3.5,
    ),
    (
        "terraform-cloud-token",
        "a token of Terraform Cloud",
        Critical,
        ".atlasv1.",
        r"(?-u)([A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,70})",
        96,
        3.5,
    ),
];

/// Names that sound like a secret when something is assigned to them, in lower case.
const NAMES: [&str; 7] = ["password", "passwd", "secret", "api_key", "apikey", "api-key", "_token"];

pub(super) fn built_in() -> Rules {
    let mut rules = Vec::new();
    for (id, description, severity, prefixes, rest, entropy) in TOKENS {
        let any: Vec<String> = prefixes.split(' ').map(regex::escape).collect();
        let expression = format!("^(?-u)(?:{}){rest}", any.join("|"));
        let keywords = stems(&prefixes.to_ascii_lowercase());
        rules.push((rule(id, description, *severity, keywords, Pattern::Prefix(compile(&expression)), *entropy), None));
    }
    for (id, description, severity, keywords, expression, bytes_max, entropy) in SHAPES {
        let pattern = Pattern::Window { expression: compile(expression), bytes_max: *bytes_max, group: 1 };
        let keywords = keywords.split(' ').map(str::to_owned).collect();
        rules.push((rule(id, description, *severity, keywords, pattern, *entropy), None));
    }
    let names = NAMES.map(str::to_owned).into();
    let assigned = "something assigned to a name that sounds like a secret";
    rules.push((rule("generic-secret", assigned, Medium, names, Pattern::Assignment, 3.5), None));
    let address = vec!["://".to_owned()];
    rules.push((rule("password-in-address", "a password in an address", High, address, Pattern::Address, 0.0), None));
    Rules { rules, allow: vec![super::allow::built_in()] }
}

/// What the prefixes of a rule all begin with, where that is long enough to be rare, and else each of them.
fn stems(prefixes: &str) -> Vec<String> {
    let prefixes: Vec<&str> = prefixes.split(' ').collect();
    let first = prefixes[0];
    let is_common = |length: &usize| prefixes.iter().all(|prefix| prefix.starts_with(&first[..*length]));
    match (STEM_BYTES_MIN..=first.len()).rev().find(is_common) {
        Some(length) => vec![first[..length].to_owned()],
        None => prefixes.iter().map(|prefix| (*prefix).to_owned()).collect(),
    }
}

fn rule(
    id: &str,
    description: &str,
    severity: Severity,
    keywords: Vec<String>,
    pattern: Pattern,
    entropy: f64,
) -> Rule {
    let (id, description) = (id.to_owned(), description.to_owned());
    Rule { id, description, severity, keywords, pattern, entropy, allow: Vec::<Allow>::new() }
}

fn compile(expression: &str) -> Regex {
    let built = RegexBuilder::new(expression).size_limit(EXPRESSION_BYTES_MAX).unicode(false).build();
    built.expect("our own expressions compile, which a test watches")
}
