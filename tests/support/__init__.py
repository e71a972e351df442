"""The small language that tests are written in: builders, real servers, asserts."""
