variable "name" {
  description = "The app's name, which its container has too."
  type        = string
}

variable "project" {
  description = "What names of repositories begin with."
  type        = string
}

variable "prefix" {
  description = "Project and environment."
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

variable "cluster" {
  description = "ARN of the cluster."
  type        = string
}

variable "vpc" {
  description = "Id of the network."
  type        = string
}

variable "subnets" {
  description = "Private subnets of tasks."
  type        = list(string)
}

variable "balancer_group" {
  description = "Security group of the load balancer."
  type        = string
}

variable "listener" {
  description = "ARN of the listener for users."
  type        = string
}

variable "test_listener" {
  description = "ARN of the listener for tests."
  type        = string
}

variable "app" {
  description = "Paths, port and size."
  type = object({
    paths    = list(string)
    prefix   = string
    priority = number
    port     = number
    health   = string
    cpu      = number
    memory   = number
    database = bool
  })
}

variable "log_key" {
  description = "ARN of the key of logs."
  type        = string
}

variable "log_days" {
  description = "How long logs are kept."
  type        = number
}
