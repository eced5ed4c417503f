"""Tables: those that the papers print, and those of known results that are searched."""
