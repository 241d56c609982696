environment         = "production"
is_first_of_account = true
nat                 = "one"
database            = { class = "db.t4g.small", multi_az = true }
apps = {
  frontend = { paths = ["/*"], priority = 900 }
  products = { paths = ["/api/products", "/api/products/*"], priority = 100, database = true, cpu = 512, memory = 1024 }
  orders   = { paths = ["/api/orders", "/api/orders/*"], priority = 110, database = true, cpu = 512, memory = 1024 }
}
