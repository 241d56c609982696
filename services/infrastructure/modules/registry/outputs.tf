output "repositories" {
  description = "Addresses by app."
  value       = { for name, repository in aws_ecr_repository.this : name => repository.repository_url }
}
