output "vpc" {
  description = "Its id."
  value       = aws_vpc.this.id
}

output "public_subnets" {
  description = "Those of the load balancer."
  value       = values(aws_subnet.public)[*].id
}

output "private_subnets" {
  description = "Those of tasks and the database."
  value       = values(aws_subnet.private)[*].id
}
