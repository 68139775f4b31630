# A signer on EC2 or EKS: history, state and imported keys in DynamoDB, its master key under two KMS keys. First apply without
# `chamber_id`, run `containment-chamber init`, then with the id that identity.pub says.
variable "signer_role" {
  description = "Name of the signer's role"
  type        = string
}

variable "admin_arn" {
  type = string
}

variable "chamber_id" {
  type    = string
  default = ""
}

data "aws_iam_role" "signer" {
  name = var.signer_role
}

module "tables" {
  source = "../tables"
  names  = ["signer-history", "signer-state", "signer-keys"]
}

module "kms" {
  source     = "../kms"
  names      = var.chamber_id == "" ? [] : ["share-a", "share-b"]
  chamber_id = var.chamber_id == "" ? "0x${join("", [for _ in range(64) : "0"])}" : var.chamber_id
  signer_arn = data.aws_iam_role.signer.arn
  admin_arn  = var.admin_arn
}

module "iam" {
  source        = "../iam"
  role          = var.signer_role
  history_table = "signer-history"
  state_table   = "signer-state"
  keys_table    = "signer-keys"
  kms_key_arns  = module.kms.arns
  chamber_id    = var.chamber_id
  init          = var.chamber_id == ""
  ceremony      = var.chamber_id != ""
}
