"""These tests need a real model and much time: `make test-model` runs them, `make test` does not."""

import os

collect_ignore_glob = [] if os.environ.get("COUNTERSIGN_REAL_MODEL") else ["test_*.py"]
