output "url" {
  description = "Where users go."
  value       = module.balancer.url
}

output "test_url" {
  description = "Where what is not out yet answers."
  value       = module.balancer.test_url
}

output "deploy" {
  description = "Inputs of `pipe/deploy-ecs` with `strategy: weighted`, by app; `secrets` are for `pipe/render-task-definition`."
  value = {
    for name, app in module.app : name => {
      cluster            = aws_ecs_cluster.this.name
      service            = "${local.name}-${name}"
      services           = join(",", app.services)
      listener-rule      = app.rule
      test-listener-rule = app.test_rule
      container-name     = name
      alarms             = join(",", module.alarms.of_app[name])
      url                = module.balancer.url
      test-url           = module.balancer.test_url
      execution-role     = app.execution_role
      task-role          = app.task_role
      secrets            = var.apps[name].database ? "DATABASE_URL=${module.database.url_secret}" : ""
    }
  }
}

output "repositories" {
  description = "Repositories of images by app, where this environment makes them."
  value       = var.is_first_of_account ? module.registry[0].repositories : {}
}

output "roles" {
  description = "Roles for `role-to-assume`: push, deploy, plan, apply."
  value       = module.access.roles
}
