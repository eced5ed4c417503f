"""Strategies that learn from whole tuples of tokens and their rewards, without a network."""
