"""Everything a machine needs to run the team without anybody else's server."""
