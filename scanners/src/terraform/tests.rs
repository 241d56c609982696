//! Modules with a slip each, some without, and some that are no Terraform.

use super::{File, check};

fn checked(text: &str, expect: &[&str]) {
    let findings = check(&[File { path: "main.tf", text }], "2026-11-22".parse().unwrap());
    let shown: Vec<_> =
        findings.iter().map(|one| format!("{}:{}", one.place().unwrap().line.unwrap(), one.id)).collect();
    assert_eq!(shown, expect, "{text}\n{findings:#?}");
}

#[test]
fn networks() {
    let group = |inner: &str| format!("resource \"aws_security_group\" \"a\" {{\n  ingress {{\n{inner}\n  }}\n}}\n");
    let open = "cidr_blocks = [\"0.0.0.0/0\"]";
    checked(&group(&format!("from_port = 22\nto_port = 22\n{open}")), &["5:terraform-open-ingress"]);
    checked(&group(&format!("from_port = 443\nto_port = 443\n{open}")), &[]);
    checked(&group("from_port = 22\nto_port = 22\ncidr_blocks = [\"10.0.0.0/8\"]"), &[]);
    checked(
        &group("from_port = 0\nto_port = 65535\nipv6_cidr_blocks = [ # all\n  \"::/0\",\n]"),
        &["5:terraform-open-ingress"],
    );
    checked(&group(&format!("from_port = 22\nto_port = 22\n{open} #tfsec:ignore:AVD-AWS-0107")), &[]);
    checked(
        &group(&format!("from_port = 22\nto_port = 22\n#tfsec:ignore:AVD-AWS-0107:exp:2026-11-21\n{open}")),
        &["6:terraform-open-ingress"],
    );
    checked(
        "resource \"aws_security_group_rule\" \"a\" {\n  type = \"ingress\"\n  from_port = 5432\n  to_port = 5432\n  cidr_blocks = [\"0.0.0.0/0\"]\n}",
        &["5:terraform-open-ingress"],
    );
}

#[test]
fn buckets() {
    let all = [
        "terraform-bucket-may-be-public",
        "terraform-bucket-without-versions",
        "terraform-unencrypted",
        "terraform-without-logs",
    ];
    let expect: Vec<_> = all.iter().map(|id| format!("1:{id}")).collect();
    checked("resource \"aws_s3_bucket\" \"a\" {\n}\n", &expect.iter().map(String::as_str).collect::<Vec<_>>());
    let safe = "resource \"aws_s3_bucket\" \"a\" {}\nresource \"aws_s3_bucket_public_access_block\" \"a\" {\n  bucket = aws_s3_bucket.a.id\n  block_public_acls = true\n  block_public_policy = true\n  ignore_public_acls = true\n  restrict_public_buckets = true\n}\nresource \"aws_s3_bucket_server_side_encryption_configuration\" \"a\" {\n  bucket = aws_s3_bucket.a.id\n}\nresource \"aws_s3_bucket_versioning\" \"a\" {\n  bucket = aws_s3_bucket.a.id\n}\nresource \"aws_s3_bucket_logging\" \"a\" {\n  bucket = aws_s3_bucket.a.id\n}\n";
    checked(safe, &[]);
    checked(
        &safe.replace("block_public_policy = true", "block_public_policy = false"),
        &["5:terraform-bucket-may-be-public"],
    );
    checked("resource \"aws_s3_bucket_acl\" \"a\" {\n  acl = \"public-read\"\n}", &["2:terraform-public-bucket"]);
}

#[test]
fn databases_and_disks() {
    checked("resource \"aws_db_instance\" \"a\" {\n  storage_encrypted = true\n}", &[]);
    checked("resource \"aws_db_instance\" \"a\" {\n  storage_encrypted = false\n}", &["2:terraform-unencrypted"]);
    checked(
        "resource \"aws_db_instance\" \"a\" {\n  publicly_accessible = true\n  storage_encrypted = var.e\n}\nvariable \"e\" {\n  default = false\n}",
        &["2:terraform-public-database", "3:terraform-unencrypted"],
    );
    checked(
        "resource \"aws_db_instance\" \"a\" {\n  storage_encrypted = local.e\n  password = \"hunter22\"\n}",
        &["3:terraform-secret"],
    );
    checked("resource \"aws_ebs_volume\" \"a\" {\n  size = 1\n}", &["1:terraform-unencrypted"]);
    checked(
        "resource \"aws_instance\" \"a\" {\n  metadata_options {\n    http_tokens = \"required\"\n  }\n  root_block_device {\n    volume_size = 8\n  }\n}",
        &["5:terraform-unencrypted"],
    );
}

#[test]
fn identities() {
    checked(
        "data \"aws_iam_policy_document\" \"a\" {\n  statement {\n    actions = [\"*\"]\n    resources = [\"*\"]\n  }\n}",
        &["3:terraform-wildcard-iam"],
    );
    checked(
        "data \"aws_iam_policy_document\" \"a\" {\n  statement {\n    actions = [\"s3:*\"]\n    resources = [\"*\"]\n  }\n}",
        &[],
    );
    checked(
        "resource \"aws_iam_policy\" \"a\" {\n  policy = jsonencode({\n    Statement = [{ Effect = \"Allow\", Action = \"*\", Resource = \"*\" }]\n  })\n}",
        &["2:terraform-wildcard-iam"],
    );
    checked(
        "resource \"aws_iam_policy\" \"a\" {\n  policy = <<EOF\n{\"Statement\": [{\"Effect\": \"Allow\", \"Action\": [\"*\"], \"Resource\": \"*\"}]}\nEOF\n}",
        &["2:terraform-wildcard-iam"],
    );
    checked(
        "resource \"aws_iam_policy\" \"a\" {\n  policy = jsonencode({ Statement = [{ Effect = \"Allow\", Action = [\"s3:GetObject\"], Resource = \"*\" }] })\n}",
        &[],
    );
}

#[test]
fn what_cannot_be_read_is_said() {
    checked("resource \"a\" \"b\" {\n", &["2:terraform-unread"]);
    checked("resource \"a\n", &["1:terraform-unread"]);
    checked("a = <<EOF\nx", &["1:terraform-unread"]);
    checked("}", &["1:terraform-unread"]);
    checked(
        "locals {\n  a = \"${var.x == \"y\" ? \"{\" : \"}\"}\"\n  b = { c = [1, 2] }\n  /* x */ d = <<-EOF\n    }\n  EOF\n}\n",
        &[],
    );
}
