"""The weights that a search keeps in its folder."""
