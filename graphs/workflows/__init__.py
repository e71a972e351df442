"""The workflows this installation can run, one file each."""
