"""Serves medallion on one loopback port from a JSON configuration. Run by the Python of `make test-connectors`."""

import json
import sys

from medallion import application_instance, register_blueprints, set_config

with open(sys.argv[2], encoding="utf-8") as file:
    configuration = json.load(file)
for name in ("users", "taxii", "backend"):
    set_config(application_instance, name, configuration)
register_blueprints(application_instance)
application_instance.run(host="127.0.0.1", port=int(sys.argv[1]), debug=False)
