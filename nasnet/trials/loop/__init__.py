"""The parts of a search's loop: waves, twins, rungs."""
