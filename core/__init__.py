"""Shared ground: what the five packages stand on, and nothing that belongs to one of them."""
