terraform {
  # Values that are never written down (ephemeral, write-only) came with 1.11.
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # Rules that rewrite paths came with 6.19.
      version = ">= 6.19, < 7.0"
    }
    random = {
      source  = "hashicorp/random"
      version = "~> 3.7"
    }
  }

  # Where the state lies is said at `init`: docs/deploying.md makes the bucket, and pipelines/infrastructure.yml names it.
  backend "s3" {}
}

provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account]

  default_tags {
    tags = {
      Project     = var.project
      Environment = var.environment
      ManagedBy   = "terraform"
    }
  }
}
