# KMS keys for shares of the master key, each with the key policy of deploy/iam. For keys in several accounts, which no single
# administrator can end, use the module once in each of them.
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
  description = "A name for each key"
  type        = set(string)
}

variable "chamber_id" {
  description = "0x and 64 hex digits: the line `chamber` of identity.pub"
  type        = string

  validation {
    condition     = can(regex("^0x[0-9a-f]{64}$", var.chamber_id))
    error_message = "A chamber's id is 0x and 64 hex digits."
  }
}

variable "signer_arn" {
  description = "The role of the signer: it uses the keys"
  type        = string
}

variable "admin_arn" {
  description = "The role that manages the keys and can't decrypt with them. Who applies this has to be it, or KMS refuses the policy."
  type        = string
}

variable "tags" {
  type    = map(string)
  default = {}
}

locals {
  template = file("${path.module}/../../iam/kms-key-policy.json")
  # The encryption context has the id without 0x.
  policy = replace(replace(replace(local.template,
    "@CHAMBER_ID@", trimprefix(var.chamber_id, "0x")),
    "@SIGNER_ARN@", var.signer_arn),
  "@ADMIN_ARN@", var.admin_arn)
}

resource "aws_kms_key" "share" {
  for_each = var.names

  description             = "Containment Chamber: shares of the master key, ${each.value}"
  key_usage               = "ENCRYPT_DECRYPT"
  deletion_window_in_days = 30
  enable_key_rotation     = true
  policy                  = local.policy
  tags                    = var.tags

  lifecycle {
    prevent_destroy = true
  }
}

output "arns" {
  description = "For signer_state.allowed_kms_key_arns and `operator init --kms-key-arns`"
  value       = [for key in aws_kms_key.share : key.arn]
}
