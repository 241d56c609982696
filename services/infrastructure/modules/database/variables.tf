variable "name" {
  description = "What names begin with."
  type        = string
}

variable "vpc" {
  description = "Id of the network."
  type        = string
}

variable "subnets" {
  description = "Private subnets in two zones."
  type        = list(string)
}

variable "clients" {
  description = "Security groups that may connect, by app."
  type        = map(string)
}

variable "class" {
  description = "Class of the instance."
  type        = string
}

variable "gigabytes" {
  description = "Its storage."
  type        = number
}

variable "multi_az" {
  description = "Whether it has a standby in a second zone."
  type        = bool
}

variable "password_version" {
  description = "Grows by one where a new password is wanted."
  type        = number
}

variable "protect" {
  description = "Whether it cannot be deleted."
  type        = bool
}
