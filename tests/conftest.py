"""What every test can ask for."""

import os

pytest_plugins = ["tests.support.fixtures", "tests.support.nursery_fixture"]

# They need servers that only `make test-connectors` sets up; asked for by that, none of them is skipped.
collect_ignore = [] if os.environ.get("COUNTERSIGN_CONNECTORS") == "full" else ["connectors"]
