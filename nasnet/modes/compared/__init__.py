"""What --mode=compare does: networks side by side."""
