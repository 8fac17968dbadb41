"""Those that take part: each brings a data set from the source's schema `public` into an empty target, metered.

All begin with an empty database on the target and end with data, keys, indexes, foreign keys and statistics in it.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import pairwise

from psycopg2 import sql

from bench import verified
from bench.datasets import Dataset
from bench.meter import Usage, metered
from bench.place import RUNBOOK, BenchError, Place
from bench.product import Product
from demo import roles

PRODUCT = "product"
"""The database on the target that the product fills."""
LZ4, PGLZ = "lz4", "pglz"
RESTORE = ("pg_restore", "--exit-on-error", "--no-owner", "--no-acl")

Contender = Callable[[Place, Dataset], dict[str, Usage]]
"""Does its work once; name -> what it cost. Raises BenchError."""


def product(place: Place, dataset: Dataset, readers: int = 0) -> dict[str, Usage]:
    """The copy and the verify phase, as the modules pg_copy and pg_verify_info run them."""
    place.drop_target(PRODUCT)
    roles.create_target(place.target, PRODUCT)
    window = Product(
        dataset.name,
        place.settings(place.source, dataset.name, RUNBOOK),
        place.settings(place.target, PRODUCT, RUNBOOK),
        place.streams,
        readers,
    )
    window.prepare(dataset.create_tables())
    place.settle()
    with metered(place) as copying:
        window.copy()
    with metered(place) as verifying:
        window.verify()
    require_complete(place, dataset, PRODUCT, dataset.name)
    copied, verified = copying.usage, verifying.usage
    return {"copy": copied, "verify": verified, "copy_verify": copied + verified}


def raw_pipe(place: Place, dataset: Dataset) -> dict[str, Usage]:
    """`psql COPY | psql COPY`, binary, as many pipes as the product has workers; then keys and indexes side by side."""
    name = "raw_pipe"
    place.fresh_target(name, LZ4 if place.has_lz4 else PGLZ)
    archive = place.scratch("schema.dump")
    archive.unlink(missing_ok=True)
    dump = ["pg_dump", "--format=custom", "--schema-only"]
    place.run([*dump, f"--file={archive}", f"--dbname={_where(place, dataset.name)}"])
    restore = [*RESTORE, f"--dbname={_where(place, name, target=True)}"]
    place.run([*restore, "--section=pre-data", str(archive)])
    ranges = [part for table in dataset.rows for part in _ranges(place, dataset.name, table)]
    ranges.sort(key=lambda part: part[0], reverse=True)
    place.settle()
    with metered(place) as meter:
        with ThreadPoolExecutor(place.streams) as pool:
            list(pool.map(lambda part: _pipe(place, dataset.name, name, part[1], part[2]), ranges))
        place.run([*restore, "--section=post-data", f"--jobs={place.streams}", archive])
        _analyze(place, name)
    require_complete(place, dataset, name)
    return {name: meter.usage}


def pgcopydb(place: Place, dataset: Dataset, compression: str = PGLZ) -> dict[str, Usage]:
    """`pgcopydb clone` with as many table and index jobs, and the best options that it has; it analyzes by itself.

    Into a target with lz4 also followed by its own comparison, where it has one.
    """
    name = "pgcopydb" if compression == PGLZ else f"pgcopydb_{compression}"
    place.fresh_target(name, compression)
    directory = place.scratch("pgcopydb")
    uris = [_uri(place, dataset.name), _uri(place, name, target=True)]
    jobs = ["--table-jobs", str(place.streams), "--index-jobs", str(place.streams)]
    ways = ["--source", uris[0], "--target", uris[1], "--dir", str(directory)]
    place.settle()
    with metered(place) as meter:
        place.run(["pgcopydb", "clone", *ways, "--no-owner", "--no-acl", *jobs, *clone_options()])
    require_complete(place, dataset, name)
    found = {name: meter.usage}
    if compression == LZ4 and compares():
        with metered(place) as comparing:
            for what in ("schema", "data"):
                place.run(["pgcopydb", "compare", what, *ways])
        found["pgcopydb_verified"] = meter.usage + comparing.usage
    return found


BEST = {"--use-copy-binary": [], "--split-tables-larger-than": ["64MB"]}
"""Options of pgcopydb that cost it nothing else, and their values. Debian's 0.10 has the second one only."""


def clone_options() -> list[str]:
    """Those that this machine's pgcopydb has."""
    known = _help("pgcopydb", "clone")
    return [word for option, values in BEST.items() if option in known for word in (option, *values)]


def compares() -> bool:
    """Whether this machine's pgcopydb compares what it has brought."""
    return "compare" in _help("pgcopydb")


@cache
def _help(*command: str) -> str:
    if not shutil.which(command[0]):
        return ""
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def pg_dump(place: Place, dataset: Dataset, compression: str = PGLZ) -> dict[str, Usage]:
    """`pg_dump -Fd -Z0 -j`, then `pg_restore -j`, then ANALYZE; into a target with lz4 also followed by digests."""
    name = "pg_dump" if compression == PGLZ else f"pg_dump_{compression}"
    place.fresh_target(name, compression)
    directory = place.scratch("dump")
    dump = ["pg_dump", "--format=directory", "--compress=0", f"--jobs={place.streams}"]
    restore = [*RESTORE, f"--jobs={place.streams}"]
    place.settle()
    with metered(place) as meter:
        place.run([*dump, f"--file={directory}", f"--dbname={_where(place, dataset.name)}"])
        place.run([*restore, f"--dbname={_where(place, name, target=True)}", directory])
        _analyze(place, name)
    require_complete(place, dataset, name)
    place.scratch("dump")
    found = {name: meter.usage}
    if compression == LZ4:
        with metered(place) as comparing:
            verified.digests(place, dataset, name)
        found["pg_dump_verified"] = meter.usage + comparing.usage
    return found


def pg_comparator(place: Place, dataset: Dataset) -> dict[str, Usage]:
    """Compares what the product has just copied, the tables side by side; its checksum functions are loaded before."""
    sides = ((place.source, dataset.name), (place.target, PRODUCT))
    for server, dbname in sides:
        place.execute(server, "CREATE SCHEMA comparator; CREATE EXTENSION pgcmp SCHEMA comparator", dbname)
        statement = sql.SQL("ALTER DATABASE {} SET search_path = public, comparator").format(sql.Identifier(dbname))
        place.execute(server, statement)
    place.settle()
    try:
        with metered(place) as meter, ThreadPoolExecutor(place.streams) as pool:
            list(pool.map(partial(_compare, place, dataset), dataset.rows))
    finally:
        for server, dbname in sides:
            place.execute(server, "DROP SCHEMA comparator CASCADE", dbname)
            place.execute(server, sql.SQL("ALTER DATABASE {} RESET search_path").format(sql.Identifier(dbname)))
    return {"pg_comparator": meter.usage}


CONTENDERS: dict[str, Contender] = {
    "product": product,
    "pg_comparator": pg_comparator,
    "raw_pipe": raw_pipe,
    "pgcopydb": pgcopydb,
    "pgcopydb_lz4": partial(pgcopydb, compression=LZ4),
    "pg_dump": pg_dump,
    "pg_dump_lz4": partial(pg_dump, compression=LZ4),
}
"""In the order of a round; the comparator needs what the product has just copied."""


def require_complete(place: Place, dataset: Dataset, dbname: str, schema: str = "public") -> None:
    """Whoever has not brought every row, index and constraint has not taken part. Raises BenchError."""
    wanted = _inventory(place, dataset, dataset.name, "public", target=False)
    found = _inventory(place, dataset, dbname, schema, target=True)
    if found != wanted:
        raise BenchError(f"{dbname}: the target has {found} (rows, indexes, constraints, analyzed), not {wanted}")


def _inventory(place: Place, dataset: Dataset, dbname: str, schema: str, *, target: bool) -> dict[str, tuple[int, ...]]:
    server = place.target if target else place.source
    found = {}
    for table in dataset.rows:
        name = sql.Identifier(schema, table)
        query = sql.SQL(
            "SELECT (SELECT count(*) FROM {}),"
            " (SELECT count(*) FROM pg_index WHERE indrelid = {oid} AND indisvalid),"
            " (SELECT count(*) FROM pg_constraint WHERE conrelid = {oid} AND contype IN ('p', 'f') AND convalidated),"
            " (SELECT count(DISTINCT starelid) FROM pg_statistic WHERE starelid = {oid})"
        ).format(name, oid=sql.SQL("{}::regclass").format(sql.Literal(f'"{schema}"."{table}"')))
        found[table] = tuple(place.rows(server, dbname, query)[0])
    return found


def _ranges(place: Place, dbname: str, table: str) -> list[tuple[int, str, str]]:
    """(pages, table, condition): the table in as many parts as there are streams, so that none is idle at the end."""
    block = "SELECT pg_relation_size(%s::regclass) / current_setting('block_size')::integer"
    pages = place.rows(place.source, dbname, block, [f"public.{table}"])[0][0]
    cuts = [pages * part // place.streams for part in range(place.streams)] + [2**32 - 1]
    conditions = [(low, high) for low, high in pairwise(cuts) if low < high]
    return [(min(high, pages) - low, table, f"ctid >= '({low},0)' AND ctid < '({high},0)'") for low, high in conditions]


def _pipe(place: Place, source: str, target: str, table: str, condition: str) -> None:
    psql = ["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]
    copy_out = f"COPY (SELECT * FROM {table} WHERE {condition}) TO STDOUT (FORMAT binary)"  # noqa: S608 - names of ours
    copy_in = f"COPY {table} FROM STDIN (FORMAT binary)"
    with (
        subprocess.Popen(
            [*psql, f"--dbname={_where(place, source)}", f"--command={copy_out}"],
            stdout=subprocess.PIPE,
            env=place.environment(),
        ) as reading,
        subprocess.Popen(
            [*psql, f"--dbname={_where(place, target, target=True)}", f"--command={copy_in}"],
            stdin=reading.stdout,
            env=place.environment(),
        ) as writing,
    ):
        assert reading.stdout is not None  # noqa: S101 - it was opened as a pipe
        reading.stdout.close()  # psql holds it; so it sees when the other one ends
        statuses = (reading.wait(), writing.wait())
    if any(statuses):
        raise BenchError(f"raw_pipe: psql ended with {statuses} on {table}")


def _compare(place: Place, dataset: Dataset, table: str) -> None:
    columns = place.rows(
        place.source,
        dataset.name,
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 1 AND NOT attisdropped",
        [f"public.{table}"],
    )
    names = ",".join(f'"{name}"' for (name,) in columns)
    ends = [_uri(place, dataset.name, scheme="pgsql"), _uri(place, PRODUCT, scheme="pgsql", target=True)]
    places = [f"{ends[0]}/public.{table}?id:{names}", f"{ends[1]}/{dataset.name}.{table}?id:{names}"]
    said = place.run(
        ["pg_comparator", "--verbose", "--pg-text-cast", "--null=hash", f"--prefix=compared_{table}", *places]
    )
    if not any("done, 0 differences found" in line for line in said):  # its exit status is 0 all the same
        raise BenchError(f"pg_comparator has found differences in {table}")


def _analyze(place: Place, dbname: str) -> None:
    where = _where(place, dbname, target=True)
    place.run(["vacuumdb", "--analyze-only", "--quiet", f"--jobs={place.streams}", f"--dbname={where}"])


def _where(place: Place, dbname: str, *, target: bool = False) -> str:
    server = place.target if target else place.source
    return f"host={server.host} port={server.port} user=postgres dbname={dbname}"


def _uri(place: Place, dbname: str, *, scheme: str = "postgres", target: bool = False) -> str:
    server = place.target if target else place.source
    return f"{scheme}://postgres@{server.host}:{server.port}/{dbname}"
