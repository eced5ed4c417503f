"""Architectures as pictures."""
