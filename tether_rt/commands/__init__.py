"""What the command line does, one module for each group of commands; `cli` has the table of them."""
