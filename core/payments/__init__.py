"""Payments, their signatures, and refunds."""
