output "url_secret" {
  description = "ARN of the secret with its address, user and password as DATABASE_URL."
  value       = aws_secretsmanager_secret.url.arn
}

output "identifier" {
  description = "Its name in RDS."
  value       = aws_db_instance.this.identifier
}
