"""The storefront: goods, buying, a visitor's orders."""
