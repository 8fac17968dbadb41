"""Ask Ansible for what the journal knows: by the inventory, over whatever leads to the runners."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import click

LIMIT_SECONDS = 120
HEAD = re.compile(r"^(\S+) \| (\w+)!? (?:\| rc=\d+ )?(?:=> |>> ?)?", re.MULTILINE)

Facts = dict[str, Any]


def ansible_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of every command that asks; what it does not know goes to Ansible as it is."""
    for option in (
        click.option("-i", "--inventory", required=True, multiple=True, help="As ansible-playbook has it."),
        click.option("--limit", default="databases", help="Only these databases.", show_default="all"),
        click.argument("ansible", nargs=-1, type=click.UNPROCESSED, metavar="[-- ANSIBLE OPTIONS]"),
    ):
        command = option(command)
    return command


def journal(inventory: Sequence[str], limit: str, more: Sequence[str] = ()) -> tuple[dict[str, Facts], dict[str, str]]:
    """(database -> its journal facts, database -> why it could not be asked)."""
    if not (os.environ.get("ANSIBLE_CONFIG") or Path("ansible.cfg").exists()):
        raise click.ClickException(
            f"{Path.cwd()} has no ansible.cfg: give this from the folder of the checkout, or set ANSIBLE_CONFIG"
        )
    arguments = json.dumps({"database": "{{ consolidation_database }}"})
    command = [str(Path(sys.executable).with_name("ansible")), limit, "-m", "run_journal_info"]
    command += [word for source in inventory for word in ("-i", source)]
    environment = {
        **os.environ,
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        "ANSIBLE_LOAD_CALLBACK_PLUGINS": "false",
        "ANSIBLE_NOCOLOR": "1",
    }
    try:
        done = subprocess.run(
            [*command, "-a", arguments, *more],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise click.ClickException(f"no answer within {LIMIT_SECONDS} s; is a host of the inventory away?") from None
    found, failed = parse(done.stdout)
    if not found and not failed:
        text = (done.stderr or done.stdout).strip() or "Ansible said nothing"
        raise click.ClickException(f"{text}\nGive this from the checkout, with the inventory of the run.")
    return found, failed


def parse(output: str) -> tuple[dict[str, Facts], dict[str, str]]:
    """What Ansible's callback ``minimal`` printed: results by host, and messages of those that failed."""
    found: dict[str, Facts] = {}
    failed: dict[str, str] = {}
    heads = list(HEAD.finditer(output))
    for head, following in zip_longest(heads, heads[1:]):
        text = output[head.end() : following.start() if following else len(output)].strip()
        try:
            values = json.loads(text)
        except ValueError:
            values = {"msg": text}
        if head[2] in ("SUCCESS", "CHANGED"):
            found[head[1]] = values
        else:
            failed[head[1]] = str(values.get("msg", text))
    return found, failed
