output "of_app" {
  description = "Names of alarms for `alarms` of a rollout, by app."
  value = {
    for app, slots in var.groups : app => concat(
      [for slot in keys(slots) : aws_cloudwatch_metric_alarm.errors["${app}-${slot}"].alarm_name],
      [for slot in keys(slots) : aws_cloudwatch_metric_alarm.latency["${app}-${slot}"].alarm_name],
    )
  }
}

output "topic" {
  description = "ARN of the topic that people hear."
  value       = aws_sns_topic.this.arn
}
