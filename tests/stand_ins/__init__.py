"""Servers that stand in for AWS, and what goes wrong on the way to them."""
