variable "name" {
  description = "Its name."
  type        = string
}

variable "vpc" {
  description = "Id of the network."
  type        = string
}

variable "cidr" {
  description = "Addresses of the network."
  type        = string
}

variable "subnets" {
  description = "Public subnets in two zones."
  type        = list(string)
}

variable "certificate_arn" {
  description = "For HTTPS; empty: HTTP."
  type        = string
}

variable "test_cidrs" {
  description = "Who else reaches the test port."
  type        = list(string)
}

variable "log_bucket" {
  description = "Bucket for access logs."
  type        = string
}

variable "protect" {
  description = "Whether it cannot be deleted."
  type        = bool
}
