# Roles that jobs take with their identity token, and nobody else: each names the exact `sub` of the jobs that it is for. There are no
# users and no lasting keys. What each may do stands in policies/, one file for each built-in action.

locals {
  provider = "arn:aws:iam::${var.account}:oidc-provider/${var.issuer}"
  from     = "repo:${var.repository}"

  # Whose token each role is for. A job with an `environment` has that in its `sub`, and not the branch.
  subjects = {
    push   = ["${local.from}:ref:refs/heads/main"]
    deploy = ["${local.from}:environment:${var.environment}"]
    plan   = ["${local.from}:pull_request", "${local.from}:ref:refs/heads/main"]
    apply  = ["${local.from}:environment:infrastructure-${var.environment}"]
  }

  strategies = { for one in var.strategies : "deploy-ecs-${one}" => { role = "deploy", file = "deploy-ecs-${one}.json" } }
  policies = merge(local.strategies, {
    push-ecr    = { role = "push", file = "push-ecr.json" }
    plan-state  = { role = "plan", file = "terraform-state.json" }
    plan-limits = { role = "plan", file = "terraform-plan.json" }
    apply-state = { role = "apply", file = "terraform-state.json" }
    apply       = { role = "apply", file = "terraform-apply.json" }
  })
}

resource "aws_iam_openid_connect_provider" "this" {
  count = var.makes_provider ? 1 : 0

  url            = "https://${var.issuer}"
  client_id_list = ["sts.amazonaws.com"]
}

data "aws_iam_policy_document" "trust" {
  for_each = local.subjects

  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [local.provider]
    }
    condition {
      test     = "StringEquals"
      variable = "${var.issuer}:aud"
      values   = ["sts.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "${var.issuer}:sub"
      values   = each.value
    }
  }
}

resource "aws_iam_role" "pipeline" {
  for_each = local.subjects

  name                 = "${var.name}-pipeline-${each.key}"
  description          = "Jobs of ${var.repository}: ${each.key}"
  assume_role_policy   = data.aws_iam_policy_document.trust[each.key].json
  max_session_duration = 3600

  depends_on = [aws_iam_openid_connect_provider.this]
}

resource "aws_iam_role_policy" "pipeline" {
  for_each = local.policies

  name = each.key
  role = aws_iam_role.pipeline[each.value.role].id
  policy = templatefile("${path.module}/../../policies/${each.value.file}", {
    account      = var.account
    region       = var.region
    name         = var.name
    project      = var.project
    state_bucket = var.state_bucket
  })
}

# Plans look at everything that AWS calls reading, without what policies/terraform-plan.json takes away again: data and secrets.
resource "aws_iam_role_policy_attachment" "plan" {
  role       = aws_iam_role.pipeline["plan"].name
  policy_arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"
}

# Applying reads the same way, so that it can compare.
resource "aws_iam_role_policy_attachment" "apply" {
  role       = aws_iam_role.pipeline["apply"].name
  policy_arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"
}
