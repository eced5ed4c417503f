"""The ways in which a walk becomes a network; the one with integers is `cells.count`."""
