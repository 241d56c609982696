# An app: two ECS services, `a` and `b`, each in a target group of its own, and two rules that share requests between the groups.
# Which of them is blue and which is green, how many tasks run and what, are the rollout's (`strategy: weighted`); Terraform makes
# them once, empty, and then looks away: one that "repaired" weights would take users off what runs.

locals {
  full  = "${var.prefix}-${var.name}"
  slots = toset(["a", "b"])
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/${var.prefix}/${var.name}"
  retention_in_days = var.log_days
  kms_key_id        = var.log_key
}

data "aws_iam_policy_document" "tasks" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account]
    }
  }
}

# Starts tasks: pulls images, writes logs, reads the secrets of this environment.
resource "aws_iam_role" "execution" {
  name               = "${local.full}-execution"
  assume_role_policy = data.aws_iam_policy_document.tasks.json
}

data "aws_iam_policy_document" "execution" {
  #checkov:skip=CKV_AWS_356:GetAuthorizationToken knows no resources
  statement {
    sid       = "Login"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }
  statement {
    sid       = "Pull"
    actions   = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"]
    resources = ["arn:aws:ecr:${var.region}:${var.account}:repository/${var.project}/${var.name}"]
  }
  statement {
    sid       = "Logs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.this.arn}:*"]
  }
  statement {
    sid       = "Secrets"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = ["arn:aws:secretsmanager:${var.region}:${var.account}:secret:${var.prefix}/*"]
  }
}

resource "aws_iam_role_policy" "execution" {
  name   = "start"
  role   = aws_iam_role.execution.id
  policy = data.aws_iam_policy_document.execution.json
}

# What the app itself may ask of AWS: nothing, until it needs something.
resource "aws_iam_role" "task" {
  name               = "${local.full}-task"
  assume_role_policy = data.aws_iam_policy_document.tasks.json
}

resource "aws_security_group" "this" {
  name        = "${local.full}-tasks"
  description = "Tasks of ${local.full}"
  vpc_id      = var.vpc

  tags = { Name = "${local.full}-tasks" }
}

resource "aws_vpc_security_group_ingress_rule" "balancer" {
  security_group_id            = aws_security_group.this.id
  description                  = "The load balancer"
  referenced_security_group_id = var.balancer_group
  ip_protocol                  = "tcp"
  from_port                    = var.app.port
  to_port                      = var.app.port
}

resource "aws_vpc_security_group_egress_rule" "all" {
  #checkov:skip=CKV_AWS_382:apps reach AWS, the database and each other by the load balancer's public name
  security_group_id = aws_security_group.this.id
  description       = "AWS, the database, other apps by the load balancer"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
}

resource "aws_lb_target_group" "this" {
  #checkov:skip=CKV_AWS_378:TLS ends at the load balancer; behind it is the private network
  for_each = local.slots

  name                 = "${local.full}-${each.key}"
  vpc_id               = var.vpc
  target_type          = "ip"
  protocol             = "HTTP"
  port                 = var.app.port
  deregistration_delay = 30

  health_check {
    path                = var.app.health
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
    matcher             = "200"
  }
}

resource "aws_lb_listener_rule" "users" {
  listener_arn = var.listener
  priority     = var.app.priority

  condition {
    path_pattern {
      values = var.app.paths
    }
  }

  # Apps know nothing of the paths that lead to them.
  dynamic "transform" {
    for_each = var.app.prefix == "" ? [] : [var.app.prefix]

    content {
      type = "url-rewrite"

      url_rewrite_config {
        rewrite {
          regex   = "^${transform.value}/?(.*)$"
          replace = "/$1"
        }
      }
    }
  }

  action {
    type = "forward"

    forward {
      target_group {
        arn    = aws_lb_target_group.this["a"].arn
        weight = 100
      }
      target_group {
        arn    = aws_lb_target_group.this["b"].arn
        weight = 0
      }
    }
  }

  lifecycle {
    # Weights are the rollout's.
    ignore_changes = [action]
  }
}

resource "aws_lb_listener_rule" "tests" {
  listener_arn = var.test_listener
  priority     = var.app.priority

  condition {
    path_pattern {
      values = var.app.paths
    }
  }

  # Apps know nothing of the paths that lead to them.
  dynamic "transform" {
    for_each = var.app.prefix == "" ? [] : [var.app.prefix]

    content {
      type = "url-rewrite"

      url_rewrite_config {
        rewrite {
          regex   = "^${transform.value}/?(.*)$"
          replace = "/$1"
        }
      }
    }
  }

  action {
    type = "forward"

    forward {
      target_group {
        arn    = aws_lb_target_group.this["a"].arn
        weight = 0
      }
      target_group {
        arn    = aws_lb_target_group.this["b"].arn
        weight = 100
      }
    }
  }

  lifecycle {
    ignore_changes = [action]
  }
}

# Only so that services can be made: the first rollout registers the one that runs.
resource "aws_ecs_task_definition" "first" {
  #checkov:skip=CKV_AWS_249:each app has roles of its own
  #checkov:skip=CKV_AWS_97:it mounts no file system
  family                   = local.full
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.app.cpu
  memory                   = var.app.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = "X86_64"
  }

  container_definitions = jsonencode([{
    name                   = var.name
    image                  = "public.ecr.aws/docker/library/busybox:1.37"
    command                = ["true"]
    essential              = true
    readonlyRootFilesystem = true
    portMappings           = [{ containerPort = var.app.port, protocol = "tcp" }]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.this.name
        awslogs-region        = var.region
        awslogs-stream-prefix = "app"
      }
    }
  }])

  lifecycle {
    ignore_changes = [container_definitions]
  }
}

resource "aws_ecs_service" "this" {
  for_each = local.slots

  name             = "${local.full}-${each.key}"
  cluster          = var.cluster
  task_definition  = aws_ecs_task_definition.first.arn
  desired_count    = 0
  launch_type      = "FARGATE"
  platform_version = "LATEST"
  propagate_tags   = "SERVICE"

  health_check_grace_period_seconds  = 60
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200

  deployment_controller {
    type = "ECS"
  }

  # A rollout looks at its tasks itself; this ends a start that never comes about when nobody looks.
  deployment_circuit_breaker {
    enable   = true
    rollback = false
  }

  network_configuration {
    subnets          = var.subnets
    security_groups  = [aws_security_group.this.id]
    assign_public_ip = false
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.this[each.key].arn
    container_name   = var.name
    container_port   = var.app.port
  }

  lifecycle {
    # What runs and how often is the rollout's.
    ignore_changes = [task_definition, desired_count]
  }

  depends_on = [aws_lb_listener_rule.users, aws_lb_listener_rule.tests, aws_iam_role_policy.execution]
}
