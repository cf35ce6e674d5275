"""What is sold and for how much: goods, sales, coupons, shipping, prices."""
