"""Tables: the papers', and those of known results that are searched."""
