"""Runs an OpenC2 consumer of the otupy library on loopback: its language, its encoding, its HTTP; our one actuator."""

import sys
from datetime import UTC, datetime, timedelta

import otupy as oc2

# The library has the target `command` of the language, and registers it only where its module is imported.
import otupy.types.targets.command_id
from flask import Flask
from otupy.encoders.json import JSONEncoder
from otupy.transfers.http import HTTPTransfer

ER, OURS = "er", "x-countersign"


@oc2.extension(nsid=ER)
class ResponseArgs(oc2.Args):
    """What endpoint response adds to the arguments of a command."""

    fieldtypes = {"device_containment": str}


@oc2.extension(nsid=OURS)
class OurArgs(oc2.Args):
    """What we add; the library makes one class of all that it reads, the last, so it has the others' fields too."""

    fieldtypes = {"host_id": str, "case_id": str, "reason": str, "device_containment": str}


@oc2.extension(nsid=OURS)
class OurResults(oc2.Results):
    """What is answered beyond the language."""

    fieldtypes = {"until": str, "known": bool}


@oc2.target(name="command", nsid=OURS)
class OurCommand(str):
    """The command that is asked about."""


@oc2.actuator(nsid=ER)
class Er(oc2.Map):
    """Names the profile."""

    fieldtypes = {"asset_id": str}


class Containment:
    """Contains devices and keeps what it was commanded, for as long as it runs."""

    def __init__(self) -> None:
        self.commands: dict[str, str] = {}
        self.contained: dict[str, str] = {}

    def run(self, command: oc2.Command) -> oc2.Response:
        """Do what is commanded, or say that it is no command of this profile."""
        target = command.target.getObj()
        match command.action:
            case oc2.Actions.query if isinstance(target, oc2.Features):
                return self._ok(oc2.Results({"versions": oc2.ArrayOf(oc2.Version)([oc2.Version(1, 0)])}))
            case oc2.Actions.query:
                return self._ok(OurResults({"known": str(target) in self.commands}))
            case oc2.Actions.contain:
                self.commands[command.command_id] = self.contained[command.command_id] = target["device_id"]
                until = datetime.now(UTC) + timedelta(milliseconds=command.args["duration"])
                return self._ok(OurResults({"until": until.isoformat()}))
            case oc2.Actions.cancel if str(target) in self.contained:
                self.commands[command.command_id] = self.contained.pop(str(target))
                return self._ok(oc2.Results({}))
            case oc2.Actions.cancel:
                return oc2.Response(status=oc2.StatusCode.NOTFOUND, status_text="no such command is in force")
            case _:
                return oc2.Response(status=oc2.StatusCode.NOTIMPLEMENTED, status_text="not of this profile")

    def _ok(self, results: oc2.Results) -> oc2.Response:
        return oc2.Response(status=oc2.StatusCode.OK, status_text="OK", results=results)


def main() -> None:
    """Serve until the process ends."""
    # The library starts Flask with a reloader, whose second process would outlive this one.
    serve = Flask.run
    Flask.run = lambda app, **options: serve(app, **{**options, "debug": False})
    transfer = HTTPTransfer("127.0.0.1", int(sys.argv[1]))
    oc2.Consumer("edr.example", {(ER, "edr"): Containment()}, JSONEncoder(), transfer).run()


if __name__ == "__main__":
    main()
