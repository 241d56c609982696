# PostgreSQL in the private subnets. Its password is made while this is applied, goes to RDS and to Secrets Manager, and is written
# neither into the plan nor into the state (write-only arguments, Terraform 1.11).

data "aws_partition" "here" {}

resource "aws_db_subnet_group" "this" {
  name       = var.name
  subnet_ids = var.subnets
}

resource "aws_security_group" "this" {
  name        = "${var.name}-database"
  description = "The database of ${var.name}"
  vpc_id      = var.vpc

  tags = { Name = "${var.name}-database" }
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each = var.clients

  security_group_id            = aws_security_group.this.id
  description                  = "Tasks of ${each.key}"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_kms_key" "this" {
  #checkov:skip=CKV2_AWS_64:the account's own policy is the default, and RDS and Secrets Manager use the key by grants
  description             = "Database of ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
}

ephemeral "random_password" "this" {
  length  = 40
  special = false
}

resource "aws_db_parameter_group" "this" {
  name   = var.name
  family = "postgres16"

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }

  parameter {
    name  = "log_min_duration_statement"
    value = "1000"
  }

  parameter {
    name  = "log_statement"
    value = "ddl"
  }
}

data "aws_iam_policy_document" "monitoring" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["monitoring.rds.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "monitoring" {
  name               = "${var.name}-database-monitoring"
  assume_role_policy = data.aws_iam_policy_document.monitoring.json
}

resource "aws_iam_role_policy_attachment" "monitoring" {
  role       = aws_iam_role.monitoring.name
  policy_arn = "arn:${data.aws_partition.here.partition}:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}

resource "aws_db_instance" "this" {
  #checkov:skip=CKV_AWS_157:a standby doubles the price; production sets `multi_az`
  #checkov:skip=CKV_AWS_161:the apps know a URL with a password, which lasts as long as they want
  #checkov:skip=CKV_AWS_293:production is protected; others come and go (`protect`)
  identifier     = var.name
  engine         = "postgres"
  engine_version = "16"
  instance_class = var.class

  allocated_storage     = var.gigabytes
  max_allocated_storage = var.gigabytes * 5
  storage_type          = "gp3"
  storage_encrypted     = true
  kms_key_id            = aws_kms_key.this.arn

  db_name             = "shop"
  username            = "shop"
  password_wo         = ephemeral.random_password.this.result
  password_wo_version = var.password_version

  db_subnet_group_name   = aws_db_subnet_group.this.name
  vpc_security_group_ids = [aws_security_group.this.id]
  parameter_group_name   = aws_db_parameter_group.this.name
  publicly_accessible    = false
  multi_az               = var.multi_az

  backup_retention_period    = 7
  copy_tags_to_snapshot      = true
  auto_minor_version_upgrade = true
  deletion_protection        = var.protect
  skip_final_snapshot        = !var.protect
  final_snapshot_identifier  = var.protect ? "${var.name}-last" : null

  enabled_cloudwatch_logs_exports = ["postgresql", "upgrade"]
  performance_insights_enabled    = true
  performance_insights_kms_key_id = aws_kms_key.this.arn
  monitoring_interval             = 60
  monitoring_role_arn             = aws_iam_role.monitoring.arn
}

resource "aws_secretsmanager_secret" "url" {
  #checkov:skip=CKV2_AWS_57:a new password comes with `password_version`, and tasks start with it
  name       = "${var.name}/database-url"
  kms_key_id = aws_kms_key.this.arn
}

resource "aws_secretsmanager_secret_version" "url" {
  secret_id = aws_secretsmanager_secret.url.id
  secret_string_wo = format(
    "postgresql://%s:%s@%s/%s?sslmode=require",
    aws_db_instance.this.username,
    ephemeral.random_password.this.result,
    aws_db_instance.this.endpoint,
    aws_db_instance.this.db_name,
  )
  secret_string_wo_version = var.password_version
}
