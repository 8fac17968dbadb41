"""Do every kind of damage to copied tables and write into docs/verification.md which method sees which."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "verification.md"
BEGIN, END = "<!-- generated: damage -->\n", "<!-- end -->"


def page(text: str, table: str) -> str:
    """The page with the table as it is now."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}{table}{rest[rest.index(END) :]}"


def matrix() -> str:
    """The table, from real servers."""
    from tests import cluster, damage  # noqa: PLC0415 - the tests import this module for the page alone

    with cluster.directory_of_servers() as directory:
        servers = cluster.Cluster(directory)
        try:
            source = servers.source(servers.server("source", cluster.PAIRS[0][0]), "campaign")
            target = servers.target(servers.server("target", cluster.PAIRS[0][1]))
            window = damage.copied_window(source, target)
            sound = damage.look(window)
            damage.spoil(target)
            return damage.markdown(sound, damage.look(window))
        finally:
            servers.destroy()


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), matrix()), encoding="utf-8")
