# The permissions that a signer needs and no more: the files of deploy/iam, with your values, attached to its role.
terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0, < 7.0"
    }
  }
}

variable "name" {
  description = "Beginning of the policies' names"
  type        = string
  default     = "containment-chamber"
}

variable "role" {
  description = "Name of the signer's role"
  type        = string
}

variable "history_table" {
  description = "anti_slashing.table; null where the history is not in DynamoDB"
  type        = string
  default     = null
}

variable "state_table" {
  description = "signer_state.table; null where the state is not in DynamoDB"
  type        = string
  default     = null
}

variable "keys_table" {
  description = "key_sources.dynamodb.table; null where imported keys are not in DynamoDB"
  type        = string
  default     = null
}

variable "kms_key_arns" {
  description = "Keys with shares of the master key; none: modes local and operators"
  type        = list(string)
  default     = []
}

variable "chamber_id" {
  description = "Line `chamber` of identity.pub; needed with kms_key_arns"
  type        = string
  default     = ""
}

variable "ceremony" {
  description = "While a set is made or rotated: the signer may encrypt shares too"
  type        = bool
  default     = false
}

variable "init" {
  description = "For `containment-chamber init` alone: the role may make tables (module tables makes them instead), and see that they are empty"
  type        = bool
  default     = false
}

data "aws_partition" "current" {}
data "aws_region" "current" {}
data "aws_caller_identity" "current" {}

locals {
  stores = {
    history = var.history_table
    state   = var.state_table
    keys    = var.keys_table
  }
  used  = [for name, table in local.stores : name if table != null]
  kms   = length(var.kms_key_arns) > 0
  files = toset(concat(
    [for name in local.used : "${name}-run"],
    [for name in local.used : "${name}-init" if var.init],
    local.kms ? ["kms-open"] : [],
    local.kms && var.ceremony ? ["kms-ceremony"] : [],
  ))
  templates = { for name in local.files : name => file("${path.module}/../../iam/${name}.json") }
  # The encryption context has the chamber's id without 0x.
  policies = { for name, text in local.templates : name =>
    replace(replace(replace(replace(replace(replace(replace(replace(text,
      "@PARTITION@", data.aws_partition.current.partition),
      "@REGION@", data.aws_region.current.name),
      "@ACCOUNT_ID@", data.aws_caller_identity.current.account_id),
      "@HISTORY_TABLE@", coalesce(var.history_table, "-")),
      "@STATE_TABLE@", coalesce(var.state_table, "-")),
      "@KEYS_TABLE@", coalesce(var.keys_table, "-")),
      "@CHAMBER_ID@", trimprefix(var.chamber_id, "0x")),
    "\"@KEY_ARN@\"", join(", ", [for arn in var.kms_key_arns : jsonencode(arn)]))
  }
}

resource "aws_iam_policy" "signer" {
  for_each = local.policies

  name   = "${var.name}-${each.key}"
  policy = each.value

  lifecycle {
    precondition {
      condition     = !startswith(each.key, "kms-") || can(regex("^0x[0-9a-f]{64}$", var.chamber_id))
      error_message = "kms_key_arns needs chamber_id: 0x and 64 hex digits."
    }
  }
}

resource "aws_iam_role_policy_attachment" "signer" {
  for_each = aws_iam_policy.signer

  role       = var.role
  policy_arn = each.value.arn
}
