"""A search, from its flags to its winner."""
