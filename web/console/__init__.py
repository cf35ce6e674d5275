"""The operator's console: one static page, and the modules that it is made of."""
