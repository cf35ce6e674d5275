"""Goods, sales, coupons, shipping methods and prices."""
