//! Who can reach what: networks, buckets, identities.

use super::read::{Attribute, Block};
use super::{Broken, Module, Resource, Truth};
use crate::finding::Severity::{self, Critical, High, Medium};

/// Ports that are there to be reached.
const PUBLIC_PORTS: [&str; 2] = ["80", "443"];

pub(super) fn check<'m>(module: &'m Module<'_>) -> Vec<Broken<'m>> {
    let mut broken = Vec::new();
    networks(module, &mut broken);
    buckets(module, &mut broken);
    identities(module, &mut broken);
    listeners(module, &mut broken);
    for one in module.of_kind(&["aws_db_instance", "aws_rds_cluster_instance", "aws_dms_replication_instance"]) {
        if module.truth(&one.block, "publicly_accessible") == Truth::Yes {
            broken.push(at(
                one,
                &one.block,
                "publicly_accessible",
                ("terraform-public-database", "AVD-AWS-0180"),
                Critical,
                "the database can be reached from the internet",
            ));
        }
    }
    for one in module.of_kind(&["aws_instance", "aws_launch_template"]) {
        let options = one.block.inner("metadata_options").next();
        let is_required = options.is_some_and(|options| {
            options.text("http_tokens") == Some("required")
                || options.attribute("http_tokens").is_some_and(|tokens| tokens.text().is_none())
        });
        if !is_required {
            broken.push(of(
                one,
                ("terraform-metadata-without-token", "AVD-AWS-0028"),
                High,
                "the metadata of the machine answers without a token; set http_tokens = \"required\"",
            ));
        }
    }
    for one in module.of_kind(&["aws_eks_cluster"]) {
        for config in one.block.inner("vpc_config") {
            if module.truth(config, "endpoint_public_access") == Truth::Yes
                && config.attribute("public_access_cidrs").is_none_or(is_everywhere)
            {
                broken.push(at(
                    one,
                    config,
                    "endpoint_public_access",
                    ("terraform-public-cluster", "AVD-AWS-0040"),
                    Critical,
                    "the cluster's API can be reached from the internet",
                ));
            }
        }
    }
    broken
}

/// A rule that a whole resource breaks.
pub(super) fn of<'m>(
    one: &'m Resource<'m>,
    (id, alias): (&'static str, &'static str),
    severity: Severity,
    words: &str,
) -> Broken<'m> {
    Broken { block: one, id, alias, severity, line: one.block.line, words: words.to_owned() }
}

/// A rule that an attribute breaks, in the resource or in a block of it.
pub(super) fn at<'m>(
    one: &'m Resource<'m>,
    inner: &Block,
    attribute: &str,
    rule: (&'static str, &'static str),
    severity: Severity,
    words: &str,
) -> Broken<'m> {
    let line = inner.attribute(attribute).map_or(inner.line, |attribute| attribute.line);
    Broken { line, ..of(one, rule, severity, words) }
}

fn is_everywhere(attribute: &Attribute) -> bool {
    attribute.value.contains("\"0.0.0.0/0\"") || attribute.value.contains("\"::/0\"")
}

fn networks<'m>(module: &'m Module<'_>, broken: &mut Vec<Broken<'m>>) {
    let rule = ("terraform-open-ingress", "AVD-AWS-0107");
    let look = |one: &'m Resource<'m>, block: &Block, broken: &mut Vec<Broken<'m>>| {
        let names = ["cidr_blocks", "ipv6_cidr_blocks", "cidr_ipv4", "cidr_ipv6"];
        let Some(open) = names.iter().find_map(|name| block.attribute(name).filter(|found| is_everywhere(found)))
        else {
            return;
        };
        let port = |name: &str| block.attribute(name).map(|port| port.value.trim_matches('"').to_owned());
        let (from, to) = (port("from_port"), port("to_port"));
        if from == to && from.as_deref().is_some_and(|port| PUBLIC_PORTS.contains(&port)) {
            return;
        }
        let ports = match (from, to) {
            (Some(from), Some(to)) if from == to => format!("port {from}"),
            (Some(from), Some(to)) if from != "0" || !matches!(to.as_str(), "0" | "65535") => {
                format!("ports {from} to {to}")
            }
            (_, _) => "every port".to_owned(),
        };
        broken.push(at(one, block, &open.name, rule, Critical, &format!("{ports} can be reached from the internet")));
    };
    for one in module.of_kind(&["aws_security_group", "aws_default_security_group"]) {
        one.block.inner("ingress").for_each(|ingress| look(one, ingress, broken));
    }
    for one in module.of_kind(&["aws_security_group_rule"]) {
        if one.block.text("type") == Some("ingress") {
            look(one, &one.block, broken);
        }
    }
    for one in module.of_kind(&["aws_vpc_security_group_ingress_rule"]) {
        look(one, &one.block, broken);
    }
}

fn buckets<'m>(module: &'m Module<'_>, broken: &mut Vec<Broken<'m>>) {
    for one in module.of_kind(&["aws_s3_bucket", "aws_s3_bucket_acl"]) {
        if one.block.text("acl").is_some_and(|acl| acl.starts_with("public-") || acl == "authenticated-read") {
            broken.push(at(
                one,
                &one.block,
                "acl",
                ("terraform-public-bucket", "AVD-AWS-0092"),
                High,
                "everybody can read the bucket",
            ));
        }
    }
    for one in module.of_kind(&["aws_s3_bucket"]) {
        if !module.has_companion(one, "aws_s3_bucket_public_access_block") {
            let words = "nothing keeps the bucket from being made public; add aws_s3_bucket_public_access_block";
            broken.push(of(one, ("terraform-bucket-may-be-public", "AVD-AWS-0094"), High, words));
        }
    }
    for one in module.of_kind(&["aws_s3_bucket_public_access_block"]) {
        for name in ["block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"] {
            if matches!(module.truth(&one.block, name), Truth::No | Truth::Absent) {
                let words = format!("`{name}` is not true, so the bucket can be made public");
                broken.push(at(
                    one,
                    &one.block,
                    name,
                    ("terraform-bucket-may-be-public", "AVD-AWS-0094"),
                    High,
                    &words,
                ));
            }
        }
    }
}

/// Policies that allow everything on everything.
fn identities<'m>(module: &'m Module<'_>, broken: &mut Vec<Broken<'m>>) {
    let rule = ("terraform-wildcard-iam", "AVD-AWS-0057");
    let is_any = |attribute: Option<&Attribute>| attribute.is_some_and(|found| found.value.contains("\"*\""));
    let documents = module
        .resources
        .iter()
        .filter(|one| one.block.kind == "data" && one.block.label(0) == "aws_iam_policy_document");
    for one in documents {
        for statement in one.block.inner("statement") {
            let is_allowed = statement.text("effect").is_none_or(|effect| effect == "Allow");
            if is_allowed && is_any(statement.attribute("actions")) {
                let words = if is_any(statement.attribute("resources")) {
                    "everything is allowed on everything"
                } else {
                    "every action is allowed"
                };
                broken.push(at(one, statement, "actions", rule, High, words));
            }
        }
    }
    let kinds = [
        "aws_iam_policy",
        "aws_iam_role_policy",
        "aws_iam_user_policy",
        "aws_iam_group_policy",
        "aws_s3_bucket_policy",
        "aws_sqs_queue_policy",
        "aws_ecr_repository_policy",
    ];
    for one in module.of_kind(&kinds) {
        let Some(policy) = one.block.attribute("policy") else { continue };
        let bare: String = policy.value.chars().filter(|c| !c.is_whitespace() && *c != '"' && *c != '\\').collect();
        let has = |key: &str| {
            [":*", "=*", ":[*", "=[*"].iter().any(|form| {
                let form = format!("{key}{form}");
                bare.match_indices(&form).any(|(at, _)| {
                    bare[at + form.len()..].starts_with([',', '}', ']'])
                        || bare.len() == at + form.len()
                        || form.ends_with('*')
                            && bare[at + form.len()..].chars().next().is_some_and(|next| next.is_ascii_uppercase())
                })
            })
        };
        let is_allowed = bare.contains("Effect:Allow") || bare.contains("Effect=Allow");
        if is_allowed && has("Action") {
            let words = if has("Resource") { "everything is allowed on everything" } else { "every action is allowed" };
            broken.push(at(one, &one.block, "policy", rule, High, words));
        } else if is_allowed
            && has("Principal")
            && one.block.label(0).ends_with("_policy")
            && !one.block.label(0).starts_with("aws_iam")
        {
            broken.push(at(
                one,
                &one.block,
                "policy",
                ("terraform-public-policy", "AVD-AWS-0093"),
                High,
                "everybody is allowed",
            ));
        }
    }
}

fn listeners<'m>(module: &'m Module<'_>, broken: &mut Vec<Broken<'m>>) {
    for one in module.of_kind(&["aws_lb_listener", "aws_alb_listener"]) {
        let redirects = one.block.inner("default_action").any(|action| action.text("type") == Some("redirect"));
        if one.block.text("protocol") == Some("HTTP") && !redirects {
            broken.push(at(
                one,
                &one.block,
                "protocol",
                ("terraform-plain-http", "AVD-AWS-0054"),
                High,
                "it answers without TLS; redirect to HTTPS",
            ));
        }
        if one.block.text("ssl_policy").is_some_and(|policy| {
            policy.contains("2016-08") || policy.contains("TLS-1-0") || policy.contains("TLS-1-1")
        }) {
            broken.push(at(
                one,
                &one.block,
                "ssl_policy",
                ("terraform-old-tls", "AVD-AWS-0047"),
                High,
                "it accepts TLS before 1.2",
            ));
        }
    }
    for one in module.of_kind(&["aws_cloudfront_distribution"]) {
        for kind in ["default_cache_behavior", "ordered_cache_behavior"] {
            for behavior in
                one.block.inner(kind).filter(|inner| inner.text("viewer_protocol_policy") == Some("allow-all"))
            {
                broken.push(at(
                    one,
                    behavior,
                    "viewer_protocol_policy",
                    ("terraform-plain-http", "AVD-AWS-0012"),
                    Medium,
                    "it answers without TLS; redirect to HTTPS",
                ));
            }
        }
    }
}
