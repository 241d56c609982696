environment         = "staging"
is_first_of_account = false
cidr                = "10.21.0.0/16"
logs_days           = 30
budget              = 80
