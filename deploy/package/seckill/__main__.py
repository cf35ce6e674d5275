"""`python -m seckill`."""

from seckill import main

main()
