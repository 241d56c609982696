environment         = "dev"
is_first_of_account = false
cidr                = "10.22.0.0/16"
logs_days           = 14
budget              = 50
