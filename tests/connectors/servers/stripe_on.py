"""Serves localstripe on one loopback port, keeping nothing on disk. Run by the Python of `make test-connectors`."""

import sys

from aiohttp import web
from localstripe import server
from localstripe.resources import Store

Store.dump_to_disk = lambda self: None

web.run_app(server.app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
