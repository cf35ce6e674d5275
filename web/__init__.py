"""The pages, and what browsers load for them: the client, the element, the storefront, the console."""
