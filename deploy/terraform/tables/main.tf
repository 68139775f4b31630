# The tables of a signer's stores. With them made here, the signer's role needs no CreateTable (deploy/iam/README.md).
terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0, < 7.0"
    }
  }
}

variable "names" {
  description = "Names of the tables: one for all stores, or one for each"
  type        = set(string)

  validation {
    condition     = length(var.names) > 0
    error_message = "At least one table is needed."
  }
}

variable "kms_key_arn" {
  description = "A key of yours that the tables lie under at rest; null: DynamoDB's own. What is sealed is sealed in either case."
  type        = string
  default     = null
}

variable "tags" {
  type    = map(string)
  default = {}
}

# As `containment-chamber init` makes them. No ttl block, ever: an item that vanishes is a signature that is forgotten, and the
# signer refuses such a table.
resource "aws_dynamodb_table" "store" {
  for_each = var.names

  name                        = each.value
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "pk"
  range_key                   = "sk"
  deletion_protection_enabled = true
  tags                        = var.tags

  attribute {
    name = "pk"
    type = "S"
  }

  attribute {
    name = "sk"
    type = "S"
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = var.kms_key_arn != null
    kms_key_arn = var.kms_key_arn
  }

  lifecycle {
    prevent_destroy = true
  }
}

output "arns" {
  description = "By name"
  value       = { for name, table in aws_dynamodb_table.store : name => table.arn }
}
