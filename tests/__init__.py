"""The promises of design and documents, each with a test that can fail."""
