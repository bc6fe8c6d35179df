"""`make compat`: the lowest and the highest versions of the dependencies, on every Python. Not collected by pytest."""
