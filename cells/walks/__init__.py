"""The one way from a value to a network, written against primitives."""
