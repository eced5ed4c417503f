"""What can be chosen: spaces as tuples of decisions."""
