"""Every benchmark, one after another, each in a process of its own: ``python tests/benchmarks``.

Together they take some hours on two cores. Each can be run alone: ``python tests/benchmarks/figures.py --help``.
"""

import subprocess
import sys
from pathlib import Path

BENCHMARKS = (
    "figures", "suggestions", "faults", "page", "studies", "busy_machine", "pythae_speed", "mixture_speed",
    "peers_speed",
)  # fmt: skip

if __name__ == "__main__":
    for name in BENCHMARKS:
        print(f"\n## {name}\n", flush=True)
        subprocess.run([sys.executable, Path(__file__).with_name(f"{name}.py")], check=True)
