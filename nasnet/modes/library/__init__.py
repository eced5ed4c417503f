"""What a program imports: `nasnet.search`, `network` and `load`."""
