"""When: standing orders that fire once."""
