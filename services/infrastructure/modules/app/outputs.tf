output "services" {
  description = "The two ECS services that take turns."
  value       = [aws_ecs_service.this["a"].name, aws_ecs_service.this["b"].name]
}

output "rule" {
  description = "ARN of the rule that shares users between them."
  value       = aws_lb_listener_rule.users.arn
}

output "test_rule" {
  description = "ARN of the rule that leads tests to what comes."
  value       = aws_lb_listener_rule.tests.arn
}

output "group_dimensions" {
  description = "Target groups as metrics name them."
  value       = { for slot, group in aws_lb_target_group.this : slot => group.arn_suffix }
}

output "security_group" {
  description = "Of its tasks."
  value       = aws_security_group.this.id
}

output "execution_role" {
  description = "ARN of the role that starts tasks."
  value       = aws_iam_role.execution.arn
}

output "task_role" {
  description = "ARN of the role that tasks have."
  value       = aws_iam_role.task.arn
}
