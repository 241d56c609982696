//! What lies unprotected or happens unseen: encryption, logs, secrets in the text.

use super::access::{at, of};
use super::{Broken, Module, Truth};
use crate::finding::Severity::{self, High, Low, Medium};

/// Kind of resource, block in it (or none), attribute, the rule elsewhere, severity.
type Row = (&'static str, &'static str, &'static str, &'static str, Severity);

/// What is not encrypted unless an attribute says so.
const ENCRYPTED: [Row; 13] = [
    ("aws_db_instance", "", "storage_encrypted", "AVD-AWS-0080", High),
    ("aws_rds_cluster", "", "storage_encrypted", "AVD-AWS-0079", High),
    ("aws_docdb_cluster", "", "storage_encrypted", "AVD-AWS-0021", High),
    ("aws_neptune_cluster", "", "storage_encrypted", "AVD-AWS-0076", High),
    ("aws_ebs_volume", "", "encrypted", "AVD-AWS-0026", High),
    ("aws_instance", "root_block_device", "encrypted", "AVD-AWS-0131", High),
    ("aws_instance", "ebs_block_device", "encrypted", "AVD-AWS-0131", High),
    ("aws_efs_file_system", "", "encrypted", "AVD-AWS-0037", High),
    ("aws_redshift_cluster", "", "encrypted", "AVD-AWS-0084", High),
    ("aws_elasticache_replication_group", "", "at_rest_encryption_enabled", "AVD-AWS-0045", High),
    ("aws_elasticache_replication_group", "", "transit_encryption_enabled", "AVD-AWS-0051", High),
    ("aws_workspaces_workspace", "", "root_volume_encryption_enabled", "AVD-AWS-0109", High),
    ("aws_sagemaker_notebook_instance", "", "kms_key_id", "AVD-AWS-0200", Medium),
];

pub(super) fn check<'m>(module: &'m Module<'_>) -> Vec<Broken<'m>> {
    let mut broken = Vec::new();
    for (kind, inner, attribute, alias, severity) in ENCRYPTED {
        for one in module.of_kind(&[kind]) {
            let blocks: Vec<_> = if inner.is_empty() { vec![&one.block] } else { one.block.inner(inner).collect() };
            for block in blocks {
                if matches!(module.truth(block, attribute), Truth::No | Truth::Absent) {
                    let words = format!("it is not encrypted; set {attribute} = true");
                    broken.push(at(one, block, attribute, ("terraform-unencrypted", alias), severity, &words));
                }
            }
        }
    }
    buckets(module, &mut broken);
    images_and_tasks(module, &mut broken);
    logs(module, &mut broken);
    secrets(module, &mut broken);
    broken
}

fn buckets<'m>(module: &'m Module<'_>, broken: &mut Vec<Broken<'m>>) {
    let rows = [
        (
            "server_side_encryption_configuration",
            "terraform-unencrypted",
            "AVD-AWS-0088",
            Medium,
            "it is not encrypted with a key of yours; add",
        ),
        ("versioning", "terraform-bucket-without-versions", "AVD-AWS-0090", Low, "what is overwritten is lost; add"),
        ("logging", "terraform-without-logs", "AVD-AWS-0089", Low, "nobody sees who reads it; add"),
    ];
    for one in module.of_kind(&["aws_s3_bucket"]) {
        for (block, id, alias, severity, words) in rows {
            let companion = format!("aws_s3_bucket_{block}");
            if one.block.inner(block).next().is_none() && !module.has_companion(one, &companion) {
                broken.push(of(one, (id, alias), severity, &format!("{words} {companion}")));
            }
        }
    }
}

fn images_and_tasks<'m>(module: &'m Module<'_>, broken: &mut Vec<Broken<'m>>) {
    for one in module.of_kind(&["aws_ecr_repository"]) {
        if one.block.text("image_tag_mutability").is_none_or(|mutability| mutability == "MUTABLE")
            && one.block.attribute("image_tag_mutability").is_none_or(|found| found.text().is_some())
        {
            broken.push(of(
                one,
                ("terraform-mutable-tags", "AVD-AWS-0031"),
                Medium,
                "a tag can become another image; set image_tag_mutability = \"IMMUTABLE\"",
            ));
        }
    }
    for one in module.of_kind(&["aws_ecs_task_definition"]) {
        let Some(containers) = one.block.attribute("container_definitions") else { continue };
        let is_here = containers.value.contains("image");
        if is_here && !containers.value.contains("logConfiguration") {
            broken.push(at(
                one,
                &one.block,
                "container_definitions",
                ("terraform-without-logs", "AVD-AWS-0034"),
                Medium,
                "what its containers print is lost; add logConfiguration",
            ));
        }
        let is_privileged = containers
            .value
            .split("privileged")
            .skip(1)
            .any(|rest| rest.trim_start_matches(['"', ' ', ':', '=']).starts_with("true"));
        if is_privileged {
            broken.push(at(
                one,
                &one.block,
                "container_definitions",
                ("terraform-privileged-container", "AVD-AWS-0036"),
                High,
                "a container has all rights of its machine",
            ));
        }
    }
}

/// What keeps logs only if it is asked to.
fn logs<'m>(module: &'m Module<'_>, broken: &mut Vec<Broken<'m>>) {
    let rows = [
        ("aws_lb", "access_logs", "AVD-AWS-0053"),
        ("aws_alb", "access_logs", "AVD-AWS-0053"),
        ("aws_cloudfront_distribution", "logging_config", "AVD-AWS-0010"),
        ("aws_apigatewayv2_stage", "access_log_settings", "AVD-AWS-0001"),
        ("aws_api_gateway_stage", "access_log_settings", "AVD-AWS-0001"),
    ];
    for (kind, block, alias) in rows {
        for one in module.of_kind(&[kind]) {
            let found = one.block.inner(block).next();
            if found.is_none_or(|found| module.truth(found, "enabled") == Truth::No) {
                let words = format!("nobody sees who asks it for what; add {block}");
                broken.push(of(one, ("terraform-without-logs", alias), Medium, &words));
            }
        }
    }
    for one in module.of_kind(&["aws_vpc"]) {
        if !module.has_companion(one, "aws_flow_log") {
            broken.push(of(
                one,
                ("terraform-without-logs", "AVD-AWS-0178"),
                Low,
                "nobody sees its traffic; add aws_flow_log",
            ));
        }
    }
}

/// Passwords in the text: they are in the repository, and in Terraform's state besides.
fn secrets<'m>(module: &'m Module<'_>, broken: &mut Vec<Broken<'m>>) {
    let is_secret = |name: &str| {
        let name = name.to_ascii_lowercase();
        ["password", "secret_key", "access_key", "auth_token", "secret_string"].iter().any(|word| name.ends_with(word))
    };
    for one in &module.resources {
        let is_variable = one.block.kind == "variable" && is_secret(one.block.label(0));
        for attribute in &one.block.attributes {
            let is_named = if one.block.kind == "variable" {
                is_variable && attribute.name == "default"
            } else {
                is_secret(&attribute.name)
            };
            if is_named && attribute.text().is_some_and(|text| !text.is_empty()) {
                let words = format!("`{}` is in the text; take it from a secret store", attribute.name);
                broken.push(at(one, &one.block, &attribute.name, ("terraform-secret", "AVD-GEN-0001"), High, &words));
            }
        }
    }
}
