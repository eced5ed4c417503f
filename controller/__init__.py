"""Who decides what to try next. Knows decisions and tokens, never layers or genotypes."""
