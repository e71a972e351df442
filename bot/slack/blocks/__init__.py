"""Pure functions from our own objects to Block Kit: nothing here reads, writes or decides."""
