let shop = {}
