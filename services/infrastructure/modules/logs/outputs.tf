output "bucket" {
  description = "Name of the bucket, once others may write to it."
  value       = aws_s3_bucket_policy.logs.bucket
}

output "bucket_arn" {
  description = "Its ARN."
  value       = aws_s3_bucket.logs.arn
}

output "key_arn" {
  description = "Key of logs in CloudWatch and of alarms."
  value       = aws_kms_key.logs.arn
}
