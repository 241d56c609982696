variable "name" {
  description = "What names begin with."
  type        = string
}

variable "project" {
  description = "What names of repositories begin with."
  type        = string
}

variable "environment" {
  description = "The environment, which is the one of jobs that may deploy."
  type        = string
}

variable "region" {
  description = "Where."
  type        = string
}

variable "account" {
  description = "The account."
  type        = string
}

variable "issuer" {
  description = "Who signs identity tokens, without https://."
  type        = string
}

variable "repository" {
  description = "owner/name of the repository."
  type        = string
}

variable "state_bucket" {
  description = "Bucket of the state."
  type        = string
}

variable "makes_provider" {
  description = "Whether the account has no provider for that issuer yet."
  type        = bool
}

variable "strategies" {
  description = "Strategies of pipe/deploy-ecs that jobs may use: each has a policy of its own."
  type        = set(string)
}
