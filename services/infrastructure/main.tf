# The shop on AWS: a network in two zones, a load balancer, two ECS services for each app that take turns (`strategy: weighted`),
# PostgreSQL, repositories of images, alarms, a budget, and the roles that pipelines take.

locals {
  name = "${var.project}-${var.environment}"
}

module "logs" {
  source = "./modules/logs"

  name    = local.name
  account = var.account
  days    = var.logs_days
}

module "network" {
  source = "./modules/network"

  name       = local.name
  region     = var.region
  cidr       = var.cidr
  zones      = [for letter in var.zones : "${var.region}${letter}"]
  nat        = var.nat
  log_bucket = module.logs.bucket_arn
}

module "balancer" {
  source = "./modules/balancer"

  name            = local.name
  vpc             = module.network.vpc
  cidr            = var.cidr
  subnets         = module.network.public_subnets
  certificate_arn = var.certificate_arn
  test_cidrs      = var.test_cidrs
  log_bucket      = module.logs.bucket
  protect         = var.environment == "production"
}

module "database" {
  source = "./modules/database"

  name             = local.name
  vpc              = module.network.vpc
  subnets          = module.network.private_subnets
  clients          = { for name, app in module.app : name => app.security_group if var.apps[name].database }
  class            = var.database.class
  gigabytes        = var.database.gigabytes
  multi_az         = var.database.multi_az
  password_version = var.database.password_version
  protect          = var.environment == "production"
}

module "registry" {
  source = "./modules/registry"
  count  = var.is_first_of_account ? 1 : 0

  project = var.project
  apps    = keys(var.apps)
}

resource "aws_ecs_cluster" "this" {
  name = local.name

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_ecs_cluster_capacity_providers" "this" {
  cluster_name       = aws_ecs_cluster.this.name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
}

module "app" {
  source   = "./modules/app"
  for_each = var.apps

  name           = each.key
  project        = var.project
  prefix         = local.name
  region         = var.region
  account        = var.account
  cluster        = aws_ecs_cluster.this.arn
  vpc            = module.network.vpc
  subnets        = module.network.private_subnets
  balancer_group = module.balancer.security_group
  listener       = module.balancer.listener
  test_listener  = module.balancer.test_listener
  app            = each.value
  log_key        = module.logs.key_arn
  log_days       = var.logs_days
}

module "alarms" {
  source = "./modules/alarms"

  name        = local.name
  environment = var.environment
  balancer    = module.balancer.dimension
  groups      = { for name, app in module.app : name => app.group_dimensions }
  key         = module.logs.key_arn
  told        = var.told
  budget      = var.budget
}

module "access" {
  source = "./modules/access"

  name           = local.name
  project        = var.project
  environment    = var.environment
  region         = var.region
  account        = var.account
  issuer         = var.issuer
  repository     = var.repository
  state_bucket   = var.state_bucket
  makes_provider = var.is_first_of_account
  strategies     = var.strategies
}
