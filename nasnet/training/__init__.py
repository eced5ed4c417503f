"""One network, trained for real. Does not know that search exists."""
