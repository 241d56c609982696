variable "name" {
  description = "What names begin with."
  type        = string
}

variable "region" {
  description = "Where."
  type        = string
}

variable "cidr" {
  description = "Addresses, a /16."
  type        = string
}

variable "zones" {
  description = "Two availability zones."
  type        = list(string)
}

variable "nat" {
  description = "none, one or each."
  type        = string
}

variable "log_bucket" {
  description = "ARN of the bucket for flow logs."
  type        = string
}
