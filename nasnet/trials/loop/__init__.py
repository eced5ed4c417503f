"""The parts of a search's loop: waves, twins, rungs, the journal's records."""
