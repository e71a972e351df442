"""The example company that comes with every installation, made up from end to end."""
