variable "name" {
  description = "What names begin with."
  type        = string
}

variable "environment" {
  description = "The environment, by whose tag costs are counted."
  type        = string
}

variable "balancer" {
  description = "The load balancer as metrics name it."
  type        = string
}

variable "groups" {
  description = "Target groups as metrics name them, by app and slot."
  type        = map(map(string))
}

variable "key" {
  description = "ARN of the key of the topic."
  type        = string
}

variable "told" {
  description = "Mail addresses."
  type        = list(string)
}

variable "budget" {
  description = "Dollars a month."
  type        = number
}
