"""Pictures: read, split, cut into batches, augmented."""
