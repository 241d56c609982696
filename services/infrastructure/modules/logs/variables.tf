variable "name" {
  description = "What names begin with."
  type        = string
}

variable "account" {
  description = "The account."
  type        = string
}

variable "days" {
  description = "How long logs are kept."
  type        = number
}
