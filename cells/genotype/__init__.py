"""Genotypes: what is found, as frozen values with JSON in and out."""
