# One load balancer for all apps. Its listeners know nobody by themselves: rules of apps lead on. The test listener has rules of its
# own, by which tests reach what users do not see yet.

locals {
  is_tls    = var.certificate_arn != ""
  test_port = 9443
  policy    = "ELBSecurityPolicy-TLS13-1-2-2021-06"
}

resource "aws_security_group" "this" {
  name        = "${var.name}-balancer"
  description = "The load balancer of ${var.name}"
  vpc_id      = var.vpc

  tags = { Name = "${var.name}-balancer" }
}

resource "aws_vpc_security_group_ingress_rule" "http" {
  #checkov:skip=CKV_AWS_260:users come by HTTP and are sent to HTTPS
  security_group_id = aws_security_group.this.id
  description       = "Users"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 80
  to_port           = 80
}

resource "aws_vpc_security_group_ingress_rule" "https" {
  count = local.is_tls ? 1 : 0

  security_group_id = aws_security_group.this.id
  description       = "Users"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_ingress_rule" "tests" {
  for_each = toset(concat([var.cidr], var.test_cidrs))

  security_group_id = aws_security_group.this.id
  description       = "Tests of what is not out yet"
  cidr_ipv4         = each.key
  ip_protocol       = "tcp"
  from_port         = local.test_port
  to_port           = local.test_port
}

resource "aws_vpc_security_group_egress_rule" "tasks" {
  security_group_id = aws_security_group.this.id
  description       = "Tasks"
  cidr_ipv4         = var.cidr
  ip_protocol       = "tcp"
  from_port         = 1024
  to_port           = 65535
}

resource "aws_lb" "this" {
  #checkov:skip=CKV2_AWS_28:a firewall costs as much as the tasks; add aws_wafv2_web_acl_association where attacks are expected
  #checkov:skip=CKV_AWS_150:production is protected; others come and go (`protect`)
  #checkov:skip=CKV2_AWS_20:with a certificate port 80 sends users to HTTPS; without one this is a first look
  name                       = var.name
  load_balancer_type         = "application"
  internal                   = false
  subnets                    = var.subnets
  security_groups            = [aws_security_group.this.id]
  drop_invalid_header_fields = true
  enable_deletion_protection = var.protect

  access_logs {
    bucket  = var.log_bucket
    prefix  = "balancer"
    enabled = true
  }
}

resource "aws_lb_listener" "http" {
  #checkov:skip=CKV_AWS_2:with a certificate it sends users to HTTPS; without one this is a first look
  #checkov:skip=CKV_AWS_103:plain HTTP has no version of TLS
  load_balancer_arn = aws_lb.this.arn
  port              = 80
  protocol          = "HTTP"

  default_action {
    type = local.is_tls ? "redirect" : "fixed-response"

    dynamic "redirect" {
      for_each = local.is_tls ? [1] : []
      content {
        protocol    = "HTTPS"
        port        = "443"
        status_code = "HTTP_301"
      }
    }

    dynamic "fixed_response" {
      for_each = local.is_tls ? [] : [1]
      content {
        content_type = "text/plain"
        message_body = "There is nothing here."
        status_code  = "404"
      }
    }
  }
}

resource "aws_lb_listener" "https" {
  count = local.is_tls ? 1 : 0

  load_balancer_arn = aws_lb.this.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = local.policy
  certificate_arn   = var.certificate_arn

  default_action {
    type = "fixed-response"

    fixed_response {
      content_type = "text/plain"
      message_body = "There is nothing here."
      status_code  = "404"
    }
  }
}

resource "aws_lb_listener" "test" {
  #checkov:skip=CKV_AWS_2:with a certificate it is HTTPS; only the network and those who are named reach it
  #checkov:skip=CKV_AWS_103:with a certificate it has TLS 1.2 and later
  load_balancer_arn = aws_lb.this.arn
  port              = local.test_port
  protocol          = local.is_tls ? "HTTPS" : "HTTP"
  ssl_policy        = local.is_tls ? local.policy : null
  certificate_arn   = local.is_tls ? var.certificate_arn : null

  default_action {
    type = "fixed-response"

    fixed_response {
      content_type = "text/plain"
      message_body = "There is nothing here."
      status_code  = "404"
    }
  }
}
