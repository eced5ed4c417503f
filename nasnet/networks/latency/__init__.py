"""How long a picture takes in a network: its operations, a table of their times, a clock."""
