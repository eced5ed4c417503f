"""How good is an architecture? Performance estimation."""
