"""``python -m consolidation`` and the command ``consolidation``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; a runner has not the packages that it needs."""
    try:
        from consolidation.cli.app import cli  # noqa: PLC0415 - see above
    except ModuleNotFoundError as error:
        sys.exit(f"{error.name} is missing: the command line is for the control node (pip install '.[console]')")
    cli(prog_name="consolidation")


if __name__ == "__main__":
    main()
