# A repository for each app, used by all environments: what was tried in staging is what production gets, by its digest.

resource "aws_ecr_repository" "this" {
  #checkov:skip=CKV_AWS_136:images hold no secrets, and S3's own key costs nothing
  for_each = toset(var.apps)

  name                 = "${var.project}/${each.key}"
  image_tag_mutability = "IMMUTABLE"

  image_scanning_configuration {
    scan_on_push = true
  }
}

# The first rule keeps what was deployed, so that there is something to go back to: ECR removes nothing by a later rule that an
# earlier one keeps. `pipe/push-ecr` knows these rules by their tags.
resource "aws_ecr_lifecycle_policy" "this" {
  for_each = aws_ecr_repository.this

  repository = each.value.name
  policy = jsonencode({
    rules = [
      {
        rulePriority = 1
        description  = "pipe: what was deployed stays"
        selection    = { tagStatus = "tagged", tagPrefixList = ["pipe-deployed-"], countType = "imageCountMoreThan", countNumber = 100 }
        action       = { type = "expire" }
      },
      {
        rulePriority = 2
        description  = "pipe: what has no tag goes after 14 days"
        selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 14 }
        action       = { type = "expire" }
      },
      {
        rulePriority = 3
        description  = "pipe: of all others 200 stay"
        selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = 200 }
        action       = { type = "expire" }
      },
    ]
  })

  lifecycle {
    # `lifecycle-keep` of `pipe/push-ecr` may have other numbers.
    ignore_changes = [policy]
  }
}
