output "listener" {
  description = "ARN of the listener with the rules of users."
  value       = local.is_tls ? aws_lb_listener.https[0].arn : aws_lb_listener.http.arn
}

output "test_listener" {
  description = "ARN of the listener with the rules of tests."
  value       = aws_lb_listener.test.arn
}

output "security_group" {
  description = "From which tasks are reached."
  value       = aws_security_group.this.id
}

output "dimension" {
  description = "As metrics name it."
  value       = aws_lb.this.arn_suffix
}

output "url" {
  description = "Where users go."
  value       = "${local.is_tls ? "https" : "http"}://${aws_lb.this.dns_name}"
}

output "test_url" {
  description = "Where tests go."
  value       = "${local.is_tls ? "https" : "http"}://${aws_lb.this.dns_name}:${local.test_port}"
}
