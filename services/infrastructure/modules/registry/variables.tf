variable "project" {
  description = "What names of repositories begin with."
  type        = string
}

variable "apps" {
  description = "Apps with images."
  type        = list(string)
}
