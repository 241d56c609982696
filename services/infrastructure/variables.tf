variable "account" {
  description = "Account that is changed, 12 digits; any other one is refused."
  type        = string
  validation {
    condition     = can(regex("^[0-9]{12}$", var.account))
    error_message = "An account has 12 digits."
  }
}

variable "region" {
  description = "Where, such as us-east-1."
  type        = string
  default     = "us-east-1"
}

variable "project" {
  description = "What names begin with."
  type        = string
  default     = "shop"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,11}$", var.project))
    error_message = "At most 12 of a-z, 0-9 and -, a letter first: names of target groups have 32 characters in all."
  }
}

variable "environment" {
  description = "dev, staging or production."
  type        = string
  validation {
    condition     = contains(["dev", "staging", "production"], var.environment)
    error_message = "It is dev, staging or production."
  }
}

variable "cidr" {
  description = "Addresses of the network, a /16."
  type        = string
  default     = "10.20.0.0/16"
}

variable "zones" {
  description = "Letters of two availability zones. Named, so that nothing moves when AWS adds one."
  type        = list(string)
  default     = ["a", "b"]
  validation {
    condition     = length(var.zones) == 2
    error_message = "A load balancer and a database need two zones; more cost more."
  }
}

variable "nat" {
  description = "Ways from private subnets to the internet: none (AWS by endpoints alone), one, or each (one in each zone)."
  type        = string
  default     = "one"
  validation {
    condition     = contains(["none", "one", "each"], var.nat)
    error_message = "It is none, one or each."
  }
}

variable "certificate_arn" {
  description = "Certificate of ACM for HTTPS; empty: HTTP, for a first look only."
  type        = string
  default     = ""
}

variable "test_cidrs" {
  description = "Who reaches what is not out yet, at the test port; beside the network itself."
  type        = list(string)
  default     = []
}

variable "apps" {
  description = "Services by name: which paths lead to them, and how large their tasks are."
  type = map(object({
    paths    = list(string)
    priority = number
    # What the load balancer takes off the beginning of paths.
    prefix   = optional(string, "")
    port     = optional(number, 8080)
    health   = optional(string, "/health")
    cpu      = optional(number, 256)
    memory   = optional(number, 512)
    database = optional(bool, false)
  }))
  default = {
    frontend = { paths = ["/*"], priority = 900 }
    products = { paths = ["/api/products", "/api/products/*"], prefix = "/api/products", priority = 100, database = true }
    orders   = { paths = ["/api/orders", "/api/orders/*"], prefix = "/api/orders", priority = 110, database = true }
  }
}

variable "database" {
  description = "Size of PostgreSQL, and whether it has a standby in a second zone."
  type = object({
    class     = optional(string, "db.t4g.micro")
    gigabytes = optional(number, 20)
    multi_az  = optional(bool, false)
    # Grows by one where a new password is wanted.
    password_version = optional(number, 1)
  })
  default = {}
}

variable "logs_days" {
  description = "How long logs are kept."
  type        = number
  default     = 365
}

variable "budget" {
  description = "Dollars a month; people are told at 50, 80 and 100 %, and when the forecast is above."
  type        = number
  default     = 150
}

variable "told" {
  description = "Mail addresses that alarms and the budget go to."
  type        = list(string)
  default     = []
}

variable "issuer" {
  description = "Whose identity tokens are trusted: the address of `pipe serve` (its `oidc` issuer), or token.actions.githubusercontent.com; without https://."
  type        = string
}

variable "repository" {
  description = "owner/name of the repository whose runs may act here."
  type        = string
  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", var.repository))
    error_message = "It is owner/name, without a star: anything else would let others in."
  }
}

variable "state_bucket" {
  description = "Bucket of the state, which plans read and applies write."
  type        = string
}

variable "is_first_of_account" {
  description = "Whether this environment makes what an account has once: the issuer of identity tokens, repositories of images."
  type        = bool
  default     = true
}

variable "strategies" {
  description = "Strategies of pipe/deploy-ecs that jobs may use: each has a policy of its own."
  type        = set(string)
  default     = ["weighted"]

  validation {
    condition     = length(setsubtract(var.strategies, ["weighted", "task-sets", "codedeploy", "native", "rolling"])) == 0
    error_message = "Each of strategies is weighted, task-sets, codedeploy, native or rolling."
  }
}
