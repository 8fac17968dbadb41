"""``consolidation evidence``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from consolidation import evidence as run_directory
from consolidation.borders import Json
from consolidation.report import recheck

HOLDS, FAULTS = 0, 1


@click.command(short_help="Check run directories, file by file.")
@click.argument("directories", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="For machines: a list of objects, one for each directory.")
def evidence(directories: tuple[Path, ...], as_json: bool) -> None:
    """Check run directories: every file against SHA256SUMS, and every figure of the report that can be recomputed.

    Needs no server and no inventory. It shows that the files are those that the index names; who could write the
    directory could write the index, so compare the index's own SHA-256 with the one that the run printed at its end.

    \b
    Exit codes:
        0  every file is unaltered and every statement that was rechecked holds
        1  a file is altered, missing or not in the index, or a statement does not hold
        2  the command line is wrong
    """
    results = [_result(directory) for directory in directories]
    if as_json:
        click.echo(json.dumps(results, indent=2, default=str))
    else:
        for result in results:
            for line in _lines(result):
                click.echo(line)
    sys.exit(HOLDS if all(result["holds"] for result in results) else FAULTS)


def _result(directory: Path) -> Json:
    found = run_directory.check(directory)
    statements = [asdict(each) for each in recheck.statements(directory)]
    holds = found.holds and all(each["outcome"] != recheck.WRONG for each in statements)
    return {**asdict(found), "holds": holds, "statements": statements}


def _lines(result: Json) -> Iterator[str]:
    yield f"{result['directory']}: {'HOLDS' if result['holds'] else 'DOES NOT HOLD'}"
    closed = "closed" if result["closed"] else "not closed: its run was not finished, or is under way"
    yield f"  index         SHA-256 {result['index_digest'] or 'of none: there is no index'}, {closed}"
    yield f"  unaltered     {len(result['unaltered'])} files"
    for kind in ("altered", "missing", "not_indexed"):
        for name in result[kind]:
            yield f"  {kind.replace('_', ' ').upper():13} {name}"
    for each in result["statements"]:
        yield f"  {each['outcome']:13} {each['text']}"
