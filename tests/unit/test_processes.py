from __future__ import annotations

import pytest

from consolidation.processes import children, kill


def test_children_answer_and_end_with_the_block() -> None:
    with children("json.tool", 2) as processes:
        assert [process.communicate("[1]")[0].split() for process in processes] == [["[", "1", "]"]] * 2
    assert [process.returncode for process in processes] == [0, 0]


@pytest.mark.parametrize("module", ["json.tool", "consolidation.no_such_module"])
def test_they_end_with_the_block_whatever_they_do_and_leave_no_pipe(module: str) -> None:
    with children(module, 2) as processes:
        if module != "json.tool":
            processes[0].wait()  # one that has ended by itself
    for process in processes:
        assert process.returncode is not None
        assert process.stdout is not None
        assert process.stdout.closed


def test_who_waits_for_an_answer_gets_none_after_a_kill() -> None:
    with children("json.tool", 1) as [process]:
        kill([process])
        assert process.stdout is not None
        assert process.stdout.readline() == ""
