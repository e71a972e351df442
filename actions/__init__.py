"""The gateway: everything that changes the outside world."""
