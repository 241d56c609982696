output "roles" {
  description = "ARNs by purpose."
  value       = { for purpose, role in aws_iam_role.pipeline : purpose => role.arn }
}
